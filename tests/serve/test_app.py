"""The server behind the page that colours photographs: who is answered, what is taken and kept."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from PIL import Image
from tiny import ROOT, until

from pipeline.core.errors import InputError
from pipeline.serve.app import make_app
from pipeline.serve.photograph import plain_name
from pipeline.serve.queue import Limits, Queue
from pipeline.serve.runs import ServedRun
from pipeline.serve.server import configured
from pipeline.serve.worker import Coloured, Failed, Job, Worker

uvicorn = pytest.importorskip("uvicorn", reason="the extra serve is not installed")
NASTY = '<img src=x onerror=alert(1)> "Oma\'s" Bild é 100%.jpg'
RUNS = [
    ServedRun("plain", Path("results/plain"), "ImageNet", False, ("RMSE 12.00, 15.00 for gray: better.",)),
    ServedRun("<b>wild</b>", Path("results/wild"), "RANDOM (seed 0; not ImageNet features)", True, ()),
]


class Painter:
    """Instead of networks: writes what it was asked, and can be held up."""

    def __init__(self):
        self.go = threading.Event()
        self.go.set()
        self.at_once, self.most_at_once, self.jobs = 0, 0, []

    def __call__(self, job, tell):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        tell("colouring")
        self.jobs.append(job)
        assert self.go.wait(10)
        self.at_once -= 1
        content = job.source.read_bytes()
        if content.startswith(b"bad"):
            raise Failed("not an image of a known format, or its header is broken")
        if content.startswith(b"worse"):
            raise ZeroDivisionError("division by zero")
        job.before.write_bytes(b"before")
        job.target.mkdir()
        (job.target / "photograph").write_bytes(b"%b by %b, %g" % (content, job.run.name.encode(), job.saturation))
        job.after.write_bytes(b"after")
        return Coloured("photograph", "", 3, 2)


class Site:
    """The page on a port of its own."""

    def __init__(self, folder, limits, painter=None):
        self.folder = folder
        self.painter = painter or Painter()
        self.queue = Queue(folder, self.painter, [run.folder for run in RUNS], limits)
        app = make_app(self.queue, RUNS)
        self.server = uvicorn.Server(configured(app))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],), daemon=True)
        self.thread.start()

    def close(self):
        self.painter.go.set()
        self.server.should_exit = True
        self.thread.join(10)
        self.queue.close()

    def ask(self, method, path, body=None, headers=None):
        """Status, headers and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body, headers or {}, encode_chunked=hasattr(body, "__next__"))
        answer = connection.getresponse()
        found = answer.status, answer.headers, answer.read()
        connection.close()
        return found

    def add(self, content, name="a.jpg", run=0, saturation=1.0):
        status, _, body = self.ask(
            "POST", f"/photographs?name={quote(name)}&run={run}&saturation={saturation}", content
        )
        return status, json.loads(body)

    def keys(self, *contents):
        return [self.add(content)[1]["key"] for content in contents]

    def tell(self, *keys):
        return json.loads(self.ask("GET", f"/photographs?keys={','.join(keys)}")[2])

    def colour(self, key, run, saturation):
        return self.ask("POST", f"/photographs/{key}/colour", json.dumps({"run": run, "saturation": saturation}))

    def settled(self, *keys):
        until(lambda: all(told["state"] in ("done", "failed") for told in self.tell(*keys)))
        return self.tell(*keys)

    def result(self, key):
        return self.ask("GET", f"/photographs/{key}/result/{self.tell(key)[0]['made']['number']}")

    def there(self):
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())


@contextmanager
def opened(folder, **limits):
    site = Site(folder, Limits(**limits))
    try:
        yield site
    finally:
        site.close()


@pytest.fixture
def site(tmp_path):
    with opened(tmp_path) as found:
        yield found


# Who is answered


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9000", "127.0.0.9", "[::1]:8224", "localhost:1"])
def test_this_machine_is_answered_by_its_own_names(site, host):
    status, headers, body = site.ask("GET", "/", headers={"Host": host})
    assert status == 200 and b"<h1>" in body
    assert "default-src 'none'" in headers["content-security-policy"] and headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:8224", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.7", "0.0.0.0",
    "[::2]", "evil@localhost", "localhost:80:80", "", "::1",
])  # fmt: skip
def test_a_name_that_was_made_to_point_here_is_refused(site, host):
    for method, path in (("GET", "/"), ("POST", "/photographs?name=a&run=0&saturation=1")):
        status, headers, body = site.ask(method, path, b"x" if method == "POST" else None, {"Host": host})
        assert status == 403 and b"only for localhost" in body and headers["cache-control"] == "no-store"
    assert site.there() == []


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:3000", "https://localhost"])
def test_other_sites_pages_are_refused(site, origin):
    headers = {"Origin": origin, "Host": "localhost"}
    status, _, body = site.ask("POST", "/photographs?name=a&run=0&saturation=1", b"x", headers)
    assert status == 403 and b"nothing from other pages" in body and site.there() == []
    assert site.ask("GET", "/", headers=headers)[0] == 403
    own = {"Origin": "http://localhost", "Host": "localhost"}
    assert site.ask("POST", "/photographs?name=a&run=0&saturation=1", b"x", own)[0] == 201


def test_other_sites_may_link_to_the_page_and_embed_nothing(site):
    for kind in ("cross-site", "same-site"):
        assert site.ask("GET", "/", headers={"Sec-Fetch-Site": kind})[0] == 200
        assert site.ask("GET", "/serve.js", headers={"Sec-Fetch-Site": kind})[0] == 403
        assert site.ask("POST", "/end", b"", {"Sec-Fetch-Site": kind})[0] == 403


# What is taken


def test_a_photograph_is_coloured_and_given_back(site):
    status, told = site.add(b"grain", "old.tif", run=1, saturation=0.5)
    assert status == 201 and len(told["key"]) >= 20
    (done,) = site.settled(told["key"])
    assert (done["state"], done["made"]["width"], done["made"]["height"]) == ("done", 3, 2)
    status, headers, body = site.result(told["key"])
    assert (status, body) == (200, b"grain by wild, 0.5")
    assert headers["content-disposition"] == 'attachment; filename="old-coloured.tif"'
    assert headers["content-type"] == "application/octet-stream" and headers["x-content-type-options"] == "nosniff"
    for kind, content in (("before", b"before"), ("after/1", b"after")):
        status, headers, body = site.ask("GET", f"/photographs/{told['key']}/{kind}")
        assert (status, headers["content-type"], body) == (200, "image/jpeg", content)


@pytest.mark.parametrize(("name", "shown"), [
    (NASTY, NASTY), ("../../etc/passwd", "passwd"), ("C:\\old\\a.jpg", "a.jpg"), ("..", "photograph"),
    ("", "photograph"), ("a\r\nSet-Cookie: x\0.jpg", "a__Set-Cookie: x_.jpg"), ("gpj.\u202eexe", "gpj._exe"),
    ("ж" * 400 + ".jpeg", "ж" * 145 + ".jpeg"), ("写真.png", "写真.png"), ("a/", "photograph"),
])  # fmt: skip
def test_names_are_only_shown(site, name, shown):
    assert plain_name(name) == shown
    told = site.add(b"x", name)[1]
    assert told["name"] == shown
    site.settled(told["key"])
    _, headers, _ = site.result(told["key"])
    _, _, given = headers["content-disposition"].partition("filename")
    given = given.removeprefix("*=utf-8''").removeprefix("=").strip('"')
    stem, dot, suffix = shown.rpartition(".")
    assert unquote(given) == (f"{stem}-coloured.{suffix}" if dot else f"{shown}-coloured")
    assert set(site.there()) <= {"photograph", "before.jpg", "1.jpg"}


def test_a_file_that_is_too_large_is_refused_and_nothing_of_it_stays(tmp_path):
    with opened(tmp_path, upload_bytes=100_000) as site:
        for body in (b"x" * 100_001, iter([b"x" * 60_000] * 2)):
            status, _, answer = site.ask("POST", "/photographs?name=a&run=0&saturation=1", body)
            assert status == 409 and json.loads(answer) == {"problem": "larger than 0.1 MB"}
        assert site.there() == [] and site.add(b"x" * 100_000)[0] == 201


def test_what_comes_only_in_part_is_not_kept(site):
    with socket.create_connection(("127.0.0.1", site.port)) as connection:
        connection.sendall(
            b"POST /photographs?name=a&run=0&saturation=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nabc"
        )
        until(lambda: list(site.folder.iterdir()))
    until(lambda: not list(site.folder.iterdir()))
    assert site.painter.jobs == []


def test_there_is_a_most_of_photographs_and_of_bytes(tmp_path):
    with opened(tmp_path, photographs=2) as site:
        first, _ = site.keys(b"one", b"two")
        status, told = site.add(b"three" * 100_000)
        assert status == 409 and told["problem"] == "at most 2 photographs are taken at once; remove some first"
        assert site.ask("POST", "/end", first)[0] == 204
        assert site.add(b"three")[0] == 201
    with opened(tmp_path / "b", total_bytes=1000) as site:
        (key,) = site.keys(b"x" * 600)
        site.settled(key)
        status, told = site.add(b"y")
        assert status == 409 and "take more than 1e-06 GB; remove some first" in told["problem"]
        site.colour(key, 1, 1.0)
        assert "remove some first" in site.settled(key)[0]["problem"]


def test_a_bad_file_gets_a_sentence_and_the_others_go_on(site):
    told = site.settled(*site.keys(b"one", b"bad", b"worse", b"two"))
    assert [each["state"] for each in told] == ["done", "failed", "failed", "done"]
    assert told[1]["problem"] == "not an image of a known format, or its header is broken"
    assert told[2]["problem"] == "ZeroDivisionError: division by zero"
    assert site.painter.most_at_once == 1


@pytest.mark.parametrize(("body", "problem"), [
    (b"", "as JSON"), (b"[" * 5000, "as JSON"), (b"[]", "expected the number"), (b'{"run": 0}', "expected the number"),
    (b'{"run": 2, "saturation": 1}', "run below 2"), (b'{"run": -1, "saturation": 1}', "run below 2"),
    (b'{"run": 0, "saturation": NaN}', "0..10"), (b'{"run": 0, "saturation": 1e99}', "0..10"),
    (b'{"run": 0, "saturation": []}', "expected the number"), (b" " * 20_000, "at most 10000 bytes"),
])  # fmt: skip
def test_wrong_settings_are_refused(site, body, problem):
    (key,) = site.keys(b"one")
    status, _, answer = site.ask("POST", f"/photographs/{key}/colour", body)
    assert status == 409 and problem in json.loads(answer)["problem"]
    assert site.add(b"x", saturation="nan")[0] == site.add(b"x", run=7)[0] == 409
    assert len(list(site.folder.iterdir())) == 1


def test_what_is_not_there_is_told(site):
    (key,) = site.keys(b"one")
    site.settled(key)
    assert site.tell("nobody", "") == []
    for method, path in (
        ("GET", "/photographs/nobody/before"), ("GET", f"/photographs/{key}/result/2"),
        ("GET", f"/photographs/{key}/after/0"), ("POST", "/photographs/nobody/colour"),
    ):  # fmt: skip
        body = b'{"run": 0, "saturation": 1}' if method == "POST" else None
        status, _, answer = site.ask(method, path, body)
        assert status == 404 and "no longer here" in json.loads(answer)["problem"]
    assert site.ask("GET", "/../pyproject.toml")[0] == 404


# What becomes of it


def test_it_is_coloured_again_without_being_sent_again(site):
    (key,) = site.keys(b"grain")
    site.settled(key)
    assert site.colour(key, 1, 2.0)[0] == 204
    site.settled(key)
    assert site.result(key)[2] == b"grain by wild, 2"
    assert site.ask("GET", f"/photographs/{key}/result/1")[0] == 404
    assert len(site.there()) == 4  # the photograph, before, the newest result and its reduced picture
    site.colour(key, 1, 2.0)
    assert site.settled(key)[0]["made"]["number"] == 2 and len(site.painter.jobs) == 2


def test_of_many_changes_the_last_one_counts(site):
    site.painter.go.clear()
    key, other = site.keys(b"grain", b"other")
    until(lambda: site.tell(key)[0]["state"] == "working")
    assert site.tell(other)[0]["ahead"] == 1
    for saturation in (0.1, 0.2, 0.3):
        site.colour(key, 0, saturation)
    site.painter.go.set()
    site.settled(key, other)
    assert site.result(key)[2] == b"grain by plain, 0.3"
    assert [job.saturation for job in site.painter.jobs] == [1.0, 1.0, 0.3]


def test_a_failure_can_be_tried_otherwise(site):
    (key,) = site.keys(b"bad")
    site.settled(key)
    (site.folder / key / "photograph").write_bytes(b"good")
    site.colour(key, 1, 1.0)
    assert site.settled(key)[0]["state"] == "done"


def test_a_page_that_ends_takes_its_photographs_along(site):
    first, second = site.keys(b"one", b"two")
    site.settled(first, second)
    assert site.ask("POST", "/end", f"{first},nobody")[0] == 204
    assert [path.name for path in site.folder.iterdir()] == [second]
    site.painter.go.clear()
    site.colour(second, 1, 1.0)
    until(lambda: site.tell(second)[0]["state"] == "working")
    site.ask("POST", "/end", second)
    site.painter.go.set()
    until(lambda: not list(site.folder.iterdir()))


def test_what_no_page_asks_for_goes_after_a_time(tmp_path):
    with opened(tmp_path, seconds=0.6) as site:
        kept, left = site.keys(b"one", b"two")
        for _ in range(10):
            assert site.tell(kept)
            time.sleep(0.1)
        assert [path.name for path in site.folder.iterdir()] == [kept] and site.tell(left) == []


def test_the_page_is_loud_about_random_weights_and_tells_what_the_runs_scored(site):
    page = site.ask("GET", "/")[2].decode()
    assert "<strong>RANDOM embedding weights in &lt;b&gt;wild&lt;/b&gt;.</strong>" in page and "<b>wild" not in page
    assert "RMSE 12.00, 15.00 for gray: better." in page and "guesses the colours" in page
    assert set(re.findall(r'(?:src|href)="([^"#]*)"', page)) == {
        "data:,",
        "page.css",
        "theme.js",
        "serve.css",
        "serve.js",
    }
    for name in ("page.css", "theme.js", "serve.css", "serve.js"):
        status, _, text = site.ask("GET", f"/{name}")
        assert status == 200 and b"http:" not in text and b"https:" not in text


# The process that colours


def test_a_process_that_ends_takes_one_photograph_along_and_comes_again(tmp_path, monkeypatch):
    Image.effect_noise((4000, 4000), 80).save(tmp_path / "large.png", compress_level=1)
    (tmp_path / "bad").write_bytes(b"no photograph")
    names = ("before.jpg", "1", "1.jpg")
    with Worker(tmp_path / "scratch", max_megapixels=20) as process:

        def end(step):
            os.kill(process._process.pid, signal.SIGKILL)

        job = Job(tmp_path / "large.png", *(tmp_path / name for name in names), tmp_path / "no-run", 1.0)
        with pytest.raises(Failed, match=r"was ended \(SIGKILL\): most likely there is not enough memory"):
            process.colour(job, end)
        with pytest.raises(Failed, match="not an image of a known format"):
            process.colour(job._replace(source=tmp_path / "bad"), lambda step: None)
        with pytest.raises(InputError, match="expected the results of a run"):
            process.load(tmp_path / "no-run")
        pid = process._process.pid
        monkeypatch.setattr("pipeline.serve.worker.MOST_SECONDS", 0.05)
        with pytest.raises(Failed, match=r"it took more than .* minutes, and was given up"):
            process.colour(job, lambda step: None)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_photographs_go_also_when_the_program_is_killed_or_its_terminal_closed(tmp_path, number):
    scratch = tmp_path / "scratch"
    (scratch / "photograph").mkdir(parents=True)
    code = (
        "import signal, sys, time; from pathlib import Path; from pipeline.serve.worker import Worker\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # which nohup has ignored
        "    process = Worker(Path(sys.argv[1]), max_megapixels=1); process._start()\n"
        "    print(flush=True); time.sleep(60)"
    )
    (tmp_path / "main.py").write_text(code)
    program = subprocess.Popen(
        [sys.executable, tmp_path / "main.py", scratch],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    program.stdout.readline()
    (os.killpg if number == signal.SIGHUP else os.kill)(program.pid, number)
    program.communicate()
    until(lambda: not scratch.exists())

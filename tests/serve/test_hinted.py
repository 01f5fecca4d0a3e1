"""The page's requests with hints: previews, likely colours, saving, opening a file."""

import io
import json
import threading
import zipfile

import pytest
from served import PAGE
from tiny import until

from pipeline.serve import turns
from pipeline.serve.jobs import Job, Preview

HINT = {"x": 1, "y": 0, "color": "#102030"}
BESIDE = {"x": 3, "y": 0, "color": "#102030"}  # the photograph is 3 pixels wide


def test_a_preview_and_likely_colours_are_answered_at_once(site):
    (key,) = site.keys(b"grain")
    site.settled(key)
    status, headers, body = site.hinted(key, "preview", json.dumps([HINT] * 2), saturation=0.5)
    assert (status, headers["content-type"], body) == (200, "image/jpeg", b"2 hints, 0.5")
    status, _, body = site.ask("GET", f"/photographs/{key}/likely?run=0&saturation=1&x=12&y=7")
    assert (status, json.loads(body)) == (200, ["#012007"])
    assert len(site.files()) == 4 and site.states(key)[0]["result"]["number"] == 1


def test_a_result_with_hints_is_kept_with_them(site):
    key = site.add(b"grain", "Box/old.tif")[1]["key"]
    (plain,) = site.settled(key)
    assert plain["hints"] == [] and site.ask("GET", f"/photographs/{key}/hints/1")[0] == 404
    assert site.colour(key, 0, 1.0, [HINT])[0] == 204
    (state,) = site.settled(key)
    assert state["hints"] == [HINT] and state["result"]["number"] == 2
    _, headers, body = site.ask("GET", f"/photographs/{key}/hints/2")
    assert headers["content-disposition"] == 'attachment; filename="old.tif.hints.json"' and body == b"old.tif: 1"
    packed = zipfile.ZipFile(io.BytesIO(site.ask("GET", f"/coloured.zip?page={PAGE}")[2]))
    assert packed.namelist() == ["Box/old-coloured.tif", "Box/old.tif.hints.json"]
    site.colour(key, 0, 1.0, [HINT])
    assert site.settled(key)[0]["result"]["number"] == 2
    site.colour(key, 0, 1.0)
    assert site.settled(key)[0]["result"]["number"] == 3


@pytest.mark.parametrize("content", [[HINT], {"a.jpg": [HINT]}, {"other.jpg": [], "a.jpg": [HINT]}])
def test_a_file_of_hints_is_opened(site, content):
    (key,) = site.keys(b"grain")
    site.settled(key)
    status, _, body = site.ask("POST", f"/photographs/{key}/hints", json.dumps(content))
    assert (status, json.loads(body)) == (200, [HINT])


@pytest.mark.parametrize(("content", "problem"), [
    (b"{", "JSON"), (b"\xff", "JSON"), (b"7", "list of hints"), (b'[{"x": 1}]', "hint 1"),
    (json.dumps({"b.jpg": [HINT]}), "b.jpg"), (json.dumps([BESIDE]), "3,0"),
    (json.dumps([HINT] * 201), "201"), (b" " * 1_000_001, "1 MB"),
])  # fmt: skip
def test_a_wrong_file_of_hints_is_refused(site, content, problem):
    (key,) = site.keys(b"grain")
    site.settled(key)
    status, _, answer = site.ask("POST", f"/photographs/{key}/hints", content)
    assert status == (413 if "MB" in problem else 409) and problem in json.loads(answer)["problem"]
    assert site.hinted(key, "colour", content)[0] == status and len(site.painter.jobs) == 1


def test_what_is_asked_about_nothing_is_refused(site):
    (key,) = site.keys(b"grain")
    site.settled(key)
    for what in ("preview", "colour", "hints"):
        assert site.hinted("nobody", what, "[]")[0] == 404
    for query in ("", "&x=1", "&x=-1&y=1", "&x=1.5&y=0", "&x=1&y=1000000"):
        assert site.ask("GET", f"/photographs/{key}/likely?run=0&saturation=1{query}")[0] == 409
    assert site.hinted(key, "preview", "[]", run=2)[0] == site.hinted(key, "preview", "[]", saturation=-1)[0] == 409
    assert site.ask("GET", "/photographs/nobody/likely?run=0&saturation=1&x=0&y=0")[0] == 404


def test_a_preview_comes_before_the_next_photograph(site, monkeypatch):
    monkeypatch.setattr(turns, "HELD", 0.1)
    (key,) = site.keys(b"grain")
    site.settled(key)
    site.painter.go.clear()
    keys = site.keys(b"one", b"two")
    until(lambda: len(site.painter.jobs) == 2)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(site.hinted(key, "preview", "[]")[0]))
    asking.start()
    until(lambda: site.queue._turns._previews == 1)
    site.painter.go.set()
    asking.join(10)
    site.settled(*keys)
    assert answers == [200] and [type(job) for job in site.painter.jobs] == [Job, Job, Preview, Job]


def test_a_preview_does_not_wait_for_long(site, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    site.painter.go.clear()
    (key,) = site.keys(b"grain")
    until(lambda: site.painter.jobs)
    status, _, answer = site.hinted(key, "preview", "[]")
    assert status == 503 and "another photograph" in json.loads(answer)["problem"]

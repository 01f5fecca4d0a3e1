"""What the page shows and accepts: photographs within limits, and valid settings."""

import json
import re
import socket
from urllib.parse import quote, unquote

import pytest
from served import NASTY, OTHER_PAGE, PAGE, opened
from tiny import until

from pipeline.serve.photograph import plain_path


def test_the_page_warns_of_random_weights_and_shows_the_scores(site):
    page = site.ask("GET", "/")[2].decode()
    assert "<strong>RANDOM embedding weights in &lt;b&gt;wild&lt;/b&gt;.</strong>" in page and "<b>wild" not in page
    assert "RMSE 12.00, 15.00 for gray: better." in page and "guesses the colours" in page
    assets = ("page.css", "theme.js", "serve.css", "serve.js")
    assert set(re.findall(r'(?:src|href)="([^"#]*)"', page)) == {"data:,", *assets}
    for name in (*assets, "choose.js", "cards.js", "hints.js", "program.js", "whole.js"):
        status, _, text = site.ask("GET", f"/{name}")
        assert status == 200 and b"http:" not in text and b"https:" not in text


def test_a_photograph_is_coloured_and_can_be_downloaded(site):
    status, answer = site.add(b"grain", "old.tif", run=1, saturation=0.5)
    key = answer["key"]
    assert status == 201 and len(key) >= 20
    (done,) = site.settled(key)
    assert (done["state"], done["result"]["width"], done["result"]["height"]) == ("done", 3, 2)
    status, headers, body = site.result(key)
    assert (status, body) == (200, b"grain by wild, 0.5")
    assert headers["content-disposition"] == 'attachment; filename="old-coloured.tif"'
    assert headers["content-type"] == "application/octet-stream" and headers["x-content-type-options"] == "nosniff"
    for kind, content in (("before", b"before"), ("after/1", b"after")):
        status, headers, body = site.ask("GET", f"/photographs/{key}/{kind}")
        assert (status, headers["content-type"], body) == (200, "image/jpeg", content)


@pytest.mark.parametrize(("name", "shown"), [
    (NASTY, NASTY), ("../../etc/passwd", "etc/passwd"), ("C:\\old\\a.jpg", "C:/old/a.jpg"), ("..", "photograph"),
    ("", "photograph"), ("a\r\nSet-Cookie: x\0.jpg", "a__Set-Cookie: x_.jpg"), ("gpj.\u202eexe", "gpj._exe"),
    ("ж" * 400 + ".jpeg", "ж" * 145 + ".jpeg"), ("写真.png", "写真.png"), ("a/", "a/photograph"),
    ("/Box/./ 19\t50/..//a.jpg", "Box/19_50/a.jpg"),
])  # fmt: skip
def test_a_file_name_is_shown_and_never_used_as_a_path(site, name, shown):
    assert plain_path(name) == shown
    answer = site.add(b"x", name)[1]
    assert answer["name"] == shown
    site.settled(answer["key"])
    _, headers, _ = site.result(answer["key"])
    _, _, offered = headers["content-disposition"].partition("filename")
    offered = offered.removeprefix("*=utf-8''").removeprefix("=").strip('"')
    stem, dot, suffix = shown.rpartition("/")[2].rpartition(".")
    assert unquote(offered) == (f"{stem}-coloured.{suffix}" if dot else f"{suffix}-coloured")
    assert set(site.files()) <= {"photograph", "before.jpg", "1.jpg"}


def test_a_file_that_is_too_large_is_refused_and_deleted(tmp_path):
    with opened(tmp_path, upload_bytes=100_000) as site:
        for body in (b"x" * 100_001, iter([b"x" * 60_000] * 2)):
            status, _, answer = site.ask("POST", f"/photographs?page={PAGE}&name=a&run=0&saturation=1", body)
            assert status == 413 and "0.1 MB" in json.loads(answer)["problem"]
        assert site.files() == [] and site.add(b"x" * 100_000)[0] == 201


def test_an_incomplete_upload_is_deleted(site):
    with socket.create_connection(("127.0.0.1", site.port)) as connection:
        path = f"/photographs?page={PAGE}&name=a&run=0&saturation=1"
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nabc".encode())
        until(lambda: list(site.folder.iterdir()))
    until(lambda: not list(site.folder.iterdir()))
    assert site.painter.jobs == []


def test_the_number_and_size_of_photographs_are_limited(tmp_path):
    with opened(tmp_path, waiting=2, photographs=4) as site:
        site.painter.go.clear()
        first, second = site.keys(b"bad", b"two")
        until(lambda: site.states(first)[0]["state"] == "working")
        site.add(b"three")
        status, answer = site.add(b"four" * 100_000)
        assert status == 429 and "at most 2" in answer["problem"]
        site.painter.go.set()
        until(lambda: site.add(b"four")[0] == 201)
        site.settled(*(state["key"] for state in site.states()))
        status, answer = site.add(b"five")
        assert status == 507 and "at most 4" in answer["problem"]
        assert site.end(second)[0] == 204
        assert site.add(b"five")[0] == 201
    with opened(tmp_path / "b", total_bytes=1000) as site:
        (key,) = site.keys(b"x" * 600)
        site.settled(key)
        status, answer = site.add(b"y")
        assert status == 507 and "1e-06 GB" in answer["problem"]
        site.colour(key, 1, 1.0)
        assert "1e-06 GB" in site.settled(key)[0]["problem"]


def test_a_bad_file_gets_a_reason_and_the_others_are_coloured(site):
    states = site.settled(*site.keys(b"one", b"bad", b"worse", b"two"))
    assert [state["state"] for state in states] == ["done", "failed", "failed", "done"]
    assert states[1]["problem"] == "not an image of a known format, or its header is broken"
    assert states[2]["problem"] == "ZeroDivisionError: division by zero"
    assert site.painter.most_at_once == 1


@pytest.mark.parametrize(("settings", "problem"), [
    ("", "a run and a saturation"), ("run=0", "a run and a saturation"), ("saturation=1", "a run and a saturation"),
    ("run=2&saturation=1", "run below 2"), ("run=-1&saturation=1", "run below 2"),
    (f"run={'1' * 5000}&saturation=1", "a run and a saturation"), ("run=0.5&saturation=1", "a run and a saturation"),
    ("run=0&saturation=nan", "0..10"), ("run=0&saturation=1e99", "0..10"), ("run=0&saturation=-0.1", "0..10"),
    ("run=0&saturation=[]", "a run and a saturation"),
])  # fmt: skip
def test_wrong_settings_are_refused(site, settings, problem):
    (key,) = site.keys(b"one")
    status, _, answer = site.ask("POST", f"/photographs/{key}/colour?{settings}")
    assert status == 409 and problem in json.loads(answer)["problem"]
    assert site.add(b"x", saturation="nan")[0] == site.add(b"x", run=7)[0] == 409
    assert len(list(site.folder.iterdir())) == 1


def test_what_does_not_exist_is_not_found(site):
    (key,) = site.keys(b"one")
    site.settled(key)
    for method, path in (
        ("GET", "/photographs/nobody/before"), ("GET", f"/photographs/{key}/result/2"),
        ("GET", f"/photographs/{key}/after/0"),
        ("GET", f"/coloured.zip?page={OTHER_PAGE}"), ("POST", "/photographs/nobody/colour?run=0&saturation=1"),
    ):  # fmt: skip
        status, _, answer = site.ask(method, path)
        assert status == 404 and "choose it again" in json.loads(answer)["problem"]
    assert site.ask("GET", "/../pyproject.toml")[0] == 404


@pytest.mark.parametrize("page", ["", "short", "x" * 65, "../../../../etc/passwd-and-more", "é" * 30])
def test_a_page_needs_an_identity_that_cannot_be_guessed(site, page):
    for method, path in (
        ("GET", "/photographs?"),
        ("GET", "/coloured.zip?"),
        ("POST", "/end?"),
        ("POST", "/photographs?run=0&saturation=1&"),
    ):
        status, _, answer = site.ask(method, f"{path}page={quote(page)}", b"x" if method == "POST" else None)
        assert status == 409 and "page" in json.loads(answer)["problem"]
    assert list(site.folder.iterdir()) == []

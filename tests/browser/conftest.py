"""The page of `python -m stages serve` in a browser; tests of other pages have fixtures of their own."""

import json
from urllib.parse import urlsplit

import chromium
import pytest
from serve_program import Program, wide
from tiny import make_run


@pytest.fixture(scope="module")
def results(_started, tmp_path_factory):
    """Two finished runs."""
    folder = tmp_path_factory.mktemp("serve") / "results"
    make_run(folder, "dot_lr1e-2_noembed", (150.0, 160.0))
    make_run(folder, "dot_lr1e-3_noembed", (110.0, 150.0))
    return folder


@pytest.fixture(scope="module")
def program(results, tmp_path_factory):
    program = Program(results, tmp_path_factory.mktemp("program") / "scratch")
    yield program
    program.process.kill()
    program.process.communicate()


@pytest.fixture(scope="module")
def started():
    browser = chromium.Browser()
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(started, program, tmp_path):
    """The browser on the page; afterwards, check its console for errors and that it contacted no other machine."""
    drive = started.driver
    drive.get("about:blank")
    for kind in ("browser", "performance"):
        drive.get_log(kind)
    (tmp_path / "downloads").mkdir()
    allowed = {"behavior": "allow", "downloadPath": str(tmp_path / "downloads")}
    drive.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
    wide(started, 1280)
    drive.get(program.address)
    yield started
    contacted = set()
    for entry in drive.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
            parts = message["params"]
            contacted.add(urlsplit(parts["request"]["url"] if "request" in parts else parts["url"])[:2])
    assert contacted - {("data", ""), ("about", ""), ("chrome", "newtab")} == {urlsplit(program.address)[:2]}
    assert started.errors() == []

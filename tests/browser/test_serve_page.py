"""`python -m stages serve` in a browser."""

import json
import os
import re
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import chromium
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tiny import ROOT, make_run, until

pytest.importorskip("uvicorn", reason="the extra serve is not installed")
NASTY = '<img src=x onerror=alert(1)> "Oma\'s" Bild é 100%.jpg'


@pytest.fixture(scope="module")
def results(_started, tmp_path_factory):
    """Two finished runs."""
    folder = tmp_path_factory.mktemp("serve") / "results"
    make_run(folder, "dot_lr1e-2_noembed", (150.0, 160.0))
    make_run(folder, "dot_lr1e-3_noembed", (110.0, 150.0))
    return folder


class Program:
    """The command, started from a shell."""

    def __init__(self, results, folder):
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        arguments = [sys.executable, "-m", "stages", "serve", "--port", "0", "--max-megabytes", "2"]
        arguments += ["--max-megapixels", "1", "--set", f"root={results.parent}"]
        environment = os.environ | {"TMPDIR": str(self.scratch), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        self.lines = []
        for line in self.process.stderr:
            self.lines.append(line)
            if match := re.search(r"http://127\.0\.0\.1:\d+/", line):
                self.address = match[0]
                return
        raise AssertionError("".join(self.lines))

    def end(self):
        os.killpg(self.process.pid, signal.SIGINT)  # as a terminal does
        self.lines += self.process.communicate(timeout=20)[1].splitlines(keepends=True)


@pytest.fixture(scope="module")
def program(results, tmp_path_factory):
    program = Program(results, tmp_path_factory.mktemp("program"))
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


def wide(browser, width):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def photograph(path, height, width, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (height // 12, width // 12), dtype=np.uint8)
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path


def choose(browser, *paths):
    browser.one("#choose").send_keys("\n".join(map(str, paths)))
    browser.until(lambda: len(browser.all(".photograph")) == len(paths))


def finished(browser):
    """Wait until every photograph on the page is coloured or has failed."""
    browser.until(lambda: not browser.all(".busy"))
    return [card.text for card in browser.all(".photograph")]


def written_by_colorize(path, out, *options):
    from stages.colorize import command

    result = CliRunner().invoke(command, [str(part) for part in (path, "--out", out, *options)])
    assert result.exit_code == 0, result.output
    return (out / path.name).read_bytes()


def test_a_visit(keras, browser, results, program, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    old, other = photograph(tmp_path / NASTY, 300, 480), photograph(tmp_path / "other.png", 120, 90, 1)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photograph")
    photograph(tmp_path / "large.png", 1200, 1000)
    choose(browser, old, bad, other, tmp_path / "large.png")
    texts = finished(browser)
    assert texts[0].startswith(NASTY) and "Done: 480 × 300 pixels" in texts[0] and browser.all(".name img") == []
    assert "Not coloured: not an image of a known format, or its header is broken." in texts[1]
    assert "Done: 90 × 120 pixels" in texts[2]
    assert "Not coloured: 1000 x 1200 pixels are more than 1 megapixels" in texts[3]
    assert browser.one("#summary").text == "2 of 4 photographs coloured, 2 failed"

    card = browser.all(".photograph")[0]
    cut = "getComputedStyle(document.querySelector('.clipped')).clipPath"
    assert browser.run(cut) == "inset(0px 50% 0px 0px)"
    loaded = "[...document.querySelector('.photograph').querySelectorAll('img')].map((e) => e.naturalWidth)"
    browser.until(lambda: browser.run(loaded) == [480, 480])
    slider = card.find_element("css selector", ".slider")
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert browser.run(cut) == "inset(0px 48% 0px 0px)"
    assert slider.get_attribute("aria-valuetext") == "52 % before, the rest after"
    width = card.find_element("css selector", ".stack").size["width"]
    ActionChains(browser.driver).move_to_element(slider).click_and_hold().move_by_offset(width // 4, 9).perform()
    ActionChains(browser.driver).release().perform()
    assert abs(float(slider.get_attribute("value")) - 75) <= 2
    picture = browser.run("document.querySelector('.stack').getBoundingClientRect().toJSON()")
    x, y = picture["x"] + width / 2, picture["y"] + 20
    for kind, points in (
        ("touchStart", [{"x": x, "y": y}]), ("touchMove", [{"x": x - width / 8, "y": y}]),
        ("touchMove", [{"x": x - width / 4, "y": y}]), ("touchEnd", []),
    ):  # fmt: skip
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert abs(float(slider.get_attribute("value")) - 25) <= 3

    first = downloaded(browser, card, tmp_path)
    assert first == written_by_colorize(old, tmp_path / "first")
    browser.run("performance.clearResourceTimings()")
    Select(card.find_element("css selector", ".run")).select_by_visible_text("dot_lr1e-3_noembed")
    saturation = card.find_element("css selector", ".saturation")
    saturation.send_keys(*[Keys.ARROW_RIGHT] * 10)
    assert card.find_element("css selector", ".factor").text == "1.5"
    finished(browser)
    moved = (
        "(() => { const card = document.querySelector('.photograph'); "
        "card.querySelector('.saturation').dispatchEvent(new Event('input')); "
        "return card.querySelector('.download').hidden; })()"
    )
    assert browser.run(moved)  # until it has these settings
    finished(browser)
    again = ("--run", results / "dot_lr1e-3_noembed", "--saturation", "1.5")
    second = downloaded(browser, card, tmp_path)
    assert second != first and second == written_by_colorize(old, tmp_path / "second", *again)
    uploads = "performance.getEntriesByType('resource').filter((e) => e.name.includes('photographs?name')).length"
    assert browser.run(uploads) == 0

    card.find_element("css selector", ".all").click()
    finished(browser)
    third = downloaded(browser, browser.all(".photograph")[2], tmp_path)
    assert third == written_by_colorize(other, tmp_path / "second", *again)

    without_a_label = browser.run(
        "[...document.querySelectorAll('input, select, button, a[href]')].filter((e) => !(e.labels?.length || "
        "e.getAttribute('aria-label') || e.textContent.trim())).map((e) => e.outerHTML)"
    )
    assert without_a_label == []
    wide(browser, 360)
    assert browser.run("innerWidth") == 360 and browser.run("document.documentElement.scrollWidth") <= 360
    browser.all(".remove")[1].click()
    assert browser.driver.switch_to.active_element == browser.all(".remove")[1]
    until(lambda: len(stored(program)) == 3)
    browser.driver.get("about:blank")
    until(lambda: stored(program) == [])
    browser.driver.get(program.address)


def downloaded(browser, card, tmp_path):
    """Click the card's link, and return the bytes."""
    folder = tmp_path / "downloads"
    card.find_element("css selector", ".download").click()

    (path,) = browser.until(lambda: [path for path in folder.glob("*-coloured.*") if path.suffix != ".crdownload"])
    content = path.read_bytes()
    path.unlink()
    return content


def stored(program):
    """Return the folders of the program's photographs."""
    return [path for folder in program.scratch.iterdir() for path in folder.iterdir()]


def test_too_many_or_too_large_photographs_are_not_uploaded(browser, tmp_path):
    (tmp_path / "huge.jpg").write_bytes(b"\0" * 2_000_001)
    paths = [photograph(tmp_path / f"{number}.png", 24, 24) for number in range(21)]
    browser.one("#choose").send_keys("\n".join(map(str, [tmp_path / "huge.jpg", *paths])))
    refused = [item.text for item in browser.all("#refused li")]
    assert refused == ["huge.jpg: larger than 2 MB.", "20.png: at most 20 at once; remove some first."]
    assert len(browser.all(".photograph")) == 20


def test_a_photograph_can_be_dropped_anywhere(browser):
    browser.driver.execute_script("""
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array([1, 2])], "dropped.jpg"));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    """)
    (text,) = finished(browser)
    assert text.startswith("dropped.jpg") and "Not coloured: not an image" in text


def test_ctrl_c_deletes_all_photographs_and_says_so(program, started, tmp_path):
    started.driver.get(program.address)
    choose(started, photograph(tmp_path / "a.png", 900, 900))
    program.end()
    assert program.process.returncode == 0 and program.lines[-1].startswith("serve: ")
    assert "Traceback" not in "".join(program.lines)
    assert list(program.scratch.iterdir()) == []
    started.until(lambda: started.one("#lost").is_displayed() or started.all(".problem:not([hidden])"))

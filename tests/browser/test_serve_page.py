"""`python -m stages serve` in a browser."""

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from urllib.parse import urlsplit

import chromium
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from selenium.webdriver.support.ui import WebDriverWait
from small_disk import Disk
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

    def __init__(self, results, scratch, port=0):
        self.scratch = scratch
        self.scratch.mkdir(exist_ok=True)
        arguments = [sys.executable, "-m", "stages", "serve", "--port", str(port), "--max-megabytes", "2"]
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


def wide(browser, width):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def photograph(path, height, width, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (height // 12, width // 12), dtype=np.uint8)
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path


def choose(browser, *paths, already=0):
    browser.one("#choose").send_keys("\n".join(map(str, paths)))
    browser.until(lambda: len(browser.all(".photograph")) == already + len(paths))


def finished(browser):
    """Wait until every photograph on the page is coloured or has failed."""
    WebDriverWait(browser.driver, 60).until(lambda _: not browser.all(".busy"))
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
    assert "Not coloured: 1000 x 1200 pixels are more than 1 megapixels" in texts[3] and "--max-megapixels" in texts[3]
    browser.until(lambda: browser.one("#summary").text == "2 of 4 photographs coloured, 2 failed")
    browser.one("#failed").click()
    assert [card.is_displayed() for card in browser.all(".photograph")] == [False, True, False, True]
    browser.one("#failed").click()

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


def box(folder, photographs):
    """A folder of photographs, in subfolders, and of other files."""
    for number in range(photographs):
        path = folder / f"19{number % 3}0" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        photograph(path, 24, 36, number)
    (folder / "huge.jpg").write_bytes(b"\0" * 2_000_001)
    for name in ("notes.txt", ".hidden.jpg", "1900/Thumbs.db"):
        (folder / name).write_bytes(b"x")
    return folder


def asks_before_it_is_left(browser):
    return browser.run(
        "(() => { const leaving = new Event('beforeunload', { cancelable: true }); "
        "dispatchEvent(leaving); return leaving.defaultPrevented; })()"
    )


def answer(browser, yes):
    alert = browser.driver.switch_to.alert
    text = alert.text
    (alert.accept if yes else alert.dismiss)()
    return text


def test_a_whole_folder_is_coloured_and_downloaded(browser, program, tmp_path):
    folder = box(tmp_path / "box", 25)
    assert not asks_before_it_is_left(browser)
    browser.one("#folder").send_keys(str(folder))
    browser.until(lambda: len(browser.all(".photograph")) == 25)
    assert asks_before_it_is_left(browser)
    others, large = [item.text for item in browser.all("#refused li")]
    assert others.endswith(": box/.hidden.jpg, box/1900/Thumbs.db, box/notes.txt.") and "2 MB" in large
    assert large.endswith(": box/huge.jpg.")
    most = 0
    while browser.all(".busy"):
        most = max(most, len(browser.all(".busy progress:not([hidden])")))
    assert 1 <= most <= 4  # three that are uploaded, and one that is just finished
    browser.until(lambda: browser.one("#summary").text == "25 of 25 photographs coloured")
    assert asks_before_it_is_left(browser)

    browser.one("#archive").click()
    (path,) = browser.until(lambda: list((tmp_path / "downloads").glob("*.zip")))
    with zipfile.ZipFile(path) as packed:
        names = [f"box/19{number % 3}0/{number}-coloured.png" for number in range(25)]
        assert sorted(packed.namelist()) == sorted(names) and packed.testzip() is None
        assert packed.read(names[7]) == written_by_colorize(folder / "1910" / "7.png", tmp_path / "out")
    assert not asks_before_it_is_left(browser)

    choose(browser, photograph(tmp_path / "more.png", 24, 24), already=25)
    assert asks_before_it_is_left(browser)
    finished(browser)
    browser.until(lambda: browser.one("#clear").is_displayed())
    browser.one("#clear").click()
    until(lambda: len(stored(program)) == 1)
    browser.one("#choose").send_keys(f"{folder / '1900' / '0.png'}\n{folder / 'notes.txt'}")
    assert "Not coloured" in finished(browser)[2]
    browser.one("#remove").click()
    assert "3 photographs" in answer(browser, yes=False) and len(browser.all(".photograph")) == 3
    browser.one("#remove").click()
    assert "2 coloured ones were not downloaded" in answer(browser, yes=True)
    assert browser.all(".photograph") == []
    until(lambda: stored(program) == [])
    assert not asks_before_it_is_left(browser)


def test_a_photograph_is_viewed_at_100_percent(browser, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    choose(browser, photograph(tmp_path / "a.png", 720, 1320))
    finished(browser)
    for width in (1280, 360):
        wide(browser, width)
        button = browser.one("button.whole")
        button.send_keys(Keys.ENTER)
        browser.until(lambda: browser.one("#whole-note").text == "Guessed colours, 100 %.")
        after, before = browser.all("#whole-pan img")
        assert after.size == {"width": 1320, "height": 720}
        assert browser.run("document.documentElement.scrollWidth") <= width
        place = "[document.getElementById('whole-pan').scrollLeft, document.getElementById('whole-pan').scrollTop]"
        x = browser.run(place)[0]
        assert abs(x - (1320 - browser.one("#whole-pan").size["width"]) / 2) < 20
        browser.press(Keys.ARROW_LEFT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        moved = browser.run(place)[0]
        assert moved > x
        ActionChains(browser.driver).move_to_element(browser.one("#whole-pan")).click_and_hold().move_by_offset(
            20, 0
        ).release().perform()
        assert browser.run(place)[0] == moved - 20
        ActionChains(browser.driver).move_by_offset(30, 0).perform()
        here = browser.run(place)
        assert here[0] == moved - 20
        browser.one("#whole-original").click()
        browser.until(lambda: browser.one("#whole-note").text == "Original, 100 %.")
        assert before.is_displayed() and browser.run(place) == here
        browser.one("#whole-original").click()
        assert not before.is_displayed() and browser.one("#whole-note").text == "Guessed colours, 100 %."
        browser.press(Keys.ESCAPE)
        browser.until(lambda: not browser.one("#whole").is_displayed())
        assert browser.driver.switch_to.active_element == button
    points = browser.run("document.querySelector('button.whole').getBoundingClientRect().toJSON()")
    assert points["width"] > 0
    button.click()
    browser.until(lambda: browser.one("#whole-note").text == "Guessed colours, 100 %.")
    x = browser.run(place)[0]
    for kind, at in (("touchStart", [200]), ("touchMove", [170]), ("touchMove", [100]), ("touchEnd", [])):
        points = [{"x": x, "y": 300} for x in at]
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    browser.until(lambda: browser.run(place)[0] > x + 40)
    browser.one("#whole-close").click()
    assert not browser.one("#whole").is_displayed()


def test_the_page_goes_on_when_the_program_is_started_again(started, results, tmp_path):
    first = Program(results, tmp_path / "scratch")
    wide(started, 1280)
    started.driver.get(first.address)
    paths = [photograph(tmp_path / f"{number}.png", 24, 36, number) for number in range(6)]
    choose(started, *paths[:3])
    finished(started)
    first.end()
    started.one("#choose").send_keys("\n".join(map(str, paths[3:])))
    started.until(lambda: started.one("#lost").is_displayed())
    assert len(started.all(".busy")) == 3 and started.all(".problem:not([hidden])") == []
    second = Program(results, tmp_path / "scratch", urlsplit(first.address).port)
    try:
        WebDriverWait(started.driver, 30).until(lambda _: not started.one("#lost").is_displayed())
        texts = finished(started)
        assert all("started again" in text for text in texts[:3]) and all("Done" in text for text in texts[3:])
        started.all(".again")[0].click()
        texts = finished(started)
        assert "Done" in texts[0] and "started again" in texts[1]
        started.until(lambda: started.one("#again").text == "Try 2 failed again")
        paths[2].unlink()
        started.one("#again").click()
        assert "cannot be read: it was moved" in finished(started)[2]
        started.until(lambda: started.one("#summary").text == "5 of 6 photographs coloured, 1 failed")
    finally:
        second.end()
    third = Program(tmp_path / "results", tmp_path / "scratch", urlsplit(first.address).port)  # without these runs
    try:
        WebDriverWait(started.driver, 30).until(lambda _: started.one("#outdated").is_displayed())
    finally:
        third.end()
        started.driver.get("about:blank")


def test_the_page_waits_for_room_on_a_full_disk(started, results, tmp_path):
    disk = Disk(tmp_path / "disk")
    program = Program(results, disk.path)
    try:
        started.driver.get(program.address)
        choose(started, photograph(tmp_path / "a.png", 24, 36))
        finished(started)
        disk.leave(0)
        started.one("#choose").send_keys(str(photograph(tmp_path / "b.png", 600, 900)))
        started.until(lambda: started.one("#room").is_displayed())
        assert f"{disk.path}" in started.one("#room").text
        disk.remount("size=64m")
        started.all(".remove")[0].click()
        assert "Done: 900 × 600" in finished(started)[0] and not started.one("#room").is_displayed()
    finally:
        program.end()
        disk.unmount()
        started.driver.get("about:blank")


def test_a_photograph_can_be_dropped_anywhere(browser):
    browser.driver.execute_script("""
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array([1, 2])], "dropped.jpg"));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    """)
    (text,) = finished(browser)
    assert text.startswith("dropped.jpg") and "Not coloured: not an image" in text


def test_a_folder_can_be_dropped(browser, tmp_path):
    folder = box(tmp_path / "box", 4)
    at = {"x": 200, "y": 300, "data": {"items": [], "files": [str(folder)], "dragOperationsMask": 1}}
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.driver.execute_cdp_cmd("Input.dispatchDragEvent", at | {"type": kind})
    browser.until(lambda: len(browser.all(".photograph")) == 4)
    texts = finished(browser)
    names = ["box/1900/0.png", "box/1900/3.png", "box/1910/1.png", "box/1920/2.png"]
    assert [text.splitlines()[0] for text in texts] == names and all("Done" in text for text in texts)
    assert "box/notes.txt" in browser.one("#refused").text and "box/huge.jpg" in browser.one("#refused").text


def test_ctrl_c_deletes_all_photographs_and_says_so(program, started, tmp_path):
    started.driver.get(program.address)
    choose(started, photograph(tmp_path / "a.png", 900, 900))
    program.end()
    assert program.process.returncode == 0 and program.lines[-1].startswith("serve: ")
    assert "Traceback" not in "".join(program.lines)
    assert list(program.scratch.iterdir()) == []
    started.until(lambda: started.one("#lost").is_displayed() or started.all(".problem:not([hidden])"))

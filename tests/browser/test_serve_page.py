"""`python -m stages serve`: the runs that it reads, what stands in its way, and a visit with a real browser."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import chromium
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from tiny import ROOT, make_run, until

from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.serve import runs

pytest.importorskip("uvicorn", reason="the extra serve is not installed")
NASTY = '<img src=x onerror=alert(1)> "Oma\'s" Bild é 100%.jpg'


@pytest.fixture(scope="module")
def made(_started, tmp_path_factory):
    """``results/`` with two runs."""
    folder = tmp_path_factory.mktemp("made") / "results"
    make_run(folder, "dot_lr1e-2_noembed", (150.0, 160.0), findings=["RMSE 12.00, 15.00 for gray: better."])
    make_run(folder, "dot_lr1e-3_noembed", (110.0, 150.0))
    return folder


def test_runs_are_read_without_their_networks(made, tmp_path):
    one, two = runs.finished(made)
    assert (one.name, one.random, one.findings) == (
        "dot_lr1e-2_noembed",
        False,
        ("RMSE 12.00, 15.00 for gray: better.",),
    )
    assert two.findings == ()
    copy = shutil.copytree(made, tmp_path / "results")
    record = yaml.safe_load((copy / two.name / "run.yaml").read_text()) | {
        "embedding": {"weights": "random", "seed": 3}
    }
    (copy / two.name / "run.yaml").write_text(yaml.safe_dump(record))
    files.write_listing(copy / two.name)
    assert runs.read(copy / two.name).random and "RANDOM (seed 3" in runs.read(copy / two.name).weights
    (copy / one.name / "model.keras").write_bytes(b"x")
    assert [run.name for run in runs.finished(copy)] == [two.name]
    (copy / two.name / "model.keras").unlink()
    with pytest.raises(InputError, match=r"expected a finished run, received none; train one"):
        runs.finished(copy)


@pytest.fixture
def call(tmp_path, monkeypatch):
    from stages.serve import command

    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        result = CliRunner().invoke(command, [str(argument) for argument in arguments])
        assert result.exit_code == 2 and len(result.stderr.strip().splitlines()) == 1, result.output
        return result.stderr

    return call


def test_what_stands_in_the_way_is_one_line(call, made, tmp_path):
    run = made / "dot_lr1e-2_noembed"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"--port: expected a free port of 127.0.0.1, received {port}: " in call("--run", run, "--port", port)
    for host in ("0.0.0.0", "192.168.0.1", "example.org", "::"):
        assert "--host: expected 127.0.0.1, ::1 or localhost" in call("--run", run, "--host", host)
    assert "expected a finished run, received none" in call()
    assert "expected the results of a run, received no run.yaml" in call("--run", tmp_path)


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_a_missing_extra_is_named(call, monkeypatch, package):
    for module in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, "pipeline.serve.server")
    monkeypatch.delattr("pipeline.serve.server")
    monkeypatch.setitem(sys.modules, package, None)
    told = call()
    assert f"received no {package}; in DeepColor's folder: pip install '.[serve]'" in told


class Program:
    """`python -m stages serve` as a person starts it."""

    def __init__(self, made, folder):
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        arguments = [sys.executable, "-m", "stages", "serve", "--port", "0", "--max-megabytes", "2"]
        arguments += ["--max-megapixels", "1", "--set", f"root={made.parent}"]
        environment = os.environ | {"TMPDIR": str(self.scratch), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        self.told = []
        for line in self.process.stderr:
            self.told.append(line)
            if found := re.search(r"open (http://127\.0\.0\.1:\d+/) in a browser", line):
                self.address = found[1]
                return
        raise AssertionError("".join(self.told))

    def end(self):
        os.killpg(self.process.pid, signal.SIGINT)  # as a terminal does
        self.told += self.process.communicate(timeout=20)[1].splitlines(keepends=True)


@pytest.fixture(scope="module")
def program(made, tmp_path_factory):
    found = Program(made, tmp_path_factory.mktemp("program"))
    yield found
    found.process.kill()
    found.process.communicate()


@pytest.fixture(scope="module")
def started():
    found = chromium.Browser()
    yield found
    found.driver.quit()


@pytest.fixture
def browser(started, program, tmp_path):
    """The browser on the page; afterwards no error on its console, and nothing asked of another machine."""
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
    asked = set()
    for entry in drive.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
            parts = message["params"]
            asked.add(urlsplit(parts["request"]["url"] if "request" in parts else parts["url"])[:2])
    assert asked - {("data", ""), ("about", ""), ("chrome", "newtab")} == {urlsplit(program.address)[:2]}
    assert started.errors() == []


def wide(browser, width):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def photograph(path, height, width, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (height // 12, width // 12), dtype=np.uint8)
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path


def bring(browser, *paths):
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


def test_a_visit(keras, browser, made, program, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    old, other = photograph(tmp_path / NASTY, 300, 480), photograph(tmp_path / "other.png", 120, 90, 1)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photograph")
    photograph(tmp_path / "large.png", 1200, 1000)
    bring(browser, old, bad, other, tmp_path / "large.png")
    texts = finished(browser)
    assert texts[0].startswith(NASTY) and "Done: 480 × 300 pixels" in texts[0] and browser.all(".name img") == []
    assert "Not coloured: not an image of a known format, or its header is broken." in texts[1]
    assert "Done: 90 × 120 pixels" in texts[2]
    assert "Not coloured: 1000 x 1200 pixels are more than 1 megapixels" in texts[3]
    assert browser.one("#told").text == "2 of 4 photographs coloured, 2 failed"

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
    run = made / "dot_lr1e-2_noembed"
    assert first == written_by_colorize(old, tmp_path / "first", "--run", run)
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
    assert browser.run(moved)  # until it is coloured so
    finished(browser)
    again = ("--run", made / "dot_lr1e-3_noembed", "--saturation", "1.5")
    second = downloaded(browser, card, tmp_path)
    assert second != first and second == written_by_colorize(old, tmp_path / "second", *again)
    sent = "performance.getEntriesByType('resource').filter((e) => e.name.includes('photographs?name')).length"
    assert browser.run(sent) == 0

    card.find_element("css selector", ".all").click()
    finished(browser)
    third = downloaded(browser, browser.all(".photograph")[2], tmp_path)
    assert third == written_by_colorize(other, tmp_path / "second", *again)

    nameless = browser.run(
        "[...document.querySelectorAll('input, select, button, a[href]')].filter((e) => !(e.labels?.length || "
        "e.getAttribute('aria-label') || e.textContent.trim())).map((e) => e.outerHTML)"
    )
    assert nameless == []
    wide(browser, 360)
    assert browser.run("innerWidth") == 360 and browser.run("document.documentElement.scrollWidth") <= 360
    browser.all(".remove")[1].click()
    assert browser.driver.switch_to.active_element == browser.all(".remove")[1]
    until(lambda: len(kept(program)) == 3)
    browser.driver.get("about:blank")
    until(lambda: kept(program) == [])
    browser.driver.get(program.address)


def downloaded(browser, card, tmp_path):
    """The bytes that the card's link gives."""
    folder = tmp_path / "downloads"
    card.find_element("css selector", ".download").click()

    def whole():
        found = list(folder.iterdir())
        return found if found and "-coloured." in found[0].name and found[0].suffix != ".crdownload" else ()

    (path,) = browser.until(whole)
    content = path.read_bytes()
    path.unlink()
    return content


def kept(program):
    """The photographs that the program has."""
    return [path for folder in program.scratch.iterdir() for path in folder.iterdir()]


def test_too_many_or_too_large_are_not_sent(browser, tmp_path):
    (tmp_path / "huge.jpg").write_bytes(b"\0" * 2_000_001)
    paths = [photograph(tmp_path / f"{number}.png", 24, 24) for number in range(21)]
    browser.one("#choose").send_keys("\n".join(map(str, [tmp_path / "huge.jpg", *paths])))
    told = [item.text for item in browser.all("#refused li")]
    assert told == ["huge.jpg: larger than 2 MB.", "20.png: at most 20 at once; remove some first."]
    assert len(browser.all(".photograph")) == 20


def test_a_dropped_photograph_is_taken_wherever_it_falls(browser):
    browser.driver.execute_script("""
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array([1, 2])], "dropped.jpg"));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    """)
    (text,) = finished(browser)
    assert text.startswith("dropped.jpg") and "Not coloured: not an image" in text


def test_ctrl_c_ends_it_with_a_line_and_leaves_nothing(program, started, tmp_path):
    started.driver.get(program.address)
    bring(started, photograph(tmp_path / "a.png", 900, 900))
    program.end()
    assert program.process.returncode == 0 and program.told[-1].startswith("serve: ")
    assert "Traceback" not in "".join(program.told)
    assert list(program.scratch.iterdir()) == []
    started.until(lambda: started.one("#lost").is_displayed() or started.all(".problem:not([hidden])"))

"""`python -m stages serve` as a program, and what one does on its page in a browser."""

import os
import re
import signal
import subprocess
import sys

import numpy as np
from click.testing import CliRunner
from PIL import Image
from selenium.webdriver.support.ui import WebDriverWait
from tiny import ROOT

NASTY = '<img src=x onerror=alert(1)> "Oma\'s" Bild é 100%.jpg'


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

"""The command `colorize`: its exit status, kills and memory."""

import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import tifffile
from commands import colorize
from PIL import Image
from tiny import ROOT, gray_photograph


def test_the_command_tells_how_it_went_by_its_status(keras, made_run, folder, tmp_path):
    given = (folder, "--run", made_run, "--out", tmp_path / "out")
    done = colorize(*given)
    assert done.exit_code == 0 and "colorize: 3 coloured, 0 skipped, 0 failed" in done.stderr
    (folder / "c.jpg").write_bytes(b"broken")
    failed = colorize(*given)
    assert failed.exit_code == 1 and f"failed: {folder / 'c.jpg'}: not an image" in failed.stderr
    for wrong, expected in (
        (("--size", 3), "--size: expected a number of pixels in 8..4096, received 3"),
        (("--saturation", "nan"), "--saturation: expected a factor"),
        (("--compare", "--ab-only"), "--compare: "),
        (("--run", tmp_path), "error: "),
        (("--out", folder / "x"), "--out "),
    ):
        refused = colorize(*given, *wrong)
        assert refused.exit_code == 2 and expected in refused.stderr and len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("streams", [">&- 2>&-", "2>/dev/full"])
def test_messages_that_cannot_be_printed_stop_nothing(folder, tmp_path, streams):
    command = f"exec {sys.executable} -m stages colorize {folder} --out {tmp_path / 'out'} {streams}"
    assert subprocess.run(["sh", "-c", command], cwd=ROOT).returncode == 0
    assert (tmp_path / "out" / "a.png").exists()


@pytest.mark.long
def test_a_call_that_is_killed_goes_on_and_ends_with_the_same_files(made_run, tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    for number in range(60):
        Image.fromarray(gray_photograph(600, 800, number)).save(root / f"{number}.png")
    command = [sys.executable, "-m", "stages", "colorize", str(root), "--run", str(made_run), "--out"]
    once, killed = tmp_path / "once", tmp_path / "killed"
    assert subprocess.run([*command, str(once)], cwd=ROOT).returncode == 0
    while len(list(killed.glob("*.png"))) < 55:
        before = len(list(killed.glob("*.png")))
        process = subprocess.Popen([*command, str(killed)], cwd=ROOT)
        while process.poll() is None and len(list(killed.glob("*.png"))) < before + 15:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert subprocess.run([*command, str(killed)], cwd=ROOT).returncode == 0
    assert not list(killed.glob(".*.tmp*"))
    for path in once.glob("*.png"):
        assert path.read_bytes() == (killed / path.name).read_bytes()


@pytest.mark.long
@pytest.mark.parametrize(("name", "gib"), [("gray.jpg", 1.0), ("rgb.jpg", 1.2), ("rgb16.tif", 1.9), ("rgb16.png", 3.4)])
def test_100_megapixels_take_no_more_memory_than_documented(tmp_path, name, gib):
    rng = np.random.default_rng(0)
    plane = np.tile(gray_photograph(1000, 1000), (10, 10)).astype(np.uint16) * 200
    shape = plane.shape if "gray" in name else (*plane.shape, 3)
    pixels = plane.reshape(*plane.shape, *[1] * (len(shape) - 2)) + rng.integers(0, 10_000, shape, np.uint16)
    if name.endswith(".jpg"):
        Image.fromarray((pixels >> 8).astype(np.uint8)).save(tmp_path / name, quality=92)
    elif name.endswith(".tif"):
        tifffile.imwrite(tmp_path / name, pixels, photometric="rgb")
    else:
        assert cv2.imwrite(str(tmp_path / name), pixels)
    # Linux counts a parent's memory in ru_maxrss of its child, but not in VmHWM.
    code = (
        "import sys; from stages.colorize import command\n"
        "try: command(sys.argv[1:])\n"
        "finally: print(*[line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')])"
    )
    arguments = [tmp_path / name, "--out", tmp_path / "out"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) / 2**20 < gib + 0.1  # as in docs/colorize.md
    assert (tmp_path / "out" / name).exists()

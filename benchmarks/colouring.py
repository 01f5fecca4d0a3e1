"""Colouring photographs from the shell with the network that comes with DeepColor, start included."""

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import ROOT, Line, Ratio, in_turn, median, quotients

ROUNDS, STARTS = 5, 15
FOLDER = 10  # photographs
GIB = 2**30
IMPORTS = "import numpy, PIL.Image, onnxruntime"
# The same network in Keras.
TENSORFLOW = """
import sys
from pathlib import Path
from pipeline.colorize import predictors
from pipeline.colorize.batch import colorize_files
from pipeline.colorize.colorizer import Colorizer
from pipeline.config.paths import SHIPPED
from pipeline.results.record import read_record
load = lambda: Colorizer(predictors.load(SHIPPED, read_record(SHIPPED), None, 2, None))
assert colorize_files([Path(sys.argv[1])], Path(sys.argv[2]), load).done
"""
PHOTOGRAPH = """
import sys
import cv2
import numpy as np
from PIL import Image
height = round((float(sys.argv[2]) * 1e6 * 3 / 4) ** 0.5)
rng = np.random.default_rng(int(sys.argv[3]))
smooth = cv2.resize(rng.normal(128, 50, (12, 16)), (height * 4 // 3, height), interpolation=cv2.INTER_CUBIC)
noisy = np.clip(smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
Image.fromarray(noisy).save(sys.argv[1], quality=90)
"""
RECODE = """
import sys
from PIL import Image
for path in sys.argv[1:]:
    Image.open(path).convert("RGB").save("recoded.jpg", quality=95, subsampling=0)
"""


def _photograph(path: Path, megapixels: float, seed: int) -> Path:
    """Write a gray JPEG with noise, 4 to 3.

    Another process does, because Linux counts the memory of this one in the peak of those that it starts.
    """
    _process(path.parent, "-c", PHOTOGRAPH, path, megapixels, seed)
    return path


def _process(folder: Path, *arguments: object) -> int:
    """Run Python; return its peak memory in bytes."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ORT_DISABLE_TELEMETRY": "1"}
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)], cwd=folder, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{arguments}: status {process.returncode}")
    return usage.ru_maxrss * 1024


def colouring() -> list[Line]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        small, large, huge = (_photograph(folder / f"{size}.jpg", size, size) for size in (2, 12, 100))
        many = folder / "many"
        many.mkdir()
        for number in range(FOLDER):
            _photograph(many / f"{number}.jpg", 12, number)

        numbers = itertools.count()

        def colorize(what: Path) -> Callable[[], object]:
            # Into another folder each time, because what is done is skipped.
            return lambda: _process(folder, "-m", "stages", "colorize", what, "--out", f"out-{next(numbers)}")

        cold, imports = in_turn(colorize(small), lambda: _process(folder, "-c", IMPORTS), rounds=STARTS)
        shorter, longer, keras = in_turn(
            colorize(small),
            colorize(large),
            lambda: _process(folder, "-c", TENSORFLOW, large, f"keras-{next(numbers)}"),
            rounds=ROUNDS,
        )
        together, recoded = in_turn(
            colorize(many), lambda: _process(folder, "-c", RECODE, *sorted(many.iterdir())), rounds=3
        )
        peak = max(_process(folder, "-m", "stages", "colorize", huge, "--out", f"huge-{n}") for n in range(2))
    return [
        Line(
            "colorize, one photograph of 2 megapixels, from the shell",
            f"{median(cold):.2f} s",
            f"`python -c '{IMPORTS}'`: {median(imports):.2f} s",
            quotients(cold, imports),
            3.0,
            at_least=False,
        ),
        Line(
            "colorize, 12 instead of 2 megapixels; limit 3 s more",
            f"{median(longer):.2f} s",
            f"2 megapixels: {median(shorter):.2f} s; the same network in TensorFlow: {median(keras):.2f} s",
            Ratio.of([(a - b) / 3 for a, b in zip(longer, shorter, strict=True)]),
            1.0,
            at_least=False,
        ),
        Line(
            f"colorize, {FOLDER} photographs of 12 megapixels; 5 in 10 s",
            f"{FOLDER / median(together) * 10:.1f} in 10 s",
            f"decoding and encoding alone: {FOLDER / median(recoded) * 10:.1f} in 10 s",
            Ratio.of([FOLDER / each * 10 / 5 for each in together]),
            1.0,
        ),
        Line(
            "colorize, peak memory of a gray JPEG of 100 megapixels; limit 2 GiB",
            f"{peak / GIB:.2f} GiB",
            "2 GiB",
            Ratio.of([peak / GIB / 2]),
            1.0,
            at_least=False,
        ),
    ]

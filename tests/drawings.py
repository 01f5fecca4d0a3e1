"""What figures are drawn of, and what is looked for in them."""

import math

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from pipeline.config.runs import Run
from pipeline.figures import style
from pipeline.figures.sweeps import SweepPoint
from pipeline.images import lab

NOTHING = (math.nan, None, None)


def photographs(k: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """L, predicted ab and true ab."""
    rng = np.random.default_rng(k)
    lightness, ab = lab.from_rgb(rng.integers(0, 256, (k, size, size, 3), np.uint8))
    return lightness, (0.5 * ab + 64).astype(np.float32), ab


def differences(k: int, size: int) -> np.ndarray:
    return np.random.default_rng(k).uniform(0, 60, (k, size, size))


def history(epochs: int, scale: float = 1.0) -> list[dict[str, float]]:
    return [
        {
            "epoch": epoch,
            "loss": 300 + scale * 100 / epoch,
            "mse": 290.0,
            "accuracy": 0.5 + 0.1 * epoch / epochs,
            "val_loss": 310 + scale * 100 / epoch,
            "val_mse": 300.0,
            "val_accuracy": 0.5 + 0.05 * epoch / epochs,
        }
        for epoch in range(1, epochs + 1)
    ]


def counted(ab: np.ndarray) -> np.ndarray:
    """Histogram of colours (n, 2) in 8-bit units."""
    counts = np.zeros((256, 256), np.int64)
    np.add.at(counts, (ab[:, 0], ab[:, 1]), 1)
    return counts


def cloud(a: float, b: float, spread: float, pixels: int = 5000) -> np.ndarray:
    ab = np.random.default_rng(0).normal((a + 128, b + 128), spread, (pixels, 2))
    return counted(np.clip(ab.round(), 0, 255).astype(int))


def point(name="run", accuracy=(0.55, 0.54, 0.57), ciede2000=(11.0, 10.5, 11.75), **settings) -> SweepPoint:
    run = Run(**{"architecture": "base", "learning_rate": "1e-3", "batch_size": 10, **settings})
    return SweepPoint(name, run, (accuracy, ciede2000))


def find(picture: np.ndarray, tile: np.ndarray) -> list[tuple[int, int]]:
    """Every (top, left) where `tile` stands in `picture`, pixel for pixel."""
    height, width = tile.shape[:2]
    corners = np.argwhere((picture == tile[0, 0]).all(-1))
    return [(y, x) for y, x in corners.tolist() if np.array_equal(picture[y : y + height, x : x + width], tile)]


def read(path) -> np.ndarray:
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert not {"Software", "Creation Time", "date"} & set(image.info)
        return np.asarray(image.convert("RGB"))


def has_colour(picture: np.ndarray, colour: str) -> bool:
    return bool((np.abs(picture - 255 * np.array(to_rgb(colour))).max(-1) < 8).any())


def texts(thing) -> list[str]:
    return [text.get_text() for text in thing.texts]


def legend(thing) -> list[str]:
    return [text.get_text() for text in thing.get_texts()]


def inside(figure) -> bool:
    """Whether nothing is cut off at the figure's edges."""
    with style.style():
        figure.draw_without_rendering()
        x0, y0, x1, y1 = figure.get_tightbbox().extents
    width, height = figure.get_size_inches()
    return x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height

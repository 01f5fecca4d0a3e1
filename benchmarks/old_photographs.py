"""How much what happens to old photographs changes their colours: tone, fading, grain, scratches and borders.

    python -m benchmarks.old_photographs PHOTOGRAPHS

PHOTOGRAPHS is the folder of pipeline/weights/photographs.csv. Takes 40 of its validation photographs as gray ones, with
and without such a change, colours both, and compares the colours under the same lightness.
"""

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage.color import deltaE_ciede2000, lab2rgb, rgb2lab

from pipeline.colorize import colorizer
from pipeline.colorize.borders import inside_of
from pipeline.config.paths import SHIPPED, ResultFiles

TAKEN, WIDTH = 40, 20
RNG = np.random.default_rng(0)


def sepia(levels: np.ndarray) -> np.ndarray:
    """Tone a gray photograph; lightness stays."""
    lightness = rgb2lab(np.dstack([levels] * 3))[..., 0]
    curve = 4 * lightness / 100 * (1 - lightness / 100)
    toned = lab2rgb(np.dstack([lightness, 2 + 10 * curve, 8 + 30 * curve]))
    return np.asarray(np.rint(255 * np.clip(toned, 0, 1)), np.uint8)


def faded(levels: np.ndarray) -> np.ndarray:
    """Reduce the range of the levels to 60..210."""
    return np.asarray(60 + levels * (150 / 255), np.uint8)


def grainy(levels: np.ndarray) -> np.ndarray:
    """Add grain of two pixels."""
    grain = cv2.GaussianBlur(RNG.normal(0, 1, levels.shape), (0, 0), 0.8)
    return np.asarray(np.clip(levels + 12 * grain / grain.std(), 0, 255), np.uint8)


def scratched(levels: np.ndarray) -> np.ndarray:
    """Draw 12 white scratches and 60 specks."""
    out = levels.copy()
    height, width = out.shape
    for x, y, dx, dy in RNG.integers((0, 0, -20, 20), (width, height, 20, 120), (12, 4)).tolist():
        cv2.line(out, (x, y), (x + dx, y + dy), 250, 1)
    for x, y in RNG.integers((0, 0), (width, height), (60, 2)).tolist():
        cv2.circle(out, (x, y), 1, 245, -1)
    return out


def bordered(tone: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that puts a noisy border around a photograph."""

    def bordered(levels: np.ndarray) -> np.ndarray:
        full = np.pad(levels.astype(np.float32), WIDTH, constant_values=tone)
        full += RNG.normal(0, 3, full.shape)
        full[WIDTH:-WIDTH, WIDTH:-WIDTH] = levels
        return np.asarray(np.clip(full, 0, 255), np.uint8)

    return bordered


CHANGES = {
    "sepia": sepia, "faded to 60..210": faded, "grain of 12 levels": grainy, "scratches and specks": scratched,
    "white border": bordered(240), "dark border": bordered(20),
}  # fmt: skip


def rough(ab: np.ndarray) -> float:
    """Return how much a* and b* vary from pixel to pixel: the root mean square distance from their blurred selves."""
    return float(np.sqrt(((ab - cv2.GaussianBlur(ab, (0, 0), 2)) ** 2).sum(axis=-1).mean()))


def main(folder: Path) -> None:
    """Print a line for each change."""
    with ResultFiles(SHIPPED).photographs.open(newline="", encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file) if row["partition"] == "validation"]
    colour = colorizer.Colorizer.load()
    found: dict[str, list[tuple[float, float]]] = {}

    def compare(change: str, levels: np.ndarray, own: np.ndarray) -> None:
        lab = rgb2lab(colour(levels))
        inside = [(have - want) // 2 for have, want in zip(lab.shape, own.shape, strict=True)][:2]
        ab = lab[inside[0] : inside[0] + own.shape[0], inside[1] : inside[1] + own.shape[1], 1:]
        difference = deltaE_ciede2000(np.dstack([own[..., 0], ab]), own).mean()
        found.setdefault(change, []).append((float(difference), rough(ab) / max(rough(own[..., 1:]), 0.1)))

    for name in np.random.default_rng(1).permutation(names)[:TAKEN]:
        levels = np.asarray(Image.open(folder / name).convert("L"))
        own = rgb2lab(colour(levels))
        for change, apply in CHANGES.items():
            changed = apply(levels)
            compare(change, changed, own)
            if "border" in change:
                colorizer.inside_of = lambda photograph, lightness: None
                compare(f"{change}, ignored", changed, own)
                colorizer.inside_of = inside_of
    for change, values in found.items():
        difference, roughness = np.array(values).T
        most = np.quantile(difference, 0.9)
        print(
            f"{change}: CIEDE2000 of the colours {difference.mean():.2f} (90 % below {most:.2f}), roughness "
            f"{np.median(roughness):.2f} times that without"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

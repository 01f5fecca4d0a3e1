"""How much borders around photographs change the colours inside, if they are found and if they are ignored.

    python -m benchmarks.borders PHOTOGRAPHS

PHOTOGRAPHS is the folder of pipeline/weights/photographs.csv. Takes 40 of its validation photographs, as gray ones, and
puts white and dark borders of 20 pixels around them.
"""

import csv
import sys
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from pipeline.colorize import colorizer
from pipeline.colorize.borders import border_of
from pipeline.config.paths import SHIPPED, ResultFiles

WIDTH, TAKEN, NOISE = 20, 40, 3.0


def main(folder: Path) -> None:
    """Print the mean difference inside, its 90th percentile and the border's mean chroma."""
    with ResultFiles(SHIPPED).photographs.open(newline="", encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file) if row["partition"] == "validation"]
    rng = np.random.default_rng(0)
    colour = colorizer.Colorizer.load()
    ways = {"found": border_of, "ignored": lambda lightness: (0, 0, 0, 0)}
    found: dict[tuple[int, str], list[tuple[float, float]]] = {way: [] for way in product((240, 20), ways)}
    for name in rng.permutation(names)[:TAKEN]:
        levels = np.asarray(Image.open(folder / name).convert("L"))
        own = rgb2lab(colour(levels))
        for tone, way in found:
            full = np.pad(levels.astype(np.float32), WIDTH, constant_values=tone)
            noisy = full + rng.normal(0, NOISE, full.shape)
            noisy[WIDTH:-WIDTH, WIDTH:-WIDTH] = levels
            colorizer.border_of = ways[way]
            lab = rgb2lab(colour(np.clip(noisy, 0, 255).astype(np.uint8)))
            chroma = np.hypot(lab[..., 1], lab[..., 2])
            chroma[WIDTH:-WIDTH, WIDTH:-WIDTH] = np.nan
            inside = deltaE_ciede2000(lab[WIDTH:-WIDTH, WIDTH:-WIDTH], own).mean()
            found[tone, way].append((float(inside), float(np.nanmean(chroma))))
    for (tone, way), values in found.items():
        inside, chroma = np.array(values).T
        print(
            f"border of level {tone}, {way}: CIEDE2000 inside {inside.mean():.2f} (90 % below "
            f"{np.quantile(inside, 0.9):.2f}), chroma of the border {chroma.mean():.2f}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Write the picture of hints.md: test photographs with a hint, and other colourings of them.

Usage: python -m docs.hints FOLDER

FOLDER contains the photographs of pipeline/weights/photographs.csv. Those shown are at the middles of equal parts of
the test photographs in that table.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from docs.evidence import or_stop
from pipeline.colorize.colorizer import Colorizer
from pipeline.colorize.hints import Hint
from pipeline.config.paths import SHIPPED, ResultFiles
from pipeline.core import csv_files, files
from pipeline.images import originals, saving
from pipeline.images.lab import UInt8
from pipeline.images.light import Levels

PICTURE = Path("docs/images/hints.jpg")
PHOTOGRAPHS, VARIANTS = 6, 3
COLOUR = "#1f7fd0"  # of the hint, in the middle
SIDE, GAP, DOT = 200, 2, 3  # pixels


def main() -> None:
    """Write the picture, and print the files, authors and licences of its photographs."""
    folder = Path(sys.argv[1])
    table = csv_files.read(ResultFiles(SHIPPED).photographs, ("file", "partition", "author", "licence"))
    rows = [row for row in table if row["partition"] == "test"]
    chosen = [rows[(2 * number + 1) * len(rows) // (2 * PHOTOGRAPHS)] for number in range(PHOTOGRAPHS)]
    colorizer, tiles = Colorizer.load(), []
    for row in chosen:
        levels = originals.read(folder / row["file"]).levels
        height, width = levels.shape[:2]
        seen, hint = colorizer.see(levels), Hint(width // 2, height // 2, COLOUR)
        hinted = colorizer.put(levels, seen.colours([hint]))
        hinted[hint.y - DOT : hint.y + DOT + 1, hint.x - DOT : hint.x + DOT + 1] = 255
        others = [colorizer.put(levels, seen.colours(variant=number + 1)) for number in range(VARIANTS)]
        tiles.append([levels, colorizer.put(levels, seen.colours()), hinted, *others])
        print(f"{row['file']}: {row['author']}, {row['licence']}")
    lines = [np.hstack([_tile(each) for each in line]) for line in tiles]
    with files.written_whole(PICTURE) as temporary:
        saving.save(Image.fromarray(np.vstack(lines)), temporary, "JPEG", quality=85)


def _tile(levels: Levels) -> UInt8:
    tile = Image.fromarray(levels).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.pad(np.asarray(tile), ((GAP, GAP), (GAP, GAP), (0, 0)), constant_values=255)


if __name__ == "__main__":
    or_stop(main)

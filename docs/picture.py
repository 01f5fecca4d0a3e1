"""Write the README's picture: test photographs, gray and coloured by the network that comes with DeepColor.

Usage: python -m docs.picture

The photographs are at the middles of eight equal parts of the test photographs, sorted by error. `make evidence` must
have run as far as the run `shipped`.
"""

from pathlib import Path

import numpy as np

from docs.evidence import Evidence, Row, or_stop
from pipeline.core import files
from pipeline.images import jpeg, lab
from pipeline.networks import backend

PICTURE = Path("docs/images/demo.jpg")
ROW = Row("shipped", "shipped", 0.6)
DOWN, ACROSS = 2, 4
GAP = 4  # pixels around a pair


def main() -> None:
    """Write the picture, and print the authors of its photographs."""
    evidence = Evidence()
    backend.start(evidence.config.threads, "float32")
    error = evidence.measured(ROW)["mse"]
    count = DOWN * ACROSS
    middles = (2 * np.arange(count) + 1) * len(error) // (2 * count)
    rows = evidence.rows[np.argsort(error, kind="stable")[middles]]
    lightness = evidence.data.batch(rows).truth.lightness
    gray = lab.gray_levels()[lightness][..., None].repeat(3, axis=-1)
    pairs = np.concatenate([gray, lab.to_rgb(lightness, evidence.predicted(ROW, rows))], axis=2)
    pairs = np.pad(pairs, ((0, 0), (GAP, GAP), (GAP, GAP), (0, 0)), constant_values=255)
    _, height, width, _ = pairs.shape
    grid = pairs.reshape(DOWN, ACROSS, height, width, 3).transpose(0, 2, 1, 3, 4)
    with files.written_whole(PICTURE) as temporary:
        jpeg.write_jpeg(temporary, grid.reshape(DOWN * height, ACROSS * width, 3))
    for row in rows:
        print(evidence.split[row]["id"])


if __name__ == "__main__":
    or_stop(main)

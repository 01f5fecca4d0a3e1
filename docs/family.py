"""Write the tables and the picture of family.md: how the systems around the paper colour the test photographs.

Usage: python -m docs.family

`make family` trains and scores the runs first.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from docs.evidence import or_stop
from pipeline.config import loading
from pipeline.config.paths import BaselineFiles, Paths, ResultFiles
from pipeline.config.sweeps import runs_of
from pipeline.core import csv_files, files
from pipeline.dataset import splits
from pipeline.evaluation.predictors import GRAY, MEAN
from pipeline.evaluation.scores import BEST, MODEL
from pipeline.images import jpeg, saving
from pipeline.results import costs, publication_table
from pipeline.results.markdown import table
from pipeline.results.read import read_run

CONFIGURATION = [Path("config/config.yaml"), Path("config/family.yaml")]
SWEEP = "family"
PAGE, PICTURE = Path("docs/family.md"), Path("docs/images/family.jpg")
BEGIN, END = "<!-- made by `make family` -->", "<!-- end of what `make family` makes -->"
METRICS = ("rmse", "ciede2000", "psnr", "ssim", "auc", "auc_rebalanced", "chroma_ratio", "frechet_efficientnet_lite0")
PHOTOGRAPHS, TILE = 10, 128  # in the picture; side of each, in pixels


def main() -> None:
    """Write the tables and the picture."""
    values = loading.with_experiment_files({}, Path("config/experiments"))
    config = loading.load_config(CONFIGURATION, base=values)
    paths, runs = Paths(config), runs_of(config, SWEEP)
    compared = publication_table.choose(paths.results, runs, METRICS, (GRAY, MEAN), "test")
    best = read_run(paths.results / "vae", "vae", images=False)
    sampled, one = (best.score("test", "rmse", answer).value for answer in (BEST, MODEL))
    rows = [[run, *costs.read(config, run).shown()] for run in runs]
    listed = picture(paths, runs)
    parts = [
        "Scores on the test photographs. Brackets contain 95 % intervals; bold is clearly better than every other run.",
        publication_table.markdown(compared).rstrip(),
        f"The best of 8 samples of `vae` has an RMSE of {sampled:.2f}, its one answer {one:.2f}.",
        str(table(["", *costs.HEADINGS], [":--", *["--:"] * len(costs.HEADINGS)], rows)),
        f"![{PHOTOGRAPHS} test photographs](images/{PICTURE.name})",
        f"Columns: gray, truth, {', '.join(runs)}. The rows are at even steps through the test photographs:",
        listed,
    ]
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    files.write_text(PAGE, f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{rest.partition(END)[2]}")


def picture(paths: Paths, runs: list[str]) -> str:
    """Write the picture of test photographs, and return a list of their names, authors and licences."""
    split = splits.read(paths.splits, paths.images.manifest()["fingerprint"])
    test = [row for row, values in enumerate(split) if values["partition"] == "test"]
    shown = [test[(2 * place + 1) * len(test) // (2 * PHOTOGRAPHS)] for place in range(PHOTOGRAPHS)]
    folders = [BaselineFiles(paths.baselines).pictures / kind for kind in ("gray", "true")]
    folders += [ResultFiles(paths.results / run).pictures for run in runs]
    tiles = [[_tile(folder / jpeg.name(row)) for folder in folders] for row in shown]
    with files.written_whole(PICTURE) as temporary:
        saving.save(Image.fromarray(np.vstack([np.hstack(row) for row in tiles])), temporary, "JPEG", quality=85)
    known = {row["file"]: row for row in csv_files.read(Path("pipeline/weights/photographs.csv"), ("file", "author"))}
    named = [known[split[row]["id"]] for row in shown]
    return "\n".join(f"- {row['file']} by {row['author']}, {row['licence']}" for row in named)


def _tile(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        small = file.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS)
    return np.pad(np.asarray(small), ((1, 1), (1, 1), (0, 0)), constant_values=255)


if __name__ == "__main__":
    or_stop(main)

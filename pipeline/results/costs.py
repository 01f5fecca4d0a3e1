"""What runs cost on this machine: time and memory of training, time of a prediction, and the number of weights.

Times differ between equal runs, so they lie beside the weights, outside of all records and digests.
"""

import csv
import math
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.config import schema
from pipeline.config.paths import Paths, RunFiles
from pipeline.config.runs import Run, find
from pipeline.config.schema import Config
from pipeline.core import csv_files, files
from pipeline.core.errors import InputError
from pipeline.embedding import registry
from pipeline.evaluation.predictors import Batch
from pipeline.networks import cost, notation
from pipeline.results.tables import MISSING

TIMED_IMAGES = 8
REPEATS = 3
ENOUGH_SECONDS = 2.0
HEADINGS = ("weights", "epochs", "training, min", "memory, MiB", "prediction, ms per image")
COLUMNS = ("images", "seconds_per_image")


class Cost(NamedTuple):
    """What a run cost; NaN where it is not known.

    Attributes:
        parameters: number of weights of its network.
        epochs: that it was trained for.
        seconds: of all these epochs, validation included.
        mebibytes: most memory of the training's process, if a workflow trained it.
        seconds_per_image: of a prediction, besides embeddings and feature maps.
    """

    parameters: float
    epochs: float
    seconds: float
    mebibytes: float
    seconds_per_image: float

    def shown(self) -> list[str]:
        """Return the numbers as tables have them, see `HEADINGS`."""
        texts = (
            f"{self.parameters:,.0f}", f"{self.epochs:g}", f"{self.seconds / 60:.1f}", f"{self.mebibytes:,.0f}",
            f"{1000 * self.seconds_per_image:.0f}",
        )  # fmt: skip
        return [text if math.isfinite(value) else MISSING for text, value in zip(texts, self, strict=True)]


UNKNOWN = Cost(*[math.nan] * len(Cost._fields))


def mean(found: Iterable[Cost]) -> Cost:
    """Return the mean of costs, number by number."""
    return Cost(*(float(np.mean(values)) for values in zip(*found, strict=True)))


def measure(predict: Callable[[Batch], Any], batch: Batch, path: Path) -> None:
    """Time predictions of a batch and write the best of a few to `path`, without the first one, which compiles."""
    predict(batch)
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < ENOUGH_SECONDS:
        began = time.perf_counter()
        predict(batch)
        times.append(time.perf_counter() - began)
    write_seconds(path, len(batch.rows), min(times) / len(batch.rows))


def write_seconds(path: Path, images: int, seconds_per_image: float) -> None:
    """Write how long the prediction of a batch of so many images took."""
    csv_files.write(path, COLUMNS, [{"images": images, "seconds_per_image": f"{seconds_per_image:.6f}"}])


def write(path: Path, found: Sequence[tuple[str, Cost]]) -> None:
    """Write the costs of combinations, by name; unknown numbers are empty."""
    rows = [
        {"combination": name, **{key: "" if math.isnan(value) else value for key, value in cost._asdict().items()}}
        for name, cost in found
    ]
    csv_files.write(path, ("combination", *Cost._fields), rows)


def written(path: Path) -> dict[str, Cost]:
    """Read what `write` wrote; nothing without the file.

    Raises:
        InputError: the file is damaged.
    """
    rows = csv_files.read(path, ("combination", *Cost._fields)) if path.exists() else []
    return {row["combination"]: Cost(*(float(row[key] or "nan") for key in Cost._fields)) for row in rows}


def read(config: Config, run: str) -> Cost:
    """Return what a run cost."""
    paths = Paths(config)
    where = RunFiles(paths.model(run))
    times = _column(where.times, "seconds")
    (per_image,) = _column(where.predicting, "seconds_per_image") or [math.nan]
    # Snakemake measures each call of the stage; the last row is of the one that finished the run.
    memory = _column(Path(paths.benchmark("train", run)), "max_rss", "\t")
    return Cost(
        _parameters(config, run),
        len(times) or math.nan,
        sum(times) if times else math.nan,
        max(memory, default=math.nan) if times else math.nan,
        per_image,
    )


def _parameters(config: Config, name: str) -> float:
    settings = files.read_if_whole(RunFiles(Paths(config).model(name)).summary).get("settings", {})
    try:
        run = Run.of_settings(settings) if settings else find(config, name)
    except InputError:  # a trial of a search that has not begun
        return math.nan
    if run.predictor:
        return math.nan
    given = settings.get("architecture")
    architecture = schema.Architecture(**given) if given else notation.of_run(run, config.architectures)
    outputs = registry.ENTRIES[config.embedding.network].outputs
    return cost.parameters(run.architecture, architecture, embedding=run.embedding, outputs=outputs)


def _column(path: Path, name: str, delimiter: str = ",") -> list[float]:
    """Return the numbers of a column; none if the file is missing or damaged."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [float(row[name]) for row in csv.DictReader(file, delimiter=delimiter)]
    except (KeyError, TypeError, ValueError, OSError, csv.Error):
        return []

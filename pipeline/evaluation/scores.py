"""The scores of answers over the images of a partition; an answer is the ab that a network or a baseline predicts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config import paper
from pipeline.config.partitions import PARTITIONS
from pipeline.evaluation import frechet, intervals
from pipeline.evaluation.measures import METRICS, Columns
from pipeline.evaluation.metrics import Values

COLUMNS = ("run", "dataset", "partition", "n", "answer", "metric", "value", "low", "high", "settings")
NUMBERS = {"n": "int64", "value": "double", "low": "double", "high": "double"}
TYPES = {name: NUMBERS.get(name, "string") for name in COLUMNS}  # in a Parquet file

MODEL = "model"  # the run's network
START = "start"  # the run's network with the weights that its training started from, see `training.start_from`
SAMPLES = 8
BEST = f"best-of-{SAMPLES}"  # of so many samples of a run's network with latent variables, the one nearest to the truth
EMBEDDING_SHUFFLED = "embedding-shuffled"  # the run's network, given another image's embedding
EMBEDDING_MEAN = "embedding-mean"  # the run's network, given the training images' mean embedding
PAPER = "paper"  # the figures that the paper prints

Row = dict[str, Any]
Summed = dict[str, dict[str, dict[str, Values]]]


@dataclass(frozen=True)
class Sample:
    """The images of a partition, as rows of the store, and their groups."""

    partition: str
    rows: npt.NDArray[np.intp]
    jackknife: intervals.Jackknife


def why_no_interval(row: Mapping[str, str]) -> str:
    """Return the reason that a row of metrics.csv gives for having no interval; empty if it has one."""
    return (row["settings"] or "").partition("no interval: ")[2]


def samples(partitions: Sequence[str], groups: Sequence[str]) -> list[Sample]:
    """The partitions that contain images, from the partition and the group of each image."""
    rows = {partition: np.flatnonzero(np.array(partitions) == partition) for partition in PARTITIONS}
    return [
        Sample(partition, here, intervals.Jackknife([groups[row] for row in here.tolist()]))
        for partition, here in rows.items()
        if len(here)
    ]


def summed(answers: Mapping[str, Columns], samples: Sequence[Sample]) -> Summed:
    """Compute the metrics of each answer over each sample.

    Returns:
        By partition, answer and metric: (1 + groups,) float64 for the sample, and without each group; see `Jackknife`.
    """
    over: Summed = {sample.partition: {} for sample in samples}
    for sample in samples:
        means = sample.jackknife.means(
            {f"{answer} {name}": values[sample.rows] for answer in answers for name, values in answers[answer].items()}
        )
        for answer, measures in answers.items():
            own = {name: means[f"{answer} {name}"] for name in measures}
            over[sample.partition][answer] = {
                name: values if len(values) > metric.fewest else values[:1]
                for name, metric in METRICS.items()
                if (values := metric.of(own)) is not None
            }
    return over


def rows(run: str, dataset: str, over: Summed, samples: Sequence[Sample], settings: str = "") -> list[Row]:
    """The metrics as rows with `COLUMNS`, sorted by answer, partition and metric.

    Args:
        run: run name, empty for rows that apply to all runs of the dataset.
        dataset: dataset name.
        over: the result of `summed` over the same `samples`.
        settings: what a reader of a single row must know, for example "embedding weights: RANDOM".
    """
    rows = []
    for answer in dict.fromkeys(answer for here in over.values() for answer in here):
        for sample in samples:
            n = len(sample.rows)
            for metric, values in over[sample.partition][answer].items():
                possible = METRICS[metric].range if metric in METRICS else ()
                value, low, high = intervals.interval(values, *possible)
                reason = frechet.remark(n, metric) if metric.startswith(frechet.PREFIX) else sample.jackknife.reason
                if not reason and len(values) == 1 and math.isfinite(value):
                    reason = f"fewer than {METRICS[metric].fewest} groups"
                reason = reason or "not a finite number for every image"
                note = "; ".join(filter(None, (settings, f"no interval: {reason}" if low is None else "")))
                row = (run, dataset, sample.partition, n, answer, metric, value, low, high, note)
                rows.append(as_row(COLUMNS, row))
    return rows


def paper_rows(run: str, dataset: str) -> list[Row]:
    """The accuracies that the paper reports for `run`, as rows with an empty n; none for other runs."""
    reported = paper.RUNS.get(run)
    accuracies = {"validation": reported.validation, "test": reported.test} if reported else {}
    note = "the paper's own images; no interval: the paper gives none"
    return [
        as_row(COLUMNS, (run, dataset, partition, "", PAPER, "accuracy", accuracy, None, None, note))
        for partition, accuracy in accuracies.items()
        if accuracy is not None
    ]


def as_row(columns: Sequence[str], values: Sequence[Any]) -> Row:
    """A row of a CSV file, with empty cells for None."""
    return {name: "" if value is None else value for name, value in zip(columns, values, strict=True)}

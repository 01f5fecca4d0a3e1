"""The scores of answers over the images of a partition; an answer is the ab that a network or a baseline predicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config import paper
from pipeline.config.partitions import PARTITIONS
from pipeline.evaluation import bootstrap, frechet
from pipeline.evaluation.measures import METRICS, Columns
from pipeline.evaluation.metrics import Values

COLUMNS = ("run", "dataset", "partition", "n", "answer", "metric", "value", "low", "high", "settings")

MODEL = "model"  # the run's network
EMBEDDING_SHUFFLED = "embedding-shuffled"  # the run's network, given another image's embedding
EMBEDDING_MEAN = "embedding-mean"  # the run's network, given the training images' mean embedding
PAPER = "paper"

Row = dict[str, Any]
Summed = dict[str, dict[str, dict[str, Values]]]


@dataclass(frozen=True)
class Sample:
    """The images of one partition, and their resamples."""

    partition: str
    rows: npt.NDArray[np.intp]
    bootstrap: bootstrap.Bootstrap


def samples(partitions: Sequence[str], groups: Sequence[str], seed: int) -> list[Sample]:
    """The partitions that have images.

    Args:
        partitions: one of `PARTITIONS` per image.
        groups: each image's group; whole groups are resampled.
        seed: of the resamples.
    """
    rows = {partition: np.flatnonzero(np.array(partitions) == partition) for partition in PARTITIONS}
    return [
        Sample(partition, here, bootstrap.Bootstrap([groups[row] for row in here.tolist()], seed))
        for partition, here in rows.items()
        if len(here)
    ]


def summed(answers: Mapping[str, Columns], chosen: Sequence[Sample]) -> Summed:
    """The metrics of each answer over each sample: by partition, answer and metric.

    Returns:
        Arrays (1 + draws,): the metric of the sample, then of its resamples, if there are any.
    """
    result: Summed = {}
    for sample in chosen:
        columns = {
            f"{answer} {name}": values[sample.rows] for answer in answers for name, values in answers[answer].items()
        }
        means = sample.bootstrap.means(columns)
        here = result[sample.partition] = {}
        for answer, measures in answers.items():
            mine = {name: means[f"{answer} {name}"] for name in measures}
            here[answer] = {name: values for name, metric in METRICS.items() if (values := metric.of(mine)) is not None}
    return result


def rows(run: str, dataset: str, over: Summed, chosen: Sequence[Sample], settings: str = "") -> list[Row]:
    """The metrics as rows with `COLUMNS`, by answer, then partition, then metric.

    Args:
        run: run name, empty where the rows are for all runs of the dataset.
        dataset: dataset name.
        over: the metrics that `summed` returned.
        chosen: the samples.
        settings: what a reader of a single row must know, for example "embedding weights: RANDOM".
    """
    found = []
    for answer in dict.fromkeys(answer for here in over.values() for answer in here):
        for sample in chosen:
            n = len(sample.rows)
            for metric, values in over[sample.partition][answer].items():
                value, low, high = bootstrap.interval(values)
                reason = frechet.remark(n, metric) if metric.startswith(frechet.PREFIX) else sample.bootstrap.reason
                reason = reason or "not a finite number for every image or resample"
                note = "; ".join(filter(None, (settings, f"no interval: {reason}" if low is None else "")))
                found.append(_row(run, dataset, sample.partition, n, answer, metric, value, low, high, note))
    return found


def paper_rows(run: str, dataset: str) -> list[Row]:
    """The accuracies that the paper reports for `run`, as rows with an empty n; none for other runs."""
    reported = paper.RUNS.get(run)
    values = {"validation": reported.validation, "test": reported.test} if reported else {}
    note = "the paper's own images; no interval: the paper gives none"
    return [
        _row(run, dataset, partition, "", PAPER, "accuracy", value, None, None, note)
        for partition, value in values.items()
        if value is not None
    ]


def _row(*values: Any) -> Row:
    return {name: "" if value is None else value for name, value in zip(COLUMNS, values, strict=True)}

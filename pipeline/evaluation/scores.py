"""The scores of answers over the images of a partition.

An answer is the predicted ab of some images, by a network or a baseline. A *measure* is a number of one image; a
*metric* is a number of a set of images, computed from the means of measures, so that it can be computed for any
resample of the images too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config import paper
from pipeline.config.partitions import PARTITIONS
from pipeline.evaluation import bootstrap, frechet, metrics
from pipeline.evaluation.measures import Columns, Values
from pipeline.evaluation.recognition import TOP1, TOP5

COLUMNS = ("run", "dataset", "partition", "n", "answer", "metric", "value", "low", "high", "settings")

MODEL = "model"  # the run's network
EMBEDDING_SHUFFLED = "embedding-shuffled"  # the run's network, given another image's embedding
EMBEDDING_MEAN = "embedding-mean"  # the run's network, given the training images' mean embedding
PAPER = "paper"

Row = dict[str, Any]
Summed = dict[str, dict[str, dict[str, Values]]]


@dataclass(frozen=True)
class Metric:
    """How a metric is computed from the means of measures; `pipeline.evaluation.vocabulary` describes it."""

    of: Callable[[Columns], Values]
    needs: tuple[str, ...]


def mean_of(measure: str) -> Metric:
    """The metric that is a measure's mean."""
    return Metric(lambda means: means[measure], (measure,))


def _means_of(*measures: str) -> dict[str, Metric]:
    return {measure: mean_of(measure) for measure in measures}


METRICS: dict[str, Metric] = {
    **_means_of("loss", "mse"),
    "rmse": Metric(lambda means: np.sqrt(means["mse"]), ("mse",)),
    **_means_of("accuracy", "psnr"),
    "psnr_pooled": Metric(lambda means: metrics.psnr_of_error(means["rgb_mse"]), ("rgb_mse",)),
    **_means_of("ssim", "ciede2000", "ciede2000_p95", "auc"),
    "auc_rebalanced": Metric(lambda means: means["auc_weighted"] / means["rarity"], ("auc_weighted", "rarity")),
    **_means_of("colourfulness", "colourfulness_absolute", "delta_cf_images"),
    "delta_cf_set": Metric(
        lambda means: np.abs(means["colourfulness"] - means["colourfulness_true"]),
        ("colourfulness", "colourfulness_true"),
    ),
    "chroma_ratio": Metric(lambda means: means["chroma"] / means["chroma_true"], ("chroma", "chroma_true")),
    **_means_of(TOP1, TOP5),
}


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
            with np.errstate(invalid="ignore", divide="ignore"):
                here[answer] = {
                    name: metric.of(mine) for name, metric in METRICS.items() if set(metric.needs) <= set(mine)
                }
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
                reason = frechet.remark(n, metric) if frechet.is_distance(metric) else sample.bootstrap.reason
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

"""The scores of answers: measured image by image, then over the images of a partition.

An answer is what claims to be the ab of some images: a network's prediction, or one that needs no network. A *measure*
is a number of one image; a *metric* is a number of a set of images, made from the means of measures, so that a
resample of images gives it as readily as the images themselves.
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

MODEL = "model"  # the run's own answer
EMBEDDING_SHUFFLED = "embedding-shuffled"  # the run's network, given another image's embedding
EMBEDDING_MEAN = "embedding-mean"  # the run's network, given the training images' mean embedding
PAPER = "paper"

Row = dict[str, Any]


@dataclass(frozen=True)
class Metric:
    """How a metric follows from the means of measures; `pipeline.evaluation.vocabulary` has its words."""

    of: Callable[[Columns], Values]
    needs: tuple[str, ...]


def mean_of(measure: str) -> Metric:
    """The metric that is a measure's mean."""
    return Metric(lambda means: means[measure], (measure,))


METRICS: dict[str, Metric] = {
    "loss": mean_of("loss"),
    "mse": mean_of("mse"),
    "rmse": Metric(lambda means: np.sqrt(means["mse"]), ("mse",)),
    "accuracy": mean_of("accuracy"),
    "psnr": mean_of("psnr"),
    "psnr_pooled": Metric(lambda means: metrics.psnr_of_error(means["rgb_mse"]), ("rgb_mse",)),
    "ssim": mean_of("ssim"),
    "ciede2000": mean_of("ciede2000"),
    "ciede2000_p95": mean_of("ciede2000_p95"),
    "auc": mean_of("auc"),
    "auc_rebalanced": Metric(lambda means: means["auc_weighted"] / means["rarity"], ("auc_weighted", "rarity")),
    "colourfulness": mean_of("colourfulness"),
    "colourfulness_absolute": mean_of("colourfulness_absolute"),
    "delta_cf_images": mean_of("delta_cf_images"),
    "delta_cf_set": Metric(
        lambda means: np.abs(means["colourfulness"] - means["colourfulness_true"]),
        ("colourfulness", "colourfulness_true"),
    ),
    "chroma_ratio": Metric(lambda means: means["chroma"] / means["chroma_true"], ("chroma", "chroma_true")),
    TOP1: mean_of(TOP1),
    TOP5: mean_of(TOP5),
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
    found = []
    for partition in PARTITIONS:
        rows = np.flatnonzero(np.array(partitions) == partition)
        if len(rows):
            found.append(Sample(partition, rows, bootstrap.Bootstrap([groups[row] for row in rows.tolist()], seed)))
    return found


Summed = dict[str, dict[str, dict[str, Values]]]


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
        over: what `summed` gives for the samples.
        chosen: the samples.
        settings: what a reader of a single row must know, for example "embedding weights: RANDOM".
    """
    found = []
    for answer in dict.fromkeys(answer for here in over.values() for answer in here):
        for sample in chosen:
            for metric, values in over[sample.partition][answer].items():
                value, low, high = bootstrap.interval(values)
                reason = sample.bootstrap.reason
                if frechet.is_distance(metric):
                    reason = frechet.remark(len(sample.rows), metric)
                reason = reason or "not a finite number for every image or resample"
                told = "; ".join(filter(None, (settings, f"no interval: {reason}" if low is None else "")))
                found.append(
                    _row(run, dataset, sample.partition, len(sample.rows), answer, metric, value, low, high, told)
                )
    return found


def paper_rows(run: str, dataset: str) -> list[Row]:
    """The accuracies that the paper reports for `run`, as rows with an empty n; none for other runs."""
    reported = paper.RUNS.get(run)
    values = {"validation": reported.validation, "test": reported.test} if reported else {}
    told = "the paper's own images; no interval: the paper gives none"
    return [
        _row(run, dataset, partition, "", PAPER, "accuracy", value, None, None, told)
        for partition, value in values.items()
        if value is not None
    ]


def _row(*values: Any) -> Row:
    return {name: "" if value is None else value for name, value in zip(COLUMNS, values, strict=True)}

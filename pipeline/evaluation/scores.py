"""The scores of answers: measured image by image, then over the images of a partition.

An answer is what claims to be the ab of some images: a network's prediction, or one that needs no network. A *measure*
is a number of one image; a *metric* is a number of a set of images, made from the means of measures, so that a
resample of images gives it as readily as the images themselves.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from skimage.color import rgb2lab

from pipeline.config import paper
from pipeline.dataset.splits import PARTITIONS
from pipeline.evaluation import bootstrap, metrics, recognition
from pipeline.images import lab

COLUMNS = ("run", "dataset", "partition", "n", "answer", "metric", "value", "low", "high", "settings")

MODEL = "model"  # the run's own answer
EMBEDDING_SHUFFLED = "embedding-shuffled"  # the run's network, given another image's embedding
EMBEDDING_MEAN = "embedding-mean"  # the run's network, given the training images' mean embedding
GRAY = "gray"
MEAN = "mean"
MAJORITY = "majority"
SHUFFLED = "shuffled"  # another image's colours
CEILING = "ceiling"  # the truth at the resolution of the networks' last layer
PAPER = "paper"
REFERENCES = (GRAY, MEAN, MAJORITY, SHUFFLED, CEILING)  # the answers that need no network

Values = npt.NDArray[np.float64]
Columns = Mapping[str, Values]
Row = dict[str, Any]


def scored_on(values: Iterable[tuple[str, str, str, float]]) -> str:
    """What runs that were scored on the same images have in common: the errors of two answers that need no network.

    Args:
        values: partition, answer, metric and value of each of a run's scores.

    Returns:
        Text that is equal for equal images and splits; empty where these scores are not told.
    """
    known = sorted((p, a, f"{v:.6g}") for p, a, metric, v in values if metric == "rmse" and a in (GRAY, MEAN))
    return repr(known) if known else ""


@dataclass(frozen=True)
class Metric:
    """How a metric follows from the means of measures, and which way is better (None: neither)."""

    of: Callable[[Columns], Values]
    needs: tuple[str, ...]
    better: Literal["lower", "higher"] | None


def mean_of(measure: str, better: Literal["lower", "higher"] | None = None) -> Metric:
    """The metric that is a measure's mean."""
    return Metric(lambda means: means[measure], (measure,), better)


METRICS: dict[str, Metric] = {
    "loss": mean_of("loss", "lower"),
    "mse": mean_of("mse", "lower"),
    "rmse": Metric(lambda means: np.sqrt(means["mse"]), ("mse",), "lower"),
    "accuracy": mean_of("accuracy", "higher"),
    "psnr": mean_of("psnr", "higher"),
    "psnr_pooled": Metric(lambda means: metrics.psnr_of_error(means["rgb_mse"]), ("rgb_mse",), "higher"),
    "ssim": mean_of("ssim", "higher"),
    "ciede2000": mean_of("ciede2000", "lower"),
    "ciede2000_p95": mean_of("ciede2000_p95", "lower"),
    "auc": mean_of("auc", "higher"),
    "auc_rebalanced": Metric(lambda m: m["auc_weighted"] / m["rarity"], ("auc_weighted", "rarity"), "higher"),
    "colourfulness": mean_of("colourfulness", None),
    "colourfulness_absolute": mean_of("colourfulness_absolute", None),
    "delta_cf_images": mean_of("delta_cf_images", "lower"),
    "delta_cf_set": Metric(
        lambda m: np.abs(m["colourfulness"] - m["colourfulness_true"]), ("colourfulness", "colourfulness_true"), "lower"
    ),
    "chroma_ratio": Metric(lambda m: m["chroma"] / m["chroma_true"], ("chroma", "chroma_true"), None),
    recognition.TOP1: mean_of(recognition.TOP1, "higher"),
    recognition.TOP5: mean_of(recognition.TOP5, "higher"),
    # Of sets alone: no measure has its name, `recognition.put_distances` puts it there.
    recognition.FRECHET: mean_of(recognition.FRECHET, "lower"),
}


@dataclass(frozen=True)
class Truth:
    """A batch of k true images; what is derived from them is computed once, however many answers are scored.

    Attributes:
        lightness: (k, H, W) uint8.
        ab: (k, H, W, 2) uint8.
        rarity: (k, bins) float64, for each image the weights of its partition's colour bins; see `metrics.rarity`.
    """

    lightness: lab.UInt8
    ab: lab.UInt8
    rarity: Values

    def __post_init__(self) -> None:
        if self.ab.shape != (*self.lightness.shape, 2) or len(self.rarity) != len(self.lightness):
            raise ValueError(
                "expected L (k, H, W), ab (k, H, W, 2) and k rows of weights, "
                f"received {self.lightness.shape}, {self.ab.shape} and {len(self.rarity)}"
            )

    def __getitem__(self, chosen: Any) -> "Truth":
        return Truth(self.lightness[chosen], self.ab[chosen], self.rarity[chosen])

    @cached_property
    def rgb(self) -> lab.UInt8:
        """SRGB (k, H, W, 3) uint8."""
        return lab.to_rgb(self.lightness, self.ab)

    @cached_property
    def lab(self) -> Values:
        """CIE Lab (k, H, W, 3) float64 of `rgb`: colours outside sRGB are already clipped."""
        return np.asarray(rgb2lab(self.rgb))

    @cached_property
    def colourfulness(self) -> Values:
        """(k,) float64."""
        return metrics.colourfulness(self.rgb)

    @cached_property
    def weights(self) -> Values:
        """(k, H, W) float64: the weight of each pixel by the bin of its true colour."""
        return np.asarray(self.rarity[np.arange(len(self.ab))[:, None, None], metrics.color_bins(self.ab)])


def measure_accuracy(truth: Truth, predicted_ab: npt.NDArray[np.generic]) -> dict[str, Values]:
    """The accuracy alone, of an answer that is no colour; arguments as in `measure`."""
    return {"accuracy": metrics.accuracy(predicted_ab, truth.ab)}


def measure(truth: Truth, predicted_ab: npt.NDArray[np.generic]) -> dict[str, Values]:
    """Measure a batch of k predictions.

    What is measured on pictures compares sRGB of 8 bits, both with the true L. An image whose prediction is not finite
    everywhere has NaN in all but accuracy: a diverged model gets no number.

    Args:
        truth: the k images.
        predicted_ab: (k, H, W, 2) float, 8-bit units.

    Returns:
        (k,) float64 by measure.
    """
    finite = np.isfinite(predicted_ab).all(axis=(1, 2, 3))
    if finite.all():
        return {**measure_accuracy(truth, predicted_ab), **_measure_finite(truth, predicted_ab)}
    measured = measure_accuracy(truth, predicted_ab)
    for name, values in _measure_finite(truth[finite], predicted_ab[finite]).items():
        measured[name] = np.full(len(finite), np.nan)
        measured[name][finite] = values
    return measured


def _measure_finite(truth: Truth, predicted_ab: npt.NDArray[np.generic]) -> dict[str, Values]:
    rgb = lab.to_rgb(truth.lightness, predicted_ab)
    rgb_mse = metrics.rgb_squared_error(rgb, truth.rgb)
    # Not -1, which numpy cannot tell where there is no image at all.
    difference = metrics.ciede2000_map(np.asarray(rgb2lab(rgb)), truth.lab).reshape(
        len(rgb), math.prod(truth.lightness.shape[1:])
    )
    credit = metrics.auc_credit(predicted_ab, truth.ab)
    auc_weighted, rarity = metrics.weighted_auc(credit, truth.weights)
    colourfulness = metrics.colourfulness(rgb)
    return {
        "mse": metrics.squared_error(predicted_ab, truth.ab),
        "rgb_mse": rgb_mse,
        "psnr": metrics.psnr_of_error(rgb_mse),
        "ssim": metrics.ssim(rgb, truth.rgb),
        "ciede2000": difference.mean(axis=1),
        "ciede2000_p95": np.quantile(difference, 0.95, axis=1),
        "auc": credit.mean(axis=(1, 2)),
        "auc_weighted": auc_weighted,
        "rarity": rarity,
        "colourfulness": colourfulness,
        "colourfulness_true": truth.colourfulness,
        "colourfulness_absolute": metrics.colourfulness(rgb, absolute=True),
        "delta_cf_images": np.abs(colourfulness - truth.colourfulness),
        "chroma": metrics.chroma(predicted_ab),
        "chroma_true": metrics.chroma(truth.ab),
    }


class Scores:
    """The measures of one or more answers, (n,) float64 each, by answer and measure; NaN until they are put there."""

    def __init__(self, images: int) -> None:
        self.answers: dict[str, dict[str, Values]] = {}
        self._images = images

    def put(self, answer: str, start: int, measured: Columns) -> None:
        """Keep the measures of consecutive images, the first of which is row `start`."""
        columns = self.answers.setdefault(answer, {})
        for name, values in measured.items():
            columns.setdefault(name, np.full(self._images, np.nan))[start : start + len(values)] = values

    def measure(
        self, pool: Executor, start: int, truth: Truth, predicted: Mapping[str, npt.NDArray[np.generic]]
    ) -> None:
        """Measure a batch, image by image: less memory and time than all at once; `MAJORITY` by accuracy alone."""

        def one(row: int) -> list[tuple[str, int, dict[str, Values]]]:
            here = slice(row, row + 1)
            part = truth[here]
            return [
                (answer, start + row, (measure_accuracy if answer == MAJORITY else measure)(part, values[here]))
                for answer, values in predicted.items()
            ]

        for measured in pool.map(one, range(len(truth.lightness))):
            for found in measured:
                self.put(*found)


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
                if metric == recognition.FRECHET:
                    reason = recognition.frechet_remark(len(sample.rows))
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

"""The measures of images and the metrics of sets of images.

A *measure* is a number of one image. A *metric* is a number of a set of images, computed from the means of measures, so
it can be computed for any subset of the images too. To add a metric, add its formula to `pipeline.evaluation.metrics`
and here its measure, in `_measure_finite`, and its definition, in `_DEFINITIONS`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import skimage  # loads its modules on first use, so planning a workflow does not wait for them

from pipeline.embedding import registry
from pipeline.evaluation import metrics
from pipeline.evaluation.intervals import FEWEST_GROUPS
from pipeline.evaluation.metrics import Values
from pipeline.images import lab

Columns = Mapping[str, Values]


@dataclass(frozen=True)
class Metric:
    """The definition of a metric.

    Attributes:
        name: in files.
        label: in headings and sentences.
        digits: decimals.
        better: which values are better, if either.
        meaning: a phrase that explains it.
        formula: computes it from the means of `measures`; None for the mean of the measure with the metric's name.
        measures: the arguments of `formula`.
        fewest: groups of images below which there is no interval; more than `FEWEST_GROUPS` where few images decide.
        range: the smallest and the largest possible value.
        per_image: whether per_image.csv has it. A metric that equals another one for a single image is left out.
    """

    name: str
    label: str
    digits: int = 4
    better: Literal["lower", "higher"] | None = None
    meaning: str = ""
    formula: Callable[..., Values] | None = None
    measures: tuple[str, ...] = ()
    range: tuple[float, float] = (0.0, math.inf)
    fewest: int = FEWEST_GROUPS
    per_image: bool = True

    @property
    def explained(self) -> str:
        """The meaning, and which values are better."""
        return f"{self.meaning}; {self.better} is better" if self.better else self.meaning

    def of(self, means: Columns) -> Values | None:
        """Compute the metric from the means of measures; None if a measure is missing."""
        if self.formula is None:
            return means.get(self.name)
        if not set(self.measures) <= set(means):
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.formula(*(means[measure] for measure in self.measures))


ANY = (-math.inf, math.inf)
# In the order of metrics.csv.
_DEFINITIONS = (
    Metric("loss", "loss", 1, "lower", "MSE plus the l2 penalty, which training minimises"),
    Metric("mse", "MSE", 1, "lower", "mean squared error of a and b"),
    Metric("rmse", "RMSE", 2, "lower", "root mean squared error of a and b, in 8-bit units", np.sqrt, ("mse",)),
    Metric("accuracy", "accuracy", 4, "higher",
           "share of pixels where the larger of a and b is right, the paper's measure", range=(0, 1)),
    Metric("psnr", "PSNR", 2, "higher", "in dB, mean over images; gray scores well", range=ANY),
    Metric("psnr_pooled", "PSNR, pooled", 2, "higher", "in dB, of the mean squared error over all images",
           metrics.psnr_of_error, ("rgb_mse",), ANY, per_image=False),
    Metric("ssim", "SSIM", 4, "higher", "structural similarity, at most 1; gray scores well", range=(-1, 1)),
    Metric("ciede2000", "CIEDE2000", 2, "lower", "mean perceived colour difference"),
    Metric("ciede2000_p95", "CIEDE2000, 95th percentile", 2, "lower",
           "colour difference that 5 % of the pixels exceed"),
    Metric("auc", "AuC", 4, "higher", "area under the curve of pixels within an error of 0 to 150", range=(0, 1)),
    Metric("auc_rebalanced", "AuC, rebalanced", 4, "higher", "AuC with rare colours weighted as much as common ones",
           np.divide, ("auc_weighted", "rarity"), (0, 1), fewest=200),
    Metric("colourfulness", "colourfulness", 2, None, "Hasler and Süsstrunk's; compare it with the ceiling's"),
    Metric("colourfulness_absolute", "colourfulness, absolute", 2, None, "the variant with absolute differences"),
    Metric("delta_cf_images", "ΔCF of images", 2, "lower", "difference from the truth's colourfulness, per image"),
    Metric("delta_cf_set", "ΔCF of the set", 2, "lower", "difference of the mean colourfulness",
           lambda own, true: np.abs(own - true), ("colourfulness", "colourfulness_true"), per_image=False),
    Metric("chroma_ratio", "chroma ratio", 3, None, "predicted over true chroma; 1 is as vivid as the truth, 0 is gray",
           np.divide, ("chroma", "chroma_true")),
)  # fmt: skip
TOP1, TOP5 = "recognised_top1_", "recognised_top5_"  # each network's numbers are a metric of their own


@cache
def _metrics(networks: tuple[str, ...]) -> dict[str, Metric]:
    """Return all metrics by name, with recognition by those of these embedding networks that recognise images."""
    recognition = [
        Metric(
            prefix + entry.name,
            f"recognised, {top}",
            4,
            "higher",
            f"share of images {whose}, by {entry.label}",
            range=(0, 1),
            fewest=50,
        )
        for entry in map(registry.ENTRIES.__getitem__, networks)
        if entry.features
        for prefix, top, whose in (
            (TOP1, "top 1", "whose first class is the true one's"),
            (TOP5, "top 5", "with the true one's first class among five"),
        )
    ]
    return {metric.name: metric for metric in (*_DEFINITIONS, *recognition)}


class _Metrics(Mapping[str, Metric]):
    """All metrics by name, in the order of metrics.csv, with recognition by every embedding network known by now."""

    def __getitem__(self, name: str) -> Metric:
        return _metrics(tuple(registry.ENTRIES))[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_metrics(tuple(registry.ENTRIES)))

    def __len__(self) -> int:
        return len(_metrics(tuple(registry.ENTRIES)))


METRICS = _Metrics()


@dataclass(frozen=True)
class Truth:
    """A batch of k true images. What is derived from them is computed once for all predictions.

    Attributes:
        lightness: (k, H, W) uint8.
        ab: (k, H, W, 2) uint8.
        rarity: (k, bins) float64, the weights of the colour bins in each image's partition; see `metrics.rarity`.
    """

    lightness: lab.UInt8
    ab: lab.UInt8
    rarity: Values

    def __getitem__(self, chosen: Any) -> "Truth":
        return Truth(self.lightness[chosen], self.ab[chosen], self.rarity[chosen])

    @cached_property
    def rgb(self) -> lab.UInt8:
        """SRGB (k, H, W, 3) uint8."""
        return lab.to_rgb(self.lightness, self.ab)

    @cached_property
    def lab(self) -> Values:
        """CIE Lab (k, H, W, 3) float64 of `rgb`, where colours outside sRGB are clipped."""
        return np.asarray(skimage.color.rgb2lab(self.rgb))

    @cached_property
    def colourfulness(self) -> Values:
        """(k,) float64."""
        return metrics.colourfulness(self.rgb)

    @cached_property
    def weights(self) -> Values:
        """The weight of each pixel's true colour, (k, H, W) float64."""
        return np.asarray(self.rarity[np.arange(len(self.ab))[:, None, None], metrics.color_bins(self.ab)])


def measure_accuracy(truth: Truth, predicted_ab: npt.NDArray[np.generic]) -> dict[str, Values]:
    """Measure the accuracy alone, for predictions that are not colours; arguments as in `measure`."""
    return {"accuracy": metrics.accuracy(predicted_ab, truth.ab)}


def measure(truth: Truth, predicted_ab: npt.NDArray[np.generic]) -> dict[str, Values]:
    """Measure a batch of k predictions.

    Measures of pictures compare 8-bit sRGB, reconstructed with the true L. An image with a prediction that is not
    finite has NaN in all measures.

    Args:
        truth: the true images.
        predicted_ab: (k, H, W, 2) float, 8-bit units.

    Returns:
        (k,) float64 by measure.
    """
    finite = np.isfinite(predicted_ab).all(axis=(1, 2, 3))
    if finite.all():  # without copies
        return measure_accuracy(truth, predicted_ab) | _measure_finite(truth, predicted_ab)
    of_finite = measure(truth[finite], predicted_ab[finite])
    return {name: with_gaps(values, finite) for name, values in of_finite.items()}


def with_gaps(values: npt.NDArray[np.floating], finite: npt.NDArray[np.bool_]) -> Values:
    """(n, ...) float64 with `values` where `finite` (n,), NaN elsewhere."""
    gaps = np.full((len(finite), *values.shape[1:]), np.nan)
    gaps[finite] = values
    return gaps


def _measure_finite(truth: Truth, predicted_ab: npt.NDArray[np.generic]) -> dict[str, Values]:
    rgb = lab.to_rgb(truth.lightness, predicted_ab)
    rgb_mse = metrics.squared_error(rgb, truth.rgb)
    # Not -1: numpy cannot infer it when there are no images.
    pixels = math.prod(truth.lightness.shape[1:])
    difference = metrics.ciede2000_map(np.asarray(skimage.color.rgb2lab(rgb)), truth.lab).reshape(len(rgb), pixels)
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

"""The measures of a batch of predictions: one number per image and measure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import skimage  # loads its modules on first use, so planning a workflow does not wait for them

from pipeline.evaluation import metrics
from pipeline.images import lab

Values = npt.NDArray[np.float64]
Columns = Mapping[str, Values]


@dataclass(frozen=True)
class Truth:
    """A batch of k true images; everything derived from them is computed once for all answers.

    Attributes:
        lightness: (k, H, W) uint8.
        ab: (k, H, W, 2) uint8.
        rarity: (k, bins) float64, the weights of each image's colour bins in its partition; see `metrics.rarity`.
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
        """CIE Lab (k, H, W, 3) float64 of `rgb`, in which colours outside sRGB are already clipped."""
        return np.asarray(skimage.color.rgb2lab(self.rgb))

    @cached_property
    def colourfulness(self) -> Values:
        """(k,) float64."""
        return metrics.colourfulness(self.rgb)

    @cached_property
    def weights(self) -> Values:
        """(k, H, W) float64: the weight of each pixel by the bin of its true colour."""
        return np.asarray(self.rarity[np.arange(len(self.ab))[:, None, None], metrics.color_bins(self.ab)])


def measure_accuracy(truth: Truth, predicted_ab: npt.NDArray[np.generic]) -> dict[str, Values]:
    """The accuracy alone, for an answer that is not a colour; arguments as in `measure`."""
    return {"accuracy": metrics.accuracy(predicted_ab, truth.ab)}


def measure(truth: Truth, predicted_ab: npt.NDArray[np.generic]) -> dict[str, Values]:
    """Measure a batch of k predictions.

    Measures of pictures compare 8-bit sRGB, reconstructed with the true L. An image whose prediction is not finite
    everywhere gets NaN in all measures but accuracy.

    Args:
        truth: the k images.
        predicted_ab: (k, H, W, 2) float, 8-bit units.

    Returns:
        (k,) float64 by measure.
    """
    measured = measure_accuracy(truth, predicted_ab)
    finite = np.isfinite(predicted_ab).all(axis=(1, 2, 3))
    if finite.all():
        return {**measured, **_measure_finite(truth, predicted_ab)}
    for name, values in _measure_finite(truth[finite], predicted_ab[finite]).items():
        measured[name] = np.full(len(finite), np.nan)
        measured[name][finite] = values
    return measured


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

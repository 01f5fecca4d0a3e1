"""Labels, directions, number formats and explanations of metrics and answers, for tables, figures and pages."""

import math
from typing import Literal, NamedTuple

import numpy as np

from pipeline.embedding import registry
from pipeline.evaluation import frechet, predictors
from pipeline.evaluation.scores import EMBEDDING_MEAN, EMBEDDING_SHUFFLED, MODEL, PAPER


class Term(NamedTuple):
    """The words for a metric.

    Attributes:
        label: in headings and sentences.
        digits: decimals.
        better: which values are better, if either.
        meaning: a phrase that explains it.
    """

    label: str
    digits: int
    better: Literal["lower", "higher"] | None
    meaning: str

    @property
    def explained(self) -> str:
        """The meaning, and which values are better."""
        return f"{self.meaning}; {self.better} is better" if self.better else self.meaning


METRICS = {  # in the order of tables
    "rmse": Term("RMSE", 2, "lower", "root mean squared error of a and b, in 8-bit units"),
    "ciede2000": Term("CIEDE2000", 2, "lower", "mean perceived colour difference"),
    "ciede2000_p95": Term("CIEDE2000, 95th percentile", 2, "lower", "colour difference that 5 % of the pixels exceed"),
    "accuracy": Term(
        "accuracy", 4, "higher", "share of pixels where the larger of a and b is right, the paper's measure"
    ),
    "psnr": Term("PSNR", 2, "higher", "in dB, mean over images; gray scores well"),
    "psnr_pooled": Term("PSNR, pooled", 2, "higher", "in dB, of the mean squared error over all images"),
    "ssim": Term("SSIM", 4, "higher", "structural similarity, at most 1; gray scores well"),
    "auc": Term("AuC", 4, "higher", "area under the curve of pixels within an error of 0 to 150"),
    "auc_rebalanced": Term("AuC, rebalanced", 4, "higher", "AuC with rare colours weighted as much as common ones"),
    "chroma_ratio": Term("chroma ratio", 3, None, "predicted over true chroma; 1 is as vivid as the truth, 0 is gray"),
    "colourfulness": Term("colourfulness", 2, None, "Hasler and Süsstrunk's; compare it with the ceiling's"),
    "colourfulness_absolute": Term("colourfulness, absolute", 2, None, "the variant with absolute differences"),
    "delta_cf_images": Term("ΔCF of images", 2, "lower", "difference from the truth's colourfulness, per image"),
    "delta_cf_set": Term("ΔCF of the set", 2, "lower", "difference of the mean colourfulness"),
    "mse": Term("MSE", 1, "lower", "mean squared error of a and b"),
    "loss": Term("loss", 1, "lower", "MSE plus the l2 penalty, which training minimises"),
    "recognised_top1": Term("recognised, top 1", 4, "higher", "share of images whose first class is the true one's"),
    "recognised_top5": Term("recognised, top 5", 4, "higher", "share of images with the true one's class among five"),
}
# The baselines have their own labels.
_HEADINGS = {
    MODEL: "this run",
    EMBEDDING_SHUFFLED: "another image's embedding",
    EMBEDDING_MEAN: "mean embedding",
    PAPER: "paper",
}


def term(metric: str) -> Term:
    """The words for a metric; an unknown metric keeps its name."""
    if frechet.is_distance(metric):
        name = frechet.network(metric)
        label = registry.ENTRIES[name].label if name in registry.ENTRIES else name
        return Term("Fréchet distance", 2, "lower", f"between sets of images, in the features of {label}")
    return METRICS.get(metric, Term(metric, 4, None, ""))


def heading(answer: str) -> str:
    """The table heading of an answer; an unknown answer keeps its name."""
    baseline = predictors.BASELINES.get(answer)
    return baseline.label if baseline else _HEADINGS.get(answer, answer)


def answers() -> list[str]:
    """The names of all answers, in the order of tables."""
    return [MODEL, EMBEDDING_SHUFFLED, EMBEDDING_MEAN, *predictors.BASELINES, PAPER]


def number(value: float, metric: str, *, sign: bool = False) -> str:
    """Format a metric's value with a typographic minus sign; with `sign`, as a difference (see `signed`)."""
    if math.isnan(value):
        return "NaN"
    digits = term(metric).digits
    if sign and abs(value) < 1e6:
        return signed(value, digits).replace("-", "−")
    text = "∞" if math.isinf(value) else f"{abs(value):.{digits}f}" if abs(value) < 1e6 else f"{abs(value):.3e}"
    return ("−" if value < 0 else "+" if sign else "") + text


def signed(value: float, digits: int) -> str:
    """Format a difference with its sign; a nonzero one gets enough decimals not to read as 0."""
    if value and math.isfinite(value) and not float(f"{value:.{digits}f}"):
        return str(np.format_float_positional(value, precision=1, fractional=False, trim="-", sign=True))
    return f"{value:+.{digits}f}"

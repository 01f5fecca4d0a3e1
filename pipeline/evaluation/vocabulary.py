"""Labels, number formats and explanations of metrics and answers, for tables, figures and pages."""

import math

import numpy as np

from pipeline.embedding import registry
from pipeline.evaluation import frechet, predictors
from pipeline.evaluation.measures import METRICS, Metric
from pipeline.evaluation.scores import BEST, EMBEDDING_MEAN, EMBEDDING_SHUFFLED, MODEL, PAPER, SAMPLES, START

_FIRST = (
    *("rmse", "ciede2000", "ciede2000_p95", "accuracy", "psnr", "psnr_pooled", "ssim", "auc", "auc_rebalanced"),
    *("chroma_ratio", "colourfulness", "colourfulness_absolute", "delta_cf_images", "delta_cf_set", "mse", "loss"),
)
# The baselines have their own labels.
_HEADINGS = {
    MODEL: "this run",
    BEST: f"best of {SAMPLES} samples",
    START: "start (weights before training)",
    EMBEDDING_SHUFFLED: "another image's embedding",
    EMBEDDING_MEAN: "mean embedding",
    PAPER: "paper",
}


def term(metric: str) -> Metric:
    """The definition of a metric; an unknown metric has its name as label."""
    if metric.startswith(frechet.PREFIX):
        network = metric.removeprefix(frechet.PREFIX)
        label = registry.ENTRIES[network].label if network in registry.ENTRIES else network
        name = "FID" if network == "inception_fid" else "Fréchet distance"
        return Metric(metric, name, 2, "lower", f"between sets of images, in the features of {label}")
    return METRICS.get(metric, Metric(metric, label=metric))


def heading(answer: str) -> str:
    """The table heading of an answer; an unknown answer has its name as heading."""
    baseline = predictors.BASELINES.get(answer)
    return baseline.label if baseline else _HEADINGS.get(answer, answer)


def metrics() -> list[str]:
    """The names of all metrics, in the order of tables."""
    return [*_FIRST, *(name for name in METRICS if name not in _FIRST)]


def answers() -> list[str]:
    """The names of all answers, in the order of tables."""
    return [MODEL, BEST, START, EMBEDDING_SHUFFLED, EMBEDDING_MEAN, *predictors.BASELINES, PAPER]


def number(value: float, metric: str, *, sign: bool = False) -> str:
    """Format a metric's value with a typographic minus sign, or a difference (see `signed`) if `sign`."""
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

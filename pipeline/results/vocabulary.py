"""What the page calls metrics and answers, and how it writes numbers."""

import math
from typing import NamedTuple

from pipeline.embedding import registry
from pipeline.evaluation import frechet, predictors, scores
from pipeline.evaluation.paired import signed


class Measure(NamedTuple):
    """How a metric is told: its name, decimals, and what it is."""

    label: str
    digits: int
    meaning: str


MEASURES = {
    "rmse": Measure("RMSE", 2, "root of the mean squared error of a and b, 8-bit units; lower is better"),
    "ciede2000": Measure("CIEDE2000", 2, "mean visible colour difference; lower is better"),
    "ciede2000_p95": Measure("CIEDE2000, 95th percentile", 2, "5 % of pixels differ by more; lower is better"),
    "accuracy": Measure("accuracy", 4, "the paper's: share of pixels whose larger one of a, b is right"),
    "psnr": Measure("PSNR", 2, "dB, mean over images; higher is better, and gray scores well"),
    "psnr_pooled": Measure("PSNR, pooled", 2, "dB, of the mean squared error of all images; higher is better"),
    "ssim": Measure("SSIM", 4, "structural similarity, at most 1; higher is better, and gray scores well"),
    "auc": Measure("AuC", 4, "area under the share of pixels within an error of 0 to 150; higher is better"),
    "auc_rebalanced": Measure("AuC, rebalanced", 4, "the same, rare colours counting as much as common ones"),
    "chroma_ratio": Measure("chroma ratio", 3, "predicted chroma over true; 1 is as vivid as the truth, 0 is gray"),
    "colourfulness": Measure("colourfulness", 2, "Hasler and Süsstrunk's; compare it with the ceiling's"),
    "colourfulness_absolute": Measure("colourfulness, absolute", 2, "the variant with absolute differences"),
    "delta_cf_images": Measure("ΔCF of images", 2, "colourfulness minus the truth's, per image; lower is better"),
    "delta_cf_set": Measure("ΔCF of the set", 2, "difference of the sets' mean colourfulness; lower is better"),
    "mse": Measure("MSE", 1, "mean squared error of a and b; lower is better"),
    "loss": Measure("loss", 1, "MSE and the l2 penalty; what training minimises"),
    **{
        frechet.metric(entry.name): Measure("Fréchet distance", 2, f"of {entry.label} features; lower is better")
        for entry in registry.ENTRIES.values()
        if entry.features
    },
    "recognised_top1": Measure("recognised, top 1", 4, "share of images taken for what the true one is"),
    "recognised_top5": Measure("recognised, top 5", 4, "share of images taken for what the true one is"),
}  # fmt: skip


def answers() -> dict[str, str]:
    """What answers are called, in the order of tables."""
    return {
        scores.MODEL: "this run",
        scores.EMBEDDING_SHUFFLED: "this run, another image's embedding",
        scores.EMBEDDING_MEAN: "this run, the mean embedding",
        **{name: baseline.label for name, baseline in predictors.BASELINES.items()},
        scores.PAPER: "the paper",
    }


def number(value: float, metric: str, *, sign: bool = False) -> str:
    """A metric's value in words: its decimals, NaN, ∞, a real minus sign."""
    if math.isnan(value):
        return "NaN"
    digits = MEASURES[metric].digits if metric in MEASURES else 4
    if sign and abs(value) < 1e6:
        return signed(value, digits).replace("-", "−")
    text = "∞" if math.isinf(value) else f"{abs(value):.{digits}f}" if abs(value) < 1e6 else f"{abs(value):.3e}"
    return ("−" if value < 0 else "+" if sign else "") + text

"""Pictures to measure, and the metrics that several formulas make up."""

import math

import numpy as np
from skimage.color import rgb2lab

from pipeline.evaluation import metrics


def psnr(predicted, true):
    return metrics.psnr_of_error(metrics.squared_error(predicted, true))


def ciede2000(predicted, true):
    return metrics.ciede2000_of_lab(rgb2lab(predicted), rgb2lab(true))


def auc(predicted, true):
    return metrics.auc_credit(predicted, true).reshape(len(true), math.prod(true.shape[1:3])).mean(axis=1)


def pictures(seed: int, n: int = 3, channels: int = 3) -> np.ndarray:
    """Noise on a slope: neither flat nor pure noise."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(40, 200, 13)[None, :, None, None] * rng.uniform(0.5, 1.2, (n, 1, 17, channels))
    return np.clip(slope + rng.normal(0, 12, (n, 13, 17, channels)), 0, 255).astype(np.uint8)

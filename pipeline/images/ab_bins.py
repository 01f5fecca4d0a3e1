"""The 313 colours that stand for all of ab when colour is a class, after Zhang, Isola and Efros (ECCV 2016).

ab is CIE Lab's here, -128..127, unless it is said to be in 8-bit units.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from pipeline.images.lab import NEUTRAL

Floats = npt.NDArray[np.float64]

# From the paper's released list (pts_in_hull.npy): the lowest and the highest b for each a of -90, -80, ... 100.
_B_RANGES = (
    (50, 90), (20, 90), (0, 90), (-20, 90), (-30, 100), (-40, 100), (-50, 100), (-50, 100), (-60, 100), (-70, 100),
    (-80, 90), (-80, 90), (-90, 90), (-100, 90), (-100, 80), (-110, 80), (-110, 80), (-110, 70), (-110, 70), (-90, 0),
)  # fmt: skip


@cache
def centres() -> npt.NDArray[np.float32]:
    """The ab of each class, (313, 2) float32, in the order of the released list; read-only."""
    points = [
        (a, b) for a, (low, high) in zip(range(-90, 101, 10), _B_RANGES, strict=True) for b in range(low, high + 1, 10)
    ]
    found = np.array(points, np.float32)
    found.flags.writeable = False
    return found


def soft_labels(neighbours: int, sigma: float) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """How each 8-bit ab is shared among its nearest classes.

    Args:
        neighbours: how many classes share a colour; the paper has 5.
        sigma: of the Gaussian over their distances, in ab; the paper has 5.

    Returns:
        The classes, nearest first, (256, 256, neighbours) int32, and their shares, float32, which add up to 1. Both
        are indexed by a and b in 8-bit units. Of classes at the same distance, the lower number is the nearer.
    """
    along_a, along_b = ((np.arange(256)[:, None] - NEUTRAL - axis) ** 2 for axis in centres().T)
    distances = (along_a[:, None] + along_b).reshape(-1, len(centres()))
    classes = np.argsort(distances, axis=1, kind="stable")[:, :neighbours]
    nearest = np.take_along_axis(distances, classes, axis=1).astype(np.float64)
    # Less the smallest, so that colours far from all classes do not divide 0 by 0.
    shares = np.exp(-(nearest - nearest[:, :1]) / (2 * sigma**2))
    shares /= shares.sum(axis=1, keepdims=True)
    shape = (256, 256, neighbours)
    return classes.reshape(shape).astype(np.int32), shares.reshape(shape).astype(np.float32)


def prior(counts: npt.NDArray[np.integer], neighbours: int, sigma: float) -> Floats:
    """How frequent each class is, smoothed over its neighbours by a Gaussian of `sigma`.

    Args:
        counts: pixels of each 8-bit ab, (256, 256).
        neighbours: see `soft_labels`.
        sigma: of the soft labels and of the smoothing, in ab.

    Returns:
        (313,) float64, positive, with the sum 1.
    """
    classes, shares = soft_labels(neighbours, sigma)
    weighted = shares.astype(np.float64) * counts[..., None]
    raw = np.bincount(classes.ravel(), weighted.ravel(), minlength=len(centres()))
    squared = ((centres()[:, None] - centres().astype(np.float64)) ** 2).sum(axis=-1)
    kernel = np.exp(-squared / (2 * sigma**2))
    smoothed = (kernel / kernel.sum(axis=1, keepdims=True)) @ (raw / raw.sum())
    return np.asarray(smoothed / smoothed.sum())


def class_weights(frequency: Floats, mixing: float, power: float = 1.0) -> Floats:
    """How much a pixel of each class counts in the loss, so that rare colours are learned too.

    Args:
        frequency: `prior`, (313,).
        mixing: lambda, the share of a uniform distribution that is mixed into it, 0..1; the paper has 0.5.
        power: exponent; 1 is the paper's, 0 gives every class the weight 1.

    Returns:
        (313,) float64; their mean, weighted by `frequency`, is 1.
    """
    weights = ((1 - mixing) * frequency + mixing / len(frequency)) ** -power
    return np.asarray(weights / (frequency * weights).sum())


def annealed_mean(logits: npt.NDArray[np.floating], temperature: float) -> Floats:
    """The mean ab of a distribution over the classes that is sharpened or flattened by a temperature.

    Args:
        logits: (..., 313).
        temperature: 1 gives the mean of the distribution, towards 0 its mode; the paper has 0.38.

    Returns:
        (..., 2) of the type of the logits.
    """
    scaled = logits / logits.dtype.type(temperature)
    shares = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(shares @ centres().astype(logits.dtype) / shares.sum(axis=-1, keepdims=True))

"""Colour statistics of a dataset: the histogram of (a, b) and the mean."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.config.partitions import PARTITIONS
from pipeline.images.lab import UInt8
from pipeline.storage.store import Store

Counts = npt.NDArray[np.int64]


def no_colours() -> Counts:
    """Return an empty histogram: (256, 256) int64, indexed [a, b] in 8-bit units."""
    return np.zeros((256, 256), np.int64)


def add_colours(counts: Counts, ab: UInt8) -> None:
    """Add the pixels of ab (..., 2) uint8 to `counts`."""
    a, b = ab.reshape(-1, 2).T.astype(np.intp)
    counts += np.bincount(256 * a + b, minlength=counts.size).reshape(counts.shape)


def count_colours(images: Store, partitions: Sequence[str]) -> dict[str, Counts]:
    """Return the histogram of each partition, given the partition of each image in the store's order."""
    found = {name: no_colours() for name in PARTITIONS}
    for start, stop, ab in images.read_spans("ab"):
        for name, image in zip(partitions[start:stop], ab, strict=True):
            add_colours(found[name], image)
    return found


def mean_ab(counts: Counts) -> tuple[float, float]:
    """Return the mean a and b of a histogram in 8-bit units: exact sums, rounded once."""
    a, b = ((counts.sum(axis=axis) * np.arange(256)).sum() / counts.sum() for axis in (1, 0))
    return float(a), float(b)


def mean_ab_of_images(images: Iterable[UInt8]) -> tuple[float, float]:
    """Return the mean a and b, in 8-bit units, of images (H, W, 2) of one size, as the mean of their means.

    It differs from `mean_ab` in the last bits. Networks start with this one as bias, and runs record it.
    """
    means = [image.mean(axis=(0, 1), dtype=np.float64) for image in images]
    a, b = sum(means, np.zeros(2)) / len(means)
    return float(a), float(b)

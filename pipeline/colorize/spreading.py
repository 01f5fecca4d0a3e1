"""Spread the colours of hints to places that look alike and are near.

Where a person hints at a colour, the difference from the predicted colour is known. Gaussian process regression
estimates it everywhere else: two places are the more alike the closer their descriptors, which are a linear map of what
the network computed there, the lightness, the predicted colour and the position. `pipeline.publishing.fitting` learns
the map with simulated hints. Without hints, predictions stay as they are, to the bit.

Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), chapter 2.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.core import files

Floats = npt.NDArray[np.floating]

NOISE = 0.05  # variance of a hint, relative to that of the differences: a hint is met to 5 %
# Units in which lightness, predicted colours and positions enter a descriptor.
LIGHTNESS, COLOUR, POSITION = 40.0, 25.0, 0.8


def describe(features: Floats, lightness: Floats, ab: Floats) -> npt.NDArray[np.float32]:
    """Return what is known of each place of a picture, (h, w, c + 5) float32.

    Args:
        features: (h, w, c), what the network computed.
        lightness: L* (h, w), 0..100.
        ab: predicted a* and b* (h, w, 2).
    """
    height, width = lightness.shape
    rows, columns = np.mgrid[:height, :width]
    places = np.stack([(rows + 0.5) / height, (columns + 0.5) / width], axis=-1)
    parts = [features, lightness[..., None] / LIGHTNESS, ab / COLOUR, places / POSITION]
    return np.concatenate(parts, axis=-1, dtype=np.float32)


class Spread(NamedTuple):
    """How hints change a picture.

    Attributes:
        change: of a* and b*, (h, w, 2).
        nearest: the change at the most similar hint, (h, w, 2).
        alike: similarity to that hint, (h, w), 0..1.
        number: which one it is of `at`, (h, w).
        at: the cells with hints, (k,), counted row by row.
        descriptors: (h, w, d).
    """

    change: Floats
    nearest: Floats
    alike: Floats
    number: npt.NDArray[np.intp]
    at: npt.NDArray[np.intp]
    descriptors: Floats


@dataclass(frozen=True)
class Spreading:
    """Spreads hints over the predictions of one network.

    Attributes:
        projection: (c + 5, d) float32, from `describe` to descriptors.
    """

    projection: npt.NDArray[np.float32]

    @classmethod
    def load(cls, path: Path) -> "Spreading":
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing, or not the one that its folder lists.
        """
        files.refuse_changed(path)
        return cls(np.load(path, allow_pickle=False))

    def save(self, path: Path) -> None:
        """Write a NumPy file."""
        files.write_bytes(path, files.npy(self.projection))

    def __call__(self, described: Floats, ab: Floats, cells: npt.NDArray[np.intp], hinted: Floats) -> Floats:
        """Return a* and b* (h, w, 2) float32 with hints.

        Args:
            described: see `describe`.
            ab: a* and b* (h, w, 2) without hints.
            cells: row and column of each hint, (k, 2); of two in one cell, the later one counts.
            hinted: their a* and b*, (k, 2).
        """
        return np.asarray(ab + self.spread(described, ab, cells, hinted).change, np.float32)

    def hinted(self, described: Floats, ab: Floats, cells: npt.NDArray[np.intp], colours: Floats) -> Floats:
        """Do the same with the hints of a person, which a published network may spread better; see `Refined`."""
        return self(described, ab, cells, colours)

    def spread(self, described: Floats, ab: Floats, cells: npt.NDArray[np.intp], hinted: Floats) -> Spread:
        """Return how hints change the picture; for the arguments see `__call__`."""
        height, width, _ = ab.shape
        flat = np.asarray(product(described.reshape(height * width, -1), self.projection), np.float64)
        last = {int(row) * width + int(column): number for number, (row, column) in enumerate(cells)}
        at, chosen = np.array(list(last), np.intp), list(last.values())
        differences = hinted[chosen] - ab.reshape(-1, 2)[at]
        among = similarity(flat[at], flat[at]) + NOISE * np.eye(len(at))
        alike = similarity(flat, flat[at])
        change = product(alike, np.linalg.solve(among, differences))
        number = alike.argmax(axis=1)
        return Spread(
            change.reshape(ab.shape),
            differences[number].reshape(ab.shape),
            alike.max(axis=1).reshape(height, width),
            number.reshape(height, width),
            at,
            flat.reshape(height, width, -1),
        )


def product(first: Floats, second: Floats) -> Floats:
    """Return the matrix product (..., n, k) of (..., n, d) and (d, k), in the same bytes with any number of threads.

    BLAS would round differently where its threads share the rows in other ways.
    """
    return np.asarray(np.einsum("...nd,dk->...nk", first, second))


def similarity(first: Floats, second: Floats) -> Floats:
    """Return exp(-d^2 / 2) for the distances d of descriptors (n, d) and (k, d), as (n, k) in 0..1."""
    squared = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * product(first, second.T)
    return np.asarray(np.exp(-np.maximum(squared, 0) / 2))

"""Keep the colours of hints on their things.

Gaussian process regression compares places one by one, so a hint's colour leaks to what looks alike beyond an edge. A
small network sees the whole picture with the hints and the regression's answer. For each place, it returns two gates in
0..1: the share of the regression's change that stays, and the share of the change at the most similar hint that is
added. The change is at most `MOST` times the regression's, so what the network mistakes for the thing gets little
colour. Its inputs say nothing of the hue of a change, so all hues spread alike. `pipeline.publishing.gates` trains it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.colorize.spreading import Floats, Spread, Spreading

MOST = 1.25
INPUTS, GATES = "inputs", "gates"  # of the network's ONNX file
OWN = 15  # inputs beside the descriptors
HINTED = 0  # the input that is 1 where there is a hint
STEADY = 5.0  # added to the size of a hint's change that others are compared with
SIZE, FARTHEST = 40.0, 6.0  # unit of changes; the largest distance of descriptors that is told from others


@dataclass(frozen=True)
class Refined(Spreading):
    """Spreads hints over the predictions of one network, and refines the answer.

    Attributes:
        opened: returns the session of ONNX Runtime, which returns `GATES` (1, h, w, 2) of `INPUTS` (1, h, w, c).
    """

    opened: Callable[[], Any]

    @cached_property
    def session(self) -> Any:
        """See `opened`."""
        return self.opened()

    def hinted(self, described: Floats, ab: Floats, cells: npt.NDArray[np.intp], colours: Floats) -> Floats:
        """See `Spreading`."""
        spread = self.spread(described, ab, cells, colours)
        (gates,) = self.session.run([GATES], {INPUTS: inputs(described, spread)[None]})
        change = gates[0, ..., :1] * spread.change + gates[0, ..., 1:] * spread.nearest
        most = MOST * _length(spread.change) / np.maximum(_length(change), 1e-6)
        return np.asarray(ab + np.minimum(most, 1)[..., None] * change, np.float32)


def inputs(described: Floats, spread: Spread) -> npt.NDArray[np.float32]:
    """Return the network's inputs, (h, w, `OWN` + 2 d).

    Args:
        described: see `pipeline.colorize.spreading.describe`.
        spread: of the hints.
    """
    height, width, depth = spread.descriptors.shape
    flat, known = np.asarray(spread.descriptors.reshape(-1, depth), np.float32), described[..., -5:].reshape(-1, 5)
    change, nearest, alike = (np.asarray(each, np.float32) for each in spread[:3])
    size = _length(nearest)
    unit = nearest / (size + 1e-3)[..., None]
    along = (change * unit).sum(axis=-1) / (size + STEADY)
    across = np.abs(change[..., 0] * unit[..., 1] - change[..., 1] * unit[..., 0]) / (size + STEADY)
    hinted = np.zeros(height * width, np.float32)
    hinted[spread.at] = 1
    origin = spread.at[spread.number.ravel()]
    apart = (known - known[origin]).reshape(height, width, 5)
    own = [
        hinted.reshape(height, width),
        alike,
        np.minimum(np.sqrt(-2 * np.log(np.maximum(alike, 1e-30))), FARTHEST) / 3,
        np.clip(along, -2, 2),
        np.clip(across, 0, 2),
        size / SIZE,
        _length(change) / SIZE,
        apart[..., 0],
        np.abs(apart[..., 0]),
        _length(apart[..., 1:3]),
        _length(apart[..., 3:]),
        np.full((height, width), np.log(len(spread.at)) / 4, np.float32),
        described[..., -5],
        _slope(described[..., -5:-4]),
        _slope(described[..., -4:-2]),
    ]
    given = np.empty((height * width, OWN + 2 * depth), np.float32)
    given[:, :OWN] = np.stack(own, axis=-1).reshape(-1, OWN)
    given[:, OWN : OWN + depth] = np.abs(flat - flat[origin]) / 2
    given[:, OWN + depth :] = flat / 4
    return given.reshape(height, width, -1)


def _slope(planes: Floats) -> Floats:
    """Return the length of the gradient of planes (h, w, c), over all c."""
    return _length(np.concatenate(np.gradient(planes, axis=(0, 1)), axis=-1)) * 4


def _length(vectors: Floats) -> Floats:
    return np.asarray(np.sqrt(np.einsum("hwc,hwc->hw", vectors, vectors)))

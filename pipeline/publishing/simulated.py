"""Simulated hints, and photographs of which they are given."""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.images.lab import NEUTRAL, UInt8

LARGEST = 9  # side of a hint's patch, in pixels
# A thing is connected, with chroma and lightness that differ from those of one pixel by at most this.
ALIKE_COLOUR, ALIKE_LIGHTNESS = 12.0, 20.0
SMALLEST, BIGGEST = 1 / 128, 1 / 2  # of the picture
OTHER_COLOUR, OTHER_LIGHTNESS = 20.0, 30.0  # differences from a thing, beyond a strong edge
NEAR = 0.35  # of the side of the picture

Floats = npt.NDArray[np.floating]
Random = np.random.Generator


@dataclass(frozen=True)
class Pictures:
    """Pictures as a network predicts them, at its own resolution.

    Attributes:
        described: (n, h, w, c), see `pipeline.colorize.spreading.describe`.
        lightness: L* (n, h, w).
        predicted: a* and b* (n, h, w, 2).
        true: the same of the photographs.
    """

    described: npt.NDArray[np.float16]
    lightness: npt.NDArray[np.float32]
    predicted: npt.NDArray[np.float32]
    true: npt.NDArray[np.float32]


class Thing(NamedTuple):
    """A part of a picture of one colour: its mask (h, w) bool and the row and column of a place in it."""

    mask: npt.NDArray[np.bool_]
    row: int
    column: int


def thing(lightness: Floats, ab: Floats, random: Random, tries: int = 5) -> Thing | None:
    """Find something of one colour in a picture, L* (h, w) and a* and b* (h, w, 2), around a random place.

    It takes between `SMALLEST` and `BIGGEST` of the picture; None if none is found in some tries.
    """
    height, width = lightness.shape
    for _ in range(tries):
        row, column = int(random.integers(height)), int(random.integers(width))
        near = np.linalg.norm(ab - ab[row, column], axis=-1) <= ALIKE_COLOUR
        near &= np.abs(lightness - lightness[row, column]) <= ALIKE_LIGHTNESS
        _, numbers = cv2.connectedComponents(near.astype(np.uint8), connectivity=4)
        mask = numbers == numbers[row, column]
        if SMALLEST <= mask.mean() <= BIGGEST:
            return Thing(mask, row, column)
    return None


def beyond(found: Thing, lightness: Floats, ab: Floats) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return masks (h, w) of what is beside a thing and of what is far from it, both beyond a strong edge.

    Args:
        found: the thing.
        lightness: L* (h, w) of its picture.
        ab: a* and b* (h, w, 2).
    """
    row, column = found.row, found.column
    other = np.linalg.norm(ab - ab[row, column], axis=-1) > OTHER_COLOUR
    other |= np.abs(lightness - lightness[row, column]) > OTHER_LIGHTNESS
    other &= ~found.mask
    down, across = (np.arange(size) for size in lightness.shape)
    near = np.hypot(*np.meshgrid(across - column, down - row)) <= NEAR * len(lightness)
    return other & near, other & ~near


def patches(ab: UInt8, count: int, random: Random) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Draw hints on a photograph as in Zhang et al., "Real-time user-guided image colorization" (2017).

    A hint is a square patch of 1 to `LARGEST` pixels, whose place is normally distributed around the centre with a
    quarter of the side, and its mean colour.

    Args:
        ab: of the photograph (H, W, 2) uint8.
        count: of hints.
        random: generator.

    Returns:
        Row and column of the middle of each patch, (count, 2), and its a* and b* (count, 2).
    """
    sides = random.integers(1, LARGEST + 1, count)
    size = np.array(ab.shape[:2])
    free = size - sides[:, None]
    corners = np.clip(np.rint(random.normal(free / 2, size / 4)), 0, free).astype(np.intp)
    colours = [
        ab[row : row + side, column : column + side].mean(axis=(0, 1)) - NEUTRAL
        for (row, column), side in zip(corners, sides, strict=True)
    ]
    return corners + sides[:, None] // 2, np.array(colours, np.float32).reshape(-1, 2)

"""Find the border around a photograph: the paper of a print, or the background of a scan. It stays without colours."""

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.colorize.upsampling import Float, Upsampling
from pipeline.images import prepare
from pipeline.images.formats import SIZE
from pipeline.images.lab import UInt8
from pipeline.images.light import Levels, lightness_of
from pipeline.images.photographs import Photograph

# All in levels of L, 0..255, and in pixels of a picture of 224 x 224; see docs/colorize.md.
UNEVEN = 16.0  # how far nine tenths of a line may lie from the border's tone
CONTRAST = 20.0  # between the border and the lines inside it
ALIKE = 24.0  # between the tones of the sides
NARROWEST, WIDEST = 3, 64
SPARE = 3  # between a border and what is certainly inside
SIDES = 3  # that must have a border, because a sky or a wall may look like one side

Sides = tuple[int, int, int, int]  # top, bottom, left and right


class Box(NamedTuple):
    """Rows and columns of a photograph; the last of each is exclusive."""

    top: int
    bottom: int
    left: int
    right: int

    def contains(self, row: int, column: int) -> bool:
        """Whether a pixel is in it."""
        return self.top <= row < self.bottom and self.left <= column < self.right


def border_of(lightness: UInt8) -> Sides:
    """Return how many pixels a border takes on each side of L (h, w) uint8, about 224 pixels high and wide; or zeros.

    A border has one tone on at least three sides, and ends where the picture begins.
    """
    sides = (lightness, lightness[::-1], lightness.T, lightness.T[::-1])
    found = [_side(each.astype(np.float32)) for each in sides]
    tones = [tone for depth, tone in found if depth]
    if len(tones) < SIDES:
        return 0, 0, 0, 0
    tone = float(_quantile(np.array(tones), 0.5))
    depths = [depth if depth and abs(own - tone) <= ALIKE else 0 for depth, own in found]
    if sum(depth > 0 for depth in depths) < SIDES:
        return 0, 0, 0, 0
    top, bottom, left, right = depths
    return top, bottom, left, right


def inside_of(levels: Levels, lightness: UInt8) -> Box | None:
    """Return the part of a photograph (H, W) or (H, W, 3) inside its border, to the pixel; None without a border.

    Args:
        levels: the photograph, uint8 or uint16.
        lightness: its L (224, 224) uint8.
    """
    depths = border_of(lightness)
    if not any(depths):
        return None
    turned = levels.swapaxes(0, 1)
    top, bottom, left, right = (
        _edge(view, depth) for view, depth in zip((levels, levels[::-1], turned, turned[::-1]), depths, strict=True)
    )
    height, width = levels.shape[:2]
    return Box(top, height - bottom, left, width - right)


def well_inside(levels: Levels) -> Levels | None:
    """Return the part of a photograph (H, W, 3) inside its border, and so far from it that nothing of it is left.

    A side on which no border was found is cut off too, because most borders have four sides.
    """
    small = cv2.resize(levels, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    depths = border_of(prepare.lightness(Photograph(small), (SIZE, SIZE)))
    if not any(depths):
        return None
    least = sorted(filter(None, depths))[1]
    height, width = levels.shape[:2]
    top, bottom, left, right = (
        round(((depth or least) + SPARE) / SIZE * side)
        for depth, side in zip(depths, (height, height, width, width), strict=True)
    )
    inner = levels[top : height - bottom, left : width - right]
    return inner if inner.size else None


def _edge(lines: Levels, depth: int) -> int:
    """Return how many lines a border takes that is about `depth` of 224 lines deep."""
    if not depth:
        return 0
    of_224 = len(lines) / SIZE
    first, stop = max(0, int((depth - 4) * of_224)), min(len(lines), round(depth * of_224) + 1)
    middle = slice(lines.shape[1] // 4, max(1, lines.shape[1] * 3 // 4))  # without the borders of other sides
    tone = _quantile(lightness_of(lines[: max(1, int(2 * of_224)), middle]).ravel(), 0.5)
    apart = _quantile(np.abs(lightness_of(lines[first:stop, middle]) - tone), 0.5) * 2.55
    return first + int(np.argmax(apart > CONTRAST / 2)) if (apart > CONTRAST / 2).any() else stop


def within(photograph: Photograph, box: Box, shape: tuple[int, ...]) -> Photograph:
    """Return the part of a photograph that is in a box of the photograph at another size, `shape` (H, W)."""
    down, across = (have / want for have, want in zip(photograph.levels.shape, shape, strict=False))
    rows = slice(round(box.top * down), round(box.bottom * down))
    columns = slice(round(box.left * across), round(box.right * across))
    alpha = None if photograph.alpha is None else photograph.alpha[rows, columns]
    return Photograph(photograph.levels[rows, columns], alpha)


class Framed:
    """Colours of what is inside a border, and none on the border."""

    def __init__(self, inner: Upsampling, box: Box) -> None:
        """Put the colours of the inner part into the photograph."""
        self._inner, self._box = inner, box

    def rows(self, start: int, lightness: Float) -> list[Float]:
        """As `Upsampling.rows`."""
        first = max(start, self._box.top)
        stop = max(first, min(start + len(lightness), self._box.bottom))
        chroma = [np.zeros_like(lightness) for _ in range(2)]
        if first < stop:
            part = slice(first - start, stop - start), slice(self._box.left, self._box.right)
            for plane, inner in zip(chroma, self._inner.rows(first - self._box.top, lightness[part]), strict=True):
                plane[part] = inner
        return chroma


def _side(lines: npt.NDArray[np.float32]) -> tuple[int, float]:
    """Return the depth of a border above the lines below it, and its tone; 0 if there is none."""
    tone = float(_quantile(lines[:2].ravel(), 0.5))
    apart = _quantile(np.abs(lines[: WIDEST + 1] - tone), 0.9)
    depth = int(np.argmax(apart > UNEVEN)) if (apart > UNEVEN).any() else 0
    if not NARROWEST <= depth <= WIDEST:
        return 0, tone
    inside = lines[depth + 1 : depth + 9]
    contrast = _quantile(np.abs(inside - tone).ravel(), 0.5)
    # The first line that differs may be half border.
    return (min(depth + 1, WIDEST), tone) if contrast >= CONTRAST else (0, tone)


def _quantile(values: npt.NDArray[Any], share: float) -> npt.NDArray[Any]:
    """Return `np.quantile(values, share, axis=-1)`, which would import NumPy's masked arrays: 20 ms."""
    ordered, place = np.sort(values, axis=-1), share * (values.shape[-1] - 1)
    below, above = ordered[..., int(place)], ordered[..., math.ceil(place)]
    quantile: npt.NDArray[Any] = below + (above - below) * (place % 1)
    return quantile

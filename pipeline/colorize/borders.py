"""Find the border around a photograph: the paper of a print, or the background of a scan. It stays without colours."""

import numpy as np
import numpy.typing as npt

from pipeline.colorize.upsampling import Float, Upsampling
from pipeline.images.formats import SIZE
from pipeline.images.lab import UInt8
from pipeline.images.photographs import Photograph

# All in levels of L, 0..255, and in pixels of a picture of 224 x 224; see docs/colorize.md.
UNEVEN = 16.0  # how far nine tenths of a line may lie from the border's tone
CONTRAST = 20.0  # between the border and the lines inside it
ALIKE = 24.0  # between the tones of the sides
NARROWEST, WIDEST = 3, 64
SIDES = 3  # that must have a border, because a sky or a wall may look like one side

Sides = tuple[int, int, int, int]  # top, bottom, left and right


def border_of(lightness: UInt8) -> Sides:
    """Return how many pixels a border takes on each side of L (h, w) uint8, about 224 pixels high and wide; or zeros.

    A border has one tone on at least three sides, and ends where the picture begins.
    """
    sides = (lightness, lightness[::-1], lightness.T, lightness.T[::-1])
    found = [_side(each.astype(np.float32)) for each in sides]
    tones = [tone for depth, tone in found if depth]
    if len(tones) < SIDES:
        return 0, 0, 0, 0
    tone = float(np.median(tones))
    depths = [depth if depth and abs(own - tone) <= ALIKE else 0 for depth, own in found]
    if sum(depth > 0 for depth in depths) < SIDES:
        return 0, 0, 0, 0
    top, bottom, left, right = depths
    return top, bottom, left, right


def within(photograph: Photograph, sides: Sides) -> Photograph:
    """Return the part of a photograph inside a border, given as `border_of` returns it for (224, 224)."""
    top, bottom, left, right = _pixels(photograph.levels.shape, sides)
    alpha = None if photograph.alpha is None else photograph.alpha[top:bottom, left:right]
    return Photograph(photograph.levels[top:bottom, left:right], alpha)


def _pixels(shape: tuple[int, ...], sides: Sides) -> tuple[int, int, int, int]:
    """Return first and last row and column, exclusive, inside a border."""
    height, width = shape[:2]
    top, bottom, left, right = sides
    return (
        round(top * height / SIZE), height - round(bottom * height / SIZE),
        round(left * width / SIZE), width - round(right * width / SIZE),
    )  # fmt: skip


class Framed:
    """Colours of what is inside a border, and none on the border."""

    def __init__(self, inner: Upsampling, shape: tuple[int, ...], sides: Sides) -> None:
        """Put the colours of the inner part into a photograph (H, W)."""
        self._inner = inner
        self._top, self._bottom, self._left, self._right = _pixels(shape, sides)

    def rows(self, start: int, lightness: Float) -> list[Float]:
        """As `Upsampling.rows`."""
        first = max(start, self._top)
        stop = max(first, min(start + len(lightness), self._bottom))
        chroma = [np.zeros_like(lightness) for _ in range(2)]
        if first < stop:
            part = slice(first - start, stop - start), slice(self._left, self._right)
            for plane, inner in zip(chroma, self._inner.rows(first - self._top, lightness[part]), strict=True):
                plane[part] = inner
        return chroma


def _side(lines: npt.NDArray[np.float32]) -> tuple[int, float]:
    """Return the depth of a border above the lines below it, and its tone; 0 if there is none."""
    tone = float(np.median(lines[:2]))
    apart = np.quantile(np.abs(lines[: WIDEST + 1] - tone), 0.9, axis=1)
    depth = int(np.argmax(apart > UNEVEN)) if (apart > UNEVEN).any() else 0
    if not NARROWEST <= depth <= WIDEST:
        return 0, tone
    inside = lines[depth + 1 : depth + 9]
    contrast = np.quantile(np.abs(inside - tone), 0.5)
    # The first line that differs may be half border.
    return (min(depth + 1, WIDEST), tone) if contrast >= CONTRAST else (0, tone)

"""The one way from a photograph to the L that a network sees.

A photograph becomes sRGB with 8 bits, over white where it is transparent; that is resized (Lanczos), and what comes out
is encoded as Lab. `ingest` stores the centre square; `colorize`, `serve` and whoever uses an exported network show the
whole photograph. A large JPEG is decoded at a reduced size first, see `pipeline.images.photographs.decode`.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.images import formats, lab
from pipeline.images.formats import SIZE
from pipeline.images.lab import MULTIPLE, UInt8
from pipeline.images.light import eight_bits
from pipeline.images.photographs import Photograph, decode, read_bytes

MOST_SQUARES = 16  # a long picture is shown to the network with at most the pixels of so many squares

Box = tuple[float, float, float, float]


def lightness_of_file(path: str | Path, size: int = SIZE, max_megapixels: float = formats.MAX_MEGAPIXELS) -> UInt8:
    """What a network sees of a photograph's file: L (h, w) uint8, 8-bit units, the shorter side `size` pixels.

    Raises:
        UnreadablePhotograph: says why.
    """
    data = read_bytes(Path(path), max_megapixels)
    return lightness(decode(data, max_megapixels, at_least=size), size=size)


def lightness(photograph: Photograph, shape: tuple[int, int] | None = None, size: int = SIZE) -> UInt8:
    """What a network sees of a photograph: L (h, w) uint8, 8-bit units.

    Args:
        photograph: of any depth.
        shape: h and w; `network_shape` unless told.
        size: the shorter side, if no shape is told.
    """
    shape = shape or network_shape(photograph.levels.shape[0], photograph.levels.shape[1], size)
    return encoded(resized(photograph, *shape))[0]


def centre_square(photograph: Photograph) -> tuple[UInt8, UInt8]:
    """What ingest stores of a photograph: L (224, 224) and ab (224, 224, 2) uint8 of its centre, as large as can be."""
    height, width = photograph.levels.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    # Resizing the square alone is the same, and does not blow up a panorama of one pixel's height.
    return encoded(resized(photograph, SIZE, SIZE, (left, top, left + side, top + side)))


def resized(photograph: Photograph, height: int, width: int, box: Box | None = None) -> UInt8:
    """A photograph, or a box (left, upper, right, lower) of it, as sRGB (height, width) or (height, width, 3) uint8."""
    return _stacked(plane.resize((width, height), Image.Resampling.LANCZOS, box=box) for plane in _planes(photograph))


def srgb(photograph: Photograph) -> UInt8:
    """A photograph as sRGB (H, W, 3) uint8, over white where it is transparent."""
    picture = _stacked(_planes(photograph))
    return picture if picture.ndim == 3 else np.dstack([picture] * 3)


def encoded(picture: UInt8) -> tuple[UInt8, UInt8]:
    """L (...) and ab (..., 2) uint8 of sRGB (h, w) or (h, w, 3) uint8."""
    return lab.from_rgb(picture if picture.ndim == 3 else np.dstack([picture] * 3))


def padded(lightness: UInt8) -> UInt8:
    """L (..., h, w), its last row and column repeated up to a multiple of 8."""
    rows, columns = lightness.shape[-2:]
    more = [(0, 0)] * (lightness.ndim - 2) + [(0, -rows % MULTIPLE), (0, -columns % MULTIPLE)]
    return np.pad(lightness, more, mode="edge")


def network_shape(height: int, width: int, size: int = SIZE) -> tuple[int, int]:
    """Height and width at which the network sees a photograph, before both are brought to a multiple of 8.

    The shorter side is `size`, smaller where the picture is longer than `MOST_SQUARES` squares in a row.
    """
    most = MOST_SQUARES * size * size
    shorter, longer = min(height, width), max(height, width)
    scale = min(size / shorter, math.sqrt(most / (shorter * longer)))
    short = max(1, round(shorter * scale))
    long = max(1, min(round(longer * scale), most // max(short, MULTIPLE)))
    return (short, long) if height <= width else (long, short)


def _planes(photograph: Photograph) -> Iterator[Image.Image]:
    """The channels with 8 bits, over white, one by one: of a large photograph, all together would take much memory."""
    levels = photograph.levels
    alpha = None if photograph.alpha is None else Image.fromarray(eight_bits(photograph.alpha))
    for number in range(levels.shape[2] if levels.ndim == 3 else 1):
        plane = np.ascontiguousarray(levels[..., number] if levels.ndim == 3 else levels)
        picture = Image.fromarray(eight_bits(plane))
        yield picture if alpha is None else Image.composite(picture, Image.new("L", picture.size, 255), alpha)


def _stacked(planes: Iterator[Image.Image]) -> UInt8:
    found = [np.array(plane) for plane in planes]
    return found[0] if len(found) == 1 else np.dstack(found)

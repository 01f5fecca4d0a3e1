"""Preprocessing: from a photograph to the L that a network receives.

A photograph is converted to 8-bit sRGB over white, resized (Lanczos) and encoded as Lab. `ingest` stores the centre
square; `colorize`, `serve` and users of an exported network pass the whole photograph. Large JPEGs are first decoded at
a reduced size, see `pipeline.images.photographs.decode`.
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
from pipeline.images.photographs import Photograph, decode, header_of, orientation_of, read_bytes

MOST_SQUARES = 16  # longer pictures are reduced to the number of pixels in this many squares

Box = tuple[float, float, float, float]


def lightness_of_file(path: str | Path, size: int = SIZE, max_megapixels: float = formats.MAX_MEGAPIXELS) -> UInt8:
    """Read a photograph and return what a network receives: L (h, w) uint8, the shorter side `size` pixels.

    Raises:
        UnreadablePhotograph: the file cannot be read.
    """
    data = read_bytes(Path(path), max_megapixels)
    photograph = decode(data, max_megapixels, at_least=size)
    height, width = photograph.levels.shape[:2]
    image = header_of(data)
    if image and image.format in ("JPEG", "MPO"):  # at a reduced size, the aspect ratio is rounded
        width, height = image.size if orientation_of(image) < 5 else image.size[::-1]
    return lightness(photograph, network_shape(height, width, size))


def lightness(photograph: Photograph, shape: tuple[int, int] | None = None) -> UInt8:
    """Return what a network receives: L (h, w) uint8 of a shape, by default the `network_shape`."""
    shape = shape or network_shape(*photograph.levels.shape[:2])
    return lab.from_rgb(resized(photograph, *shape))[0]


def squashed(photograph: Photograph) -> tuple[UInt8, UInt8]:
    """Return L (224, 224) and ab (224, 224, 2) uint8 of the whole photograph, whatever its aspect ratio."""
    return lab.from_rgb(resized(photograph, SIZE, SIZE))


def centre_square(photograph: Photograph) -> tuple[UInt8, UInt8]:
    """Return what ingest stores: L (224, 224) and ab (224, 224, 2) uint8 of the largest centred square."""
    height, width = photograph.levels.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    # Resizing only the square gives the same pixels and does not enlarge a panorama of one pixel's height.
    return lab.from_rgb(resized(photograph, SIZE, SIZE, (left, top, left + side, top + side)))


def resized(photograph: Photograph, height: int, width: int, box: Box | None = None) -> UInt8:
    """Resize a photograph, or its `box` (left, upper, right, lower), to sRGB (height, width, 3) uint8."""
    return _stacked(plane.resize((width, height), Image.Resampling.LANCZOS, box=box) for plane in _planes(photograph))


def srgb(photograph: Photograph) -> UInt8:
    """Return a photograph as sRGB (H, W, 3) uint8 over white."""
    return _stacked(_planes(photograph))


def padded(lightness: UInt8) -> UInt8:
    """Pad L (..., h, w) to multiples of 8 by repeating the last row and column."""
    rows, columns = lightness.shape[-2:]
    more = [(0, 0)] * (lightness.ndim - 2) + [(0, -rows % MULTIPLE), (0, -columns % MULTIPLE)]
    return np.pad(lightness, more, mode="edge")


def network_shape(height: int, width: int, size: int = SIZE) -> tuple[int, int]:
    """Return the height and width to which a photograph is resized for the network, before padding.

    The shorter side is `size`, or less if the photograph is longer than `MOST_SQUARES` squares in a row.
    """
    most = MOST_SQUARES * size * size
    shorter, longer = min(height, width), max(height, width)
    scale = min(size / shorter, math.sqrt(most / (shorter * longer)))
    short = max(1, round(shorter * scale))
    long = max(1, min(round(longer * scale), most // max(short, MULTIPLE)))
    return (short, long) if height <= width else (long, short)


def _planes(photograph: Photograph) -> Iterator[Image.Image]:
    """Yield the 8-bit channels over white one by one, which saves memory with large photographs."""
    levels = photograph.levels
    alpha = None if photograph.alpha is None else Image.fromarray(eight_bits(photograph.alpha))
    for number in range(levels.shape[2] if levels.ndim == 3 else 1):
        plane = np.ascontiguousarray(levels[..., number] if levels.ndim == 3 else levels)
        picture = Image.fromarray(eight_bits(plane))
        yield picture if alpha is None else Image.composite(picture, Image.new("L", picture.size, 255), alpha)


def _stacked(planes: Iterator[Image.Image]) -> UInt8:
    channels = [np.asarray(plane) for plane in planes]
    return np.dstack(channels * 3 if len(channels) == 1 else channels)

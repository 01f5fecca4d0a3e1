"""What Pillow overlooks in a TIFF: volumes, missing strips, colour maps of 8 bits, other black and white."""

from typing import Any

import numpy as np
from PIL import Image, ImagePalette

from pipeline.images import metadata
from pipeline.images.formats import UnreadablePhotograph

_STRIPS, _TILES = 273, 324  # where they begin
_PHOTOMETRIC, _COLOUR_MAP, _BLACK_WHITE = 262, 320, 532
_YCBCR = 6


def prepare(image: Any) -> None:
    """Make Pillow decode a TIFF rightly; call this before `load`.

    Raises:
        UnreadablePhotograph: strips are missing, which Pillow leaves black.
    """
    if sum((right - left) * (lower - upper) for _, (left, upper, right, lower), *_ in image.tile) < (
        image.width * image.height
    ):
        raise UnreadablePhotograph("truncated")
    _keep_first_plane(image)
    colours = image.tag_v2.get(_COLOUR_MAP, ())
    if image.mode in ("P", "PA") and max(colours, default=256) < 256:  # as libtiff recognises such maps
        image.palette = ImagePalette.raw("RGB;L", bytes(colours))


def full_range(image: Any) -> Image.Image:
    """Scale a decoded TIFF from its own black and white, as in video, to 0..255."""
    values = [float(value) for value in image.tag_v2.get(_BLACK_WHITE, ())]
    pairs = list(zip(values[::2], values[1::2], strict=False))
    if (
        image.mode not in ("RGB", "RGBA", "YCbCr")
        or len(values) != 6
        or any(not black < white for black, white in pairs)
    ):
        return image  # type: ignore[no-any-return]
    if image.mode != "YCbCr" and image.tag_v2.get(_PHOTOMETRIC) == _YCBCR:  # which libjpeg has converted
        pairs = pairs[:1] * 3
    tables: list[int] = []
    for number, (black, white) in enumerate(pairs):
        zero = 128 if image.mode == "YCbCr" and number else 0
        scaled = zero + (np.arange(256) - black) * (255 - zero) / (white - black)
        tables += np.clip(np.rint(scaled), 0, 255).astype(int).tolist()
    return image.point(tables + [*range(256)] * (image.mode == "RGBA"))  # type: ignore[no-any-return]


def _keep_first_plane(image: Any) -> None:
    """Make Pillow, which would draw the planes of a volume over each other, decode only the first."""
    planes, in_tile = image.tag_v2.get(metadata.DEPTH, 1), image.tag_v2.get(metadata.TILE_DEPTH, 1)
    if isinstance(planes, int) and isinstance(in_tile, int) and planes > in_tile > 0:
        first, *others = image.tile[: len(image.tile) // -(-planes // in_tile) or 1]
        if first.codec_name == "raw":  # Pillow keeps the last of several with the same place in the picture
            first = first._replace(offset=(image.tag_v2.get(_STRIPS) or image.tag_v2[_TILES])[0])
        image.tile = [first, *others]

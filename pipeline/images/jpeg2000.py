"""JPEG 2000 (ISO/IEC 15444-1): depths that Pillow decodes wrongly, and the colour profile, which it leaves out.

Pillow shifts levels of other depths to 8 bits: white of 4 bits becomes 240, and that of 16 bits wraps around to 0.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.images import opencv
from pipeline.images.boxes import boxes_of
from pipeline.images.formats import UnreadablePhotograph
from pipeline.images.light import Levels, scaled_to_16_bits

START = b"\xff\x4f\xff\x51"  # markers SOC and SIZ
_TILE, _COMMENT, _LATIN = b"\xff\x90", 0xFF64, 1
_ICC_METHODS, _CMYK, _SRGB, _GRAY, _SYCC = (2, 3), 12, 16, 17, 18


@dataclass(frozen=True)
class _Header:
    """What a file says of its components and colours."""

    depths: tuple[int, ...]
    signed: bool
    subsampled: bool
    colours: int | None  # the number of a colour space, if one is named
    palette: bool
    profile: bytes | None


def _header_of(data: bytes) -> _Header:
    at = data.index(START) + 40
    count = int.from_bytes(data[at : at + 2], "big")
    components = [data[start : start + 3] for start in range(at + 2, at + 2 + 3 * count, 3)]
    inner = next((content for kind, content in boxes_of(data) if kind == b"jp2h"), b"")
    boxes = {kind: bytes(content) for kind, content in reversed([*boxes_of(bytes(inner))])}
    colr = boxes.get(b"colr", b"")
    return _Header(
        tuple((each[0] & 0x7F) + 1 for each in components),
        any(each[0] & 0x80 for each in components),
        any(each[1:] != b"\1\1" for each in components),
        int.from_bytes(colr[3:7], "big") if colr[:1] == b"\1" else None,
        b"pclr" in boxes,
        colr[3:] if colr and colr[0] in _ICC_METHODS else None,
    )


def profile(data: bytes) -> bytes | None:
    """Return the colour profile of a file."""
    return _header_of(data).profile


def comments_of(data: bytes) -> Iterator[bytes]:
    """Yield the texts in the header of the codestream."""
    at = data.index(START) + 2
    while at + 6 <= len(data) and data[at : at + 2] != _TILE:
        marker, length, kind = struct.unpack_from(">HHH", data, at)
        if marker == _COMMENT and kind == _LATIN:
            yield data[at + 6 : at + 2 + length]
        at += 2 + length


def decode_deep(data: bytes) -> tuple[Levels, Levels | None] | None:
    """Decode a file of more than 8 bits to levels and alpha, both uint16; return None for other depths.

    Raises:
        UnreadablePhotograph: it is of a kind that no decoder reads rightly.
    """
    header = _header_of(data)
    depth = max(header.depths)
    if depth <= 8:
        return None
    plain = not (header.signed or header.subsampled or header.palette) and len({*header.depths}) == 1
    pixels = None
    if plain and depth <= 16 and len(header.depths) in (1, 3, 4) and header.colours in (None, _SRGB, _GRAY):
        pixels = opencv.decoded(data)
        if pixels is None:
            raise UnreadablePhotograph("truncated, or damaged otherwise")
    if pixels is None or pixels.dtype != np.uint16:
        raise UnreadablePhotograph(
            f"a JPEG 2000 of {depth} bits in {len(header.depths)} channels, which is not read; convert it to a "
            "PNG or TIFF of 16 bits"
        )
    pixels = scaled_to_16_bits(pixels, depth)
    if pixels.ndim == 2:
        return pixels, None
    alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] == 4 else None
    return np.ascontiguousarray(pixels[..., 2::-1]), alpha


def full_range(image: Image.Image, data: bytes) -> Image.Image:
    """Scale levels of less than 8 bits, as Pillow decodes them, to 0..255.

    Raises:
        UnreadablePhotograph: Pillow made them of such levels of another colour space.
    """
    header = _header_of(data)
    if min(header.depths) >= 8 or header.palette:
        return image
    if header.colours in (_SYCC, _CMYK) or len(header.depths) != len(image.getbands()):
        raise UnreadablePhotograph(
            f"a JPEG 2000 of {min(header.depths)} bits whose colours are not read; convert it to PNG or TIFF"
        )
    tables: list[int] = []
    for depth in header.depths:
        shift = 8 - depth
        tables += [round(min(level >> shift, 2**depth - 1) * 255 / (2**depth - 1)) for level in range(256)]
    return image.point(tables)

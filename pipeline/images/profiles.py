"""Colour profiles, and other statements about colours, where files of each format keep them."""

import contextlib
import re
import struct
from typing import Any

from PIL import Image

from pipeline.images import gif, jpeg2000, jpeg_xl, png
from pipeline.images.icc import matrix_profile, refuse_hdr

_RAW = ("Raw profile type icc", "Raw profile type icm")  # of ImageMagick, in the text of a PNG
_LAST_LINES = re.compile(r"\s*\w+\s+(\d+)\s+([0-9a-fA-F\s]+)")
# Numbers of ITU-T H.273: x, y of white, red, green and blue by primaries, and gammas by transfer characteristics.
_SRGB = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_UNSPECIFIED = 2
_PRIMARIES = {
    1: _SRGB,
    _UNSPECIFIED: _SRGB,
    9: (0.3127, 0.329, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    12: (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
_LIKE_SRGB = (1, 2, 6, 13, 14, 15)
_GAMMAS = {4: 1 / 2.2, 5: 1 / 2.8, 8: 1.0}
_V4 = 108  # bytes of the header of a BMP that states colours
_CALIBRATED, _EMBEDDED = 0, b"DEBM"


def profile_of(image: Image.Image, data: bytes, *, gray: bool) -> bytes | None:
    """Return the colour profile of a file, or one made of what it says of its colours; None for sRGB.

    Args:
        image: the file opened by Pillow.
        data: its bytes.
        gray: whether its pixels are gray.

    Raises:
        UnreadablePhotograph: it is made for HDR displays, whose white lies far above that of a photograph.
    """
    named = _named(image, data)
    if named:
        refuse_hdr(named[1])
    if image.format == "PNG" and named:
        return _of_names(*named, gray=gray)
    if embedded := image.info.get("icc_profile"):
        return bytes(embedded)
    if image.format == "JPEG2000":
        return jpeg2000.profile(data)
    if image.format == "GIF":
        return gif.profile(data)
    if image.format == "BMP":
        return _of_bmp(data, gray=gray)
    if image.format == "PNG":
        return _raw(image.info) or png.profile(image.info, gray=gray)
    return _of_names(*named, gray=gray) if named else None


def _named(image: Image.Image, data: bytes) -> tuple[int, int] | None:
    """Return the numbers of primaries and of the transfer in a PNG, AVIF, HEIC or JPEG XL."""
    if image.format == "PNG":
        for name, content, _ in png.chunks(data):
            if name == b"IDAT":
                return None
            if name == b"cICP" and len(content) >= 2:
                return content[0], content[1]
    if image.format == "JXL":
        header = jpeg_xl.header_of(data)
        refuse_hdr(header.transfer, header.brightest)
        return None if header.transfer is None else (_UNSPECIFIED, header.transfer)
    if image.format in ("AVIF", "HEIF") and (at := data.find(b"colrnclx")) >= 0 and len(data) >= at + 12:
        primaries, transfer = struct.unpack_from(">HH", data, at + 8)
        return primaries, transfer
    return None


def _of_names(primaries: int, transfer: int, *, gray: bool) -> bytes | None:
    places = _PRIMARIES.get(primaries, _SRGB)
    gamma = None if transfer in _LIKE_SRGB else _GAMMAS.get(transfer)
    if gamma is None and (gray or places == _SRGB):
        return None
    return matrix_profile(None if gray else places, gamma)


def _raw(info: dict[Any, Any]) -> bytes | None:
    for key in _RAW:
        if found := _LAST_LINES.match(str(info.get(key, ""))):
            with contextlib.suppress(ValueError):
                return bytes.fromhex("".join(found[2].split()))[: int(found[1])]
    return None


def _of_bmp(data: bytes, *, gray: bool) -> bytes | None:
    """Return the profile in a BMP, or one made of its primaries and gamma."""
    if len(data) < 14 + _V4 or int.from_bytes(data[14:18], "little") < _V4:
        return None
    if data[70:74] == _EMBEDDED:
        start, size = struct.unpack_from("<II", data, 126)
        return data[14 + start :][:size] or None
    if int.from_bytes(data[70:74], "little") != _CALIBRATED:
        return None
    ends = struct.unpack_from("<9i", data, 74)
    gamma = struct.unpack_from("<I", data, 114)[0] / 2**16  # of green; the others equal it
    sums = [sum(ends[first : first + 3]) for first in (0, 3, 6)]
    info: dict[str, Any] = {"gamma": 1 / gamma} if gamma else {}
    if all(sums):
        white = [sum(ends[axis::3]) for axis in range(3)]
        info["chromaticity"] = (white[0] / sum(white), white[1] / sum(white))
        for first, total in zip((0, 3, 6), sums, strict=True):
            info["chromaticity"] += (ends[first] / total, ends[first + 1] / total)
    return png.profile(info, gray=gray)

"""PNGs and TIFFs of 16 bits, which Pillow reduces to 8 or cannot read, and other TIFFs that Pillow cannot read."""

import io
import math
from typing import Any

import cv2
import numpy as np
import tifffile

from pipeline.images.formats import UnreadablePhotograph
from pipeline.images.light import Levels

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PROFILE, _ORIENTATION = 34675, 274


def is_tiff(data: bytes) -> bool:
    """Whether a file starts like a TIFF or BigTIFF."""
    return data[:4] in _TIFF


def tiff_size(data: bytes) -> tuple[int, int]:
    """Return width and height."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[0]
        return page.imagewidth, page.imagelength


def tiff_profile(data: bytes) -> bytes | None:
    """Return the colour profile of a TIFF; None for other files."""
    if not is_tiff(data):
        return None
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[0]
        return page.tags[_PROFILE].value if _PROFILE in page.tags else None


def decode_png(data: bytes) -> tuple[Levels, Levels | None]:
    """Decode a PNG of 16 bits to levels and alpha."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise UnreadablePhotograph("cannot be decoded: a damaged PNG of 16 bits")
    return _channels(pixels, reverse=True)


def decode_tiff(data: bytes, *, known: bool) -> tuple[Levels, Levels | None, int] | None:
    """Decode a TIFF to levels, alpha and orientation.

    Args:
        data: the file's bytes.
        known: whether Pillow can read it; then return None unless it has 16 bits.

    Raises:
        UnreadablePhotograph: it is truncated or of an unsupported kind.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[0]
        plain = page.photometric in (0, 1, 2) and page.axes in ("YX", "YXS", "SYX")
        if known and not (plain and page.dtype == np.uint16):
            return None
        if not plain or page.dtype not in (np.uint8, np.uint16):
            raise UnreadablePhotograph(
                f"a TIFF of {page.dtype} {getattr(page.photometric, 'name', '')}; save it as RGB of 8 or 16 bits"
            )
        # tifffile fills missing strips with zeros.
        ends = [start + size for start, size in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if len(ends) < math.prod(page.chunked) or max(ends, default=0) > len(data):
            raise UnreadablePhotograph("truncated")
        orientation = int(page.tags[_ORIENTATION].value) if _ORIENTATION in page.tags else 1
        try:
            pixels = page.asarray()
        except ValueError:  # a compression that tifffile alone does not support, mostly LZW
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
            if pixels is None or pixels.dtype != page.dtype:
                raise UnreadablePhotograph(f"a TIFF of {page.dtype}, compression {page.compression.name}") from None
            levels, alpha = _channels(pixels, reverse=True)
            orientation = 1  # OpenCV has applied it
        else:
            levels, alpha = _channels(np.moveaxis(pixels, 0, -1) if page.axes == "SYX" else pixels)
        if not page.extrasamples or page.extrasamples[0] not in (1, 2):
            alpha = None
        elif page.extrasamples[0] == 1 and alpha is not None:  # premultiplied colours
            full = np.iinfo(levels.dtype).max
            opaque = np.maximum(alpha, 1).reshape(alpha.shape + (1,) * (levels.ndim - 2)).astype(np.float32)
            levels = np.minimum(np.rint(levels * (full / opaque)), full).astype(levels.dtype)
        return (~levels if page.photometric == 0 else levels), alpha, orientation


def _channels(pixels: Levels, *, reverse: bool = False) -> tuple[Levels, Levels | None]:
    """Split into gray or RGB, and alpha; `reverse` for OpenCV's channel order."""
    if pixels.ndim == 2:
        return pixels, None
    count = pixels.shape[2]
    alpha = np.ascontiguousarray(pixels[..., count - 1]) if count in (2, 4) else None
    if count < 3:
        return np.ascontiguousarray(pixels[..., 0]), alpha
    return np.ascontiguousarray(pixels[..., 2::-1] if reverse else pixels[..., :3]), alpha

"""Photographs at their full depth, with what their files say of themselves."""

import contextlib
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import ExifTags, Image, UnidentifiedImageError

from pipeline.images import icc
from pipeline.images.light import Levels
from pipeline.images.photographs import (
    UnreadablePhotograph,
    decoded_image,
    from_profile,
    header_of,
    read_bytes,
    srgb_image,
)

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")  # what can hold the colours and the note that they are made
_DEEP = ("I;16", "I", "F")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# TIFF keeps its layout, XMP and profile among the tags that EXIF uses.
_LAYOUT = (
    *range(254, 267), 273, *range(277, 282), 284, *range(288, 294), 297, 301, *range(317, 326), *range(330, 348),
    *range(512, 522), *range(529, 533), 700, 34675, 34377, 33723, 37724,
)  # fmt: skip


@dataclass(frozen=True)
class Original:
    """A photograph, upright, in sRGB, at its own depth.

    Attributes:
        levels: (H, W) gray or (H, W, 3), uint8 or uint16.
        alpha: (H, W) of the same type, or None.
        format: Pillow's name of the format that it is to be written in.
        kept: whether that is the format that it came in.
        exif: without orientation and layout.
        xmp: as it was, or empty.
        resolution: dots per inch across and down, or None.
        compressed: whether a TIFF or, without loss, a WebP was; how it is to be written.
        remarks: what a user will want to know of how it was read.
    """

    levels: Levels
    alpha: Levels | None
    format: str
    kept: bool
    exif: Image.Exif
    xmp: bytes
    resolution: tuple[float, float] | None
    compressed: bool
    remarks: tuple[str, ...]


def read(path: Path, max_megapixels: float = 300.0) -> Original:
    """Read a photograph of any format that `pipeline.images.photographs` knows; of several pages or frames the first.

    Raises:
        UnreadablePhotograph: says why.
    """
    data = read_bytes(path, max_megapixels)
    try:
        return _read(data, max_megapixels)
    except (UnreadablePhotograph, MemoryError):
        raise
    except Exception as error:  # decoders meet broken files with exceptions of nearly every kind
        raise UnreadablePhotograph(f"cannot be decoded: {error or type(error).__name__}") from None


def _read(data: bytes, max_megapixels: float) -> Original:
    remarks = []
    image: Image.Image | None = None
    with contextlib.suppress(UnidentifiedImageError):
        image = header_of(data)
    if image is None and data[:4] not in _TIFF:
        raise UnreadablePhotograph("not an image of a known format, or its header is broken")
    width, height = image.size if image else _tiff_size(data)
    if width * height > max_megapixels * 1e6:
        raise UnreadablePhotograph(
            f"{width} x {height} pixels are more than {max_megapixels:g} megapixels (max_megapixels)", "too large"
        )
    exif, orientation = Image.Exif(), 1
    with contextlib.suppress(Exception):  # broken metadata is no reason to refuse the pixels
        found = image.getexif() if image else exif
        orientation = int(found.get(ExifTags.Base.Orientation, 1))
        for tag in (*_LAYOUT, ExifTags.Base.Orientation):
            if tag in found:
                del found[tag]
        found.tobytes()
        exif = found
    info = image.info if image else {}
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1:
        remarks.append(f"the first of {frames} pictures in the file; the others are left out")
    sixteen = _sixteen_bits(data, image)
    if sixteen is not None:
        levels, alpha, orientation = sixteen[0], sixteen[1], sixteen[2] or orientation
        levels, remark = _profiled(levels, info.get("icc_profile") or _tiff_profile(data))
        remarks += [remark] if remark else []
        levels, alpha = (turned(plane, orientation) for plane in (levels, alpha))
    else:
        levels, alpha = _eight_bits(data, max_megapixels)
    size = {ExifTags.Base.ExifImageWidth: levels.shape[1], ExifTags.Base.ExifImageHeight: levels.shape[0]}
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    inner.update({tag: value for tag, value in size.items() if tag in inner})
    if ExifTags.Base.ColorSpace in inner:
        inner[ExifTags.Base.ColorSpace] = 1  # sRGB
    resolution = info.get("dpi")
    if resolution is not None and orientation >= 5:
        resolution = resolution[::-1]
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
    came = "TIFF" if image is None else "JPEG" if image.format == "MPO" else image.format
    written = came if came in FORMATS else "PNG"
    return Original(
        levels,
        alpha,
        written,
        written == came,
        exif,
        xmp if isinstance(xmp, bytes) else str(xmp).encode(),
        resolution if resolution and min(resolution) > 1 else None,
        _compressed(data, image),
        tuple(remarks),
    )


def turned(plane: Any, orientation: int) -> Any:
    """An array (H, W, ...) as EXIF's orientation wants it shown; None stays None."""
    if plane is None or orientation not in range(2, 9):
        return plane
    if orientation >= 5:
        plane = plane.swapaxes(0, 1)
    rows = orientation in (3, 4, 7, 8)
    columns = orientation in (2, 3, 6, 7)
    return np.ascontiguousarray(plane[:: -1 if rows else 1, :: -1 if columns else 1])


def _eight_bits(data: bytes, max_megapixels: float) -> tuple[Levels, Levels | None]:
    image, orientation = decoded_image(data, max_megapixels, None)
    profile = image.info.get("icc_profile")
    alpha = None
    if image.has_transparency_data and image.mode not in _DEEP:
        image = image.convert("RGBA")
        alpha = np.array(image.getchannel("A"))
        colours = np.array(from_profile(image.convert("RGB"), profile))
    elif image.mode in ("L", "1"):
        # Of a gray profile's three equal channels one is enough.
        image = image.convert("L")
        colours = np.array(from_profile(image, profile).getchannel(0) if profile else image)
    else:
        colours = np.array(srgb_image(image))
    return turned(colours, orientation), turned(alpha, orientation)


def _sixteen_bits(data: bytes, image: Image.Image | None) -> tuple[Levels, Levels | None, int] | None:
    """Levels, alpha and, where it is known better than Pillow knows it, the orientation; None for other depths."""
    if data[:4] in _TIFF:
        return _sixteen_bit_tiff(data)
    if image is None or image.format != "PNG" or data[24] != 16:
        return None
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16:
        raise UnreadablePhotograph("cannot be decoded: a damaged PNG of 16 bits")
    return *_split(found, reverse=True), 0


def _sixteen_bit_tiff(data: bytes) -> tuple[Levels, Levels | None, int] | None:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[0]
        if page.dtype != np.uint16 or page.photometric not in (0, 1, 2) or page.axes not in ("YX", "YXS", "SYX"):
            return None
        # tifffile fills what is missing with zeros.
        ends = [start + size for start, size in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if len(ends) < math.prod(page.chunked) or max(ends, default=0) > len(data):
            raise UnreadablePhotograph("truncated")
        orientation = int(page.tags[274].value) if 274 in page.tags else 1
        try:
            found = page.asarray()
        except ValueError:  # a compression that tifffile does not know by itself, LZW above all
            found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
            if found is None or found.dtype != np.uint16:
                raise UnreadablePhotograph(f"a TIFF of 16 bits with compression {page.compression.name}") from None
            levels, alpha = _split(found, reverse=True)
            orientation = 1  # OpenCV has turned it
        else:
            levels, alpha = _split(np.moveaxis(found, 0, -1) if page.axes == "SYX" else found)
        if not page.extrasamples or page.extrasamples[0] not in (1, 2):
            alpha = None
        elif page.extrasamples[0] == 1 and alpha is not None:  # the colours are multiplied by it
            opaque = np.maximum(alpha, 1).reshape(alpha.shape + (1,) * (levels.ndim - 2)).astype(np.float32)
            levels = np.minimum(np.rint(levels * (65535 / opaque)), 65535).astype(np.uint16)
        return (~levels if page.photometric == 0 else levels), alpha, orientation


def _split(found: Levels, *, reverse: bool = False) -> tuple[Levels, Levels | None]:
    """Gray or colours, and alpha; `reverse` for OpenCV's order of channels."""
    if found.ndim == 2:
        return found, None
    channels = found.shape[2]
    alpha = np.ascontiguousarray(found[..., channels - 1]) if channels in (2, 4) else None
    if channels < 3:
        return np.ascontiguousarray(found[..., 0]), alpha
    return np.ascontiguousarray(found[..., 2::-1] if reverse else found[..., :3]), alpha


def _profiled(levels: Any, profile: bytes | None) -> tuple[Levels, str]:
    """In sRGB, and a remark where that cost depth."""
    if not profile:
        return levels, ""
    converted = icc.to_srgb(levels, profile)
    if converted is not None:
        return converted, ""
    image = Image.fromarray(np.rint(levels / np.float32(257)).astype(np.uint8))
    reduced = np.asarray(from_profile(image, profile)).astype(np.uint16) * 257
    return (reduced if levels.ndim == 3 else reduced[..., 0]), "its colour profile was applied with 8 bits"


def _tiff_size(data: bytes) -> tuple[int, int]:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[0]
        return page.imagewidth, page.imagelength


def _tiff_profile(data: bytes) -> bytes | None:
    if data[:4] not in _TIFF:
        return None
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[0]
        return page.tags[34675].value if 34675 in page.tags else None


def _compressed(data: bytes, image: Image.Image | None) -> bool:
    if image is not None and image.format == "WEBP":
        return b"VP8L" not in (data[12:16], *re.findall(rb"VP8[L ](?=....)", data[12:4096], re.DOTALL)[:1])
    return image is None or image.info.get("compression") not in ("raw", None)

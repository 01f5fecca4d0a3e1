"""Decode any photograph to upright sRGB pixels of its own depth."""

import contextlib
import ctypes
import io
import logging
import stat
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from pipeline.images import (
    exif,
    foreign,
    formats,
    gif,
    icc,
    jpeg2000,
    jpeg_xl,
    png,
    profiles,
    sixteen_bits,
    tiff_by_pillow,
)
from pipeline.images.depth import depth_of
from pipeline.images.formats import UnreadablePhotograph
from pipeline.images.light import Levels

# Pillow warns about unreadable metadata, which do not matter here.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# Their messages do not name the file; report.csv does.
for _name in ("tifffile", "PIL"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)
# So does what Pillow's copy of libtiff prints.
for _library in Path(PIL.__file__).parents[1].glob("pillow.libs/libtiff*"):
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(str(_library)).TIFFSetErrorHandler(ctypes.c_void_p(None))

# Pillow's limit for a decompressed text or profile, 1 MB, is below what scanners and editors write.
PngImagePlugin.MAX_TEXT_CHUNK = png.LONGEST_TEXT

_MEANINGS = {  # of parts of what decoders say
    "MAX_TEXT_": "its texts or its colour profile are larger than 64 MiB",
    "image file is truncated": "truncated, or damaged otherwise",
    "incomplete or truncated stream": "truncated, or damaged otherwise",
    "decoder error": (
        "damaged, or compressed in a way that is not read; if another program opens it, save it without compression"
    ),
    "unknown raw mode": "of a kind that is not read; save it with 8 or 16 bits uncompressed",
    "while decompressing data": "truncated, or damaged otherwise",  # of zlib
    "libjxl": "truncated, or damaged otherwise",
    "JPEG XL without a header": "truncated, or damaged otherwise",
}
BYTES_PER_PIXEL = 16  # upper bound for files
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_PNG_EXIF = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")
_opening = threading.Lock()


@dataclass(frozen=True)
class Photograph:
    """Pixels, upright and in sRGB.

    Attributes:
        levels: (H, W) gray or (H, W, 3), uint8 or uint16.
        alpha: (H, W) of the same type, or None.
        remark: what was lost in reading; usually empty.
    """

    levels: Levels
    alpha: Levels | None = None
    remark: str = ""


def read_bytes(path: Path, max_megapixels: float = formats.MAX_MEGAPIXELS) -> bytes:
    """Read the bytes of a file that passes `check_file`."""
    check_file(path, max_megapixels)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadablePhotograph(f"cannot be read: {error.strerror}") from None


def check_file(path: Path, max_megapixels: float = formats.MAX_MEGAPIXELS) -> None:
    """Raise UnreadablePhotograph if a file is missing, empty, not a regular file, or too large for a photograph."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadablePhotograph("not an ordinary file")
        if status.st_size == 0:
            raise UnreadablePhotograph("empty file")
        if status.st_size > 2**26 + BYTES_PER_PIXEL * max_megapixels * 1e6:
            raise UnreadablePhotograph(
                f"a file of {status.st_size / 1e6:.0f} MB; at most {max_megapixels:g} megapixels are read "
                "(max_megapixels)",
                reason="too large",
            )
    except OSError as error:
        raise UnreadablePhotograph(f"cannot be read: {error.strerror}") from None


def decode(data: bytes, max_megapixels: float = formats.MAX_MEGAPIXELS, at_least: int | None = None) -> Photograph:
    """Decode a photograph, or the first of its pages or frames.

    Args:
        data: the bytes of a file in one of `formats.READ` or of an installed plugin.
        max_megapixels: larger photographs are refused before they are decoded.
        at_least: the shorter side, in pixels, to which the caller will reduce; large JPEGs are then decoded at a half,
            a quarter or an eighth of their size, with a shorter side of at least twice that.

    Raises:
        UnreadablePhotograph: the photograph is too large or cannot be decoded.
    """
    with decoding():
        if foreign.format_of(data) == foreign.JPEG_XL and foreign.plugin(foreign.JPEG_XL):  # which decodes all at once
            _refuse_larger(jpeg_xl.header_of(data).size, max_megapixels)
        image = header_of(data)
        _refuse_larger(image.size if image else sixteen_bits.tiff_size(data), max_megapixels)
        if (merged := sixteen_bits.in_one_plane(data, header_of)) is not data:
            data, image = merged, header_of(merged)
        decoded = _with_full_depth(data, image)
        if decoded is None:
            assert image is not None  # noqa: S101 - a TIFF that Pillow cannot read has been decoded or refused
            decoded = _by_pillow(data, image, at_least)
        if image is not None and image.format == "PNG":
            png.refuse_truncated(data)
        photograph, orientation = decoded
        levels, alpha = (turned(plane, orientation) for plane in (photograph.levels, photograph.alpha))
        return Photograph(levels, alpha, photograph.remark)


def _refuse_larger(size: tuple[int, int], max_megapixels: float) -> None:
    width, height = size
    if width * height > max_megapixels * 1e6:
        raise UnreadablePhotograph(
            f"{width} x {height} pixels are more than {max_megapixels:g} megapixels (max_megapixels)",
            reason="too large",
        )


@contextlib.contextmanager
def decoding() -> Iterator[None]:
    """Convert the exceptions of decoders, which are of nearly every kind, to UnreadablePhotograph."""
    try:
        yield
    except (UnreadablePhotograph, MemoryError):
        raise
    except Exception as error:
        detail = " ".join(f"{type(error).__name__} {error}".split())
        meaning = next((words for part, words in _MEANINGS.items() if part in detail), None)
        unknown = f"damaged, or of a kind that is not supported ({detail})"
        raise UnreadablePhotograph(f"cannot be decoded: {meaning or unknown}") from None


def header_of(data: bytes) -> Image.Image | None:
    """Parse the header of a file; return None for a TIFF that Pillow cannot read.

    Raises:
        UnreadablePhotograph: the format is unknown.
    """
    with _of_any_size():
        try:
            return Image.open(io.BytesIO(data), formats=formats.READ)
        except UnidentifiedImageError:
            if known := foreign.format_of(data):
                if plugin := foreign.plugin(known):
                    return Image.open(io.BytesIO(data), formats=(plugin,))
                raise UnreadablePhotograph(foreign.advice(known)) from None
            if sixteen_bits.is_tiff(data):
                return None
            raise UnreadablePhotograph("not an image of a known format, or its header is broken") from None


@contextlib.contextmanager
def _of_any_size() -> Iterator[None]:
    """Lift Pillow's limit of pixels, which is global and may be lower than ours, for the block of one thread."""
    with _opening:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def orientation_of(image: Image.Image) -> int:
    """Return the orientation in EXIF, 1..8; 1 if it has none or one that does not exist."""
    if image.format == "JXL" and not getattr(image, "jpeg", None):
        return 1  # it has been applied; its EXIF is about the picture that it was made of
    with contextlib.suppress(Exception):  # damaged metadata do not matter for the pixels
        return exif.orientation(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def turned(plane: Any, orientation: int) -> Any:
    """Apply EXIF's orientation to an array (H, W, ...); None stays None."""
    if plane is None or orientation == 1:
        return plane
    if orientation >= 5:
        plane = plane.swapaxes(0, 1)
    rows = orientation in (3, 4, 7, 8)
    columns = orientation in (2, 3, 6, 7)
    return np.ascontiguousarray(plane[:: -1 if rows else 1, :: -1 if columns else 1])


def _with_full_depth(data: bytes, image: Image.Image | None) -> tuple[Photograph, int] | None:
    """Decode what Pillow cannot read, or only with 8 bits; return pixels and orientation, or None for other files."""
    if sixteen_bits.is_tiff(data):
        decoded = sixteen_bits.decode_tiff(data, header_of, by_pillow=image is not None)
        if decoded is None:
            return None
        levels, alpha, orientation = decoded
    elif image is not None and image.format == "JPEG2000":
        deep = jpeg2000.decode_deep(data)
        if deep is None:
            return None
        (levels, alpha), orientation = deep, orientation_of(image)
    elif image is not None and png.is_deep(image, data):
        levels, alpha = png.decode_deep(data, lambda: header_of(data))
        # Pillow would decode the complete picture to look for EXIF.
        orientation = orientation_of(image) if any(mark in data for mark in _PNG_EXIF) else 1
    else:
        return None
    profile = profiles.profile_of(image, data, gray=levels.ndim == 2) if image else None
    levels, remark = icc.to_srgb(levels, profile or sixteen_bits.tiff_profile(data))
    return Photograph(levels, alpha, remark), orientation


def _by_pillow(data: bytes, image: Image.Image, at_least: int | None) -> tuple[Photograph, int]:
    if image.format == "TIFF":
        tiff: Any = image
        tiff_by_pillow.prepare(tiff)
        with _of_any_size():
            tiff.load_prepare()  # where Pillow looks at the limit once more
    depth = depth_of(data, image)
    if image.format == "JXL" and image.mode == "LA" and depth > 8:
        raise UnreadablePhotograph(
            f"a JPEG XL of gray with alpha and {depth} bits, which is not read; convert it to a PNG or TIFF of 16 bits"
        )
    if at_least is not None:
        image.draft(None, (2 * at_least, 2 * at_least))
    image.load()
    orientation = orientation_of(image)
    if image.format == "JPEG2000":
        image = jpeg2000.full_range(image, data)
    elif image.format == "TIFF":
        image = tiff_by_pillow.full_range(image)
    if image.mode == "F":
        raise UnreadablePhotograph("floating-point pixels, whose white is unknown; save it with 8 or 16 bits")
    if image.mode in DEEP:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise UnreadablePhotograph("32 bits a pixel, whose white is unknown; save it with 8 or 16 bits")
        levels, remark = icc.to_srgb(values.astype(np.uint16), profiles.profile_of(image, data, gray=True))
        return Photograph(levels, None, remark), orientation
    alpha = None
    if image.has_transparency_data:
        png.scale_key(image, data)
        gray = image.mode in ("1", "L", "LA")
        full = image.convert("RGBA")
        alpha = np.array(full.getchannel("A"))
        picture = full.getchannel(0) if gray else full.convert("RGB")
    elif image.mode in ("L", "RGB", "CMYK", "LAB"):
        picture = image
    else:
        picture = image.convert("L" if image.mode == "1" else "RGB")
    if image.format == "GIF" and gif.profile(data):  # which is one of RGB even where all colours are gray
        picture = picture.convert("RGB")
    remark = f"its {depth} bits a channel were reduced to 8" if depth > 8 else ""
    if image.format == "JXL" and jpeg_xl.header_of(data).floating:
        remark = "its floating-point levels were reduced to 8 bits, without what is brighter than white"
    levels = icc.picture_to_srgb(picture, profiles.profile_of(image, data, gray=picture.mode == "L"))
    return Photograph(levels, alpha, remark), orientation

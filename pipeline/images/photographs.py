"""Any photograph file as upright sRGB pixels of its own depth."""

import contextlib
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
from PIL import ExifTags, Image, UnidentifiedImageError

from pipeline.images import formats, icc, sixteen_bits
from pipeline.images.formats import UnreadablePhotograph
from pipeline.images.light import Levels

# Pillow warns of metadata it cannot read, file by file; the pixels count here.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# Their messages name no file; the report does.
for _name in ("tifffile", "PIL"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

BYTES_PER_PIXEL = 16  # no file of an allowed size is larger than this many bytes per pixel
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_opening = threading.Lock()


@dataclass(frozen=True)
class Photograph:
    """Pixels, upright and in sRGB.

    Attributes:
        levels: (H, W) gray or (H, W, 3), uint8 or uint16.
        alpha: (H, W) of the same type, or None.
        remark: what reading cost; usually empty.
    """

    levels: Levels
    alpha: Levels | None = None
    remark: str = ""


def read_bytes(path: Path, max_megapixels: float = formats.MAX_MEGAPIXELS) -> bytes:
    """The bytes of a photograph's file; raises as `check_file`."""
    check_file(path, max_megapixels)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadablePhotograph(f"cannot be read: {error.strerror}") from None


def check_file(path: Path, max_megapixels: float = formats.MAX_MEGAPIXELS) -> None:
    """Refuse what is not to be read at all, not even for its digest.

    Raises:
        UnreadablePhotograph: there is no such file, or it is empty, endless, or too large for a photograph.
    """
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
    """Decode a photograph; of several pages or frames the first.

    Args:
        data: the bytes of a file of one of `formats.READ`.
        max_megapixels: larger photographs are refused before they are decoded.
        at_least: the shorter side that the caller will reduce to, in pixels; large JPEGs are then decoded at a half,
            a quarter or an eighth, with a shorter side of at least twice that.

    Raises:
        UnreadablePhotograph: says why.
    """
    with decoding():
        image = header_of(data)
        width, height = image.size if image else sixteen_bits.tiff_size(data)
        if width * height > max_megapixels * 1e6:
            raise UnreadablePhotograph(
                f"{width} x {height} pixels are more than {max_megapixels:g} megapixels (max_megapixels)",
                reason="too large",
            )
        found = _by_tifffile_or_opencv(data, image)
        if found is None:
            assert image is not None  # noqa: S101 - a TIFF that Pillow does not know has been decoded or refused
            found = _by_pillow(image, at_least)
        photograph, orientation = found
        levels, alpha = (turned(plane, orientation) for plane in (photograph.levels, photograph.alpha))
        return Photograph(levels, alpha, photograph.remark)


@contextlib.contextmanager
def decoding() -> Iterator[None]:
    """Make one exception of those, of nearly every kind, with which decoders meet broken files."""
    try:
        yield
    except (UnreadablePhotograph, MemoryError):
        raise
    except Exception as error:
        raise UnreadablePhotograph(f"cannot be decoded: {error or type(error).__name__}") from None


def header_of(data: bytes) -> Image.Image | None:
    """The picture of a file, of which the header alone is read; None for a TIFF that Pillow does not know.

    Raises:
        UnreadablePhotograph: it is no photograph.
    """
    # Pillow's limit is one for the whole process and can be lower than ours, which is checked next. It is lifted only
    # while a header in memory is parsed, by one thread at a time.
    with _opening:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            return Image.open(io.BytesIO(data), formats=formats.READ)
        except UnidentifiedImageError:
            if sixteen_bits.is_tiff(data):
                return None
            raise UnreadablePhotograph("not an image of a known format, or its header is broken") from None
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def orientation_of(image: Image.Image) -> int:
    """EXIF's; 1 where there is none."""
    with contextlib.suppress(Exception):  # broken metadata is no reason to refuse the pixels
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def turned(plane: Any, orientation: int) -> Any:
    """An array (H, W, ...) as EXIF's orientation wants it shown; None stays None."""
    if plane is None or orientation not in range(2, 9):
        return plane
    if orientation >= 5:
        plane = plane.swapaxes(0, 1)
    rows = orientation in (3, 4, 7, 8)
    columns = orientation in (2, 3, 6, 7)
    return np.ascontiguousarray(plane[:: -1 if rows else 1, :: -1 if columns else 1])


def _by_tifffile_or_opencv(data: bytes, image: Image.Image | None) -> tuple[Photograph, int] | None:
    """Pixels and orientation of what Pillow does not read, or with 8 bits only; None for all else."""
    if sixteen_bits.is_tiff(data):
        found = sixteen_bits.decode_tiff(data, known=image is not None)
        if found is None:
            return None
        levels, alpha, orientation = found
    elif image is not None and image.format == "PNG" and data[24] == 16:
        levels, alpha = sixteen_bits.decode_png(data)
        orientation = orientation_of(image)
    else:
        return None
    profile = image.info.get("icc_profile") if image else None
    levels, remark = icc.to_srgb(levels, profile or sixteen_bits.tiff_profile(data))
    return Photograph(levels, alpha, remark), orientation


def _by_pillow(image: Image.Image, at_least: int | None) -> tuple[Photograph, int]:
    if image.format == "TIFF" and _covered(image) < image.width * image.height:
        raise UnreadablePhotograph("truncated")  # Pillow leaves black what no strip holds
    if at_least is not None:
        image.draft(None, (2 * at_least, 2 * at_least))
    image.load()
    orientation = orientation_of(image)
    profile = image.info.get("icc_profile")
    if image.mode == "F":
        raise UnreadablePhotograph("floating-point pixels, whose white is unknown; save it with 8 or 16 bits")
    if image.mode in DEEP:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise UnreadablePhotograph("32 bits a pixel, whose white is unknown; save it with 8 or 16 bits")
        levels, remark = icc.to_srgb(values.astype(np.uint16), profile)
        return Photograph(levels, None, remark), orientation
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = np.array(image.getchannel("A"))
        image = image.convert("RGB")
    elif image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return Photograph(icc.picture_to_srgb(image, profile), alpha), orientation


def _covered(image: Image.Image) -> int:
    """How many pixels the strips of a TIFF hold, those of each plane counted."""
    tiles: Any = getattr(image, "tile", [])
    return sum((right - left) * (lower - upper) for _, (left, upper, right, lower), *_ in tiles)

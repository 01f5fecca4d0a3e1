"""TIFFs of 16 bits, which Pillow reduces to 8 or cannot read, and other TIFFs that Pillow cannot read."""

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pipeline.images import exif, opencv, tiff_planes
from pipeline.images.formats import UnreadablePhotograph
from pipeline.images.light import Levels

if TYPE_CHECKING:
    from tifffile import TiffFile

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PROFILE, _ORIENTATION = 34675, 274
_OLD_JPEG, _JPEG = 6, (513, 514)  # a compression, and place and length of its data
_BLACK_WHITE, _LARGEST_OF_8 = 532, 255
_NONE, _LZW = 1, 5
_KNOWN = (1, 8, 32773, 32946)  # compressions that tifffile decodes by itself: none, PackBits, Deflate


def is_tiff(data: bytes) -> bool:
    """Whether a file starts like a TIFF or BigTIFF."""
    return data[:4] in _TIFF


def _opened(data: bytes) -> "TiffFile":
    import tifffile  # only for TIFFs, because it takes as long as reading a photograph

    try:
        return tifffile.TiffFile(io.BytesIO(data), is_lsm=False)  # which would need a second page
    except struct.error:
        raise UnreadablePhotograph("a TIFF that is cut off after its first bytes") from None


def _first_page(file: "TiffFile") -> Any:
    page: Any = file.pages[0] if file.pages else None
    if page is None or 0 in (page.imagewidth, page.imagelength):
        raise UnreadablePhotograph("a TIFF without a picture, or cut off after its first bytes")
    return page


def tiff_size(data: bytes) -> tuple[int, int]:
    """Return width and height."""
    with _opened(data) as file:
        page = _first_page(file)
        return page.imagewidth, page.imagelength


def orientation_of(data: bytes) -> int:
    """Return the orientation of a TIFF, 1..8."""
    with _opened(data) as file:
        page = _first_page(file)
        return exif.orientation(page.tags[_ORIENTATION].value) if _ORIENTATION in page.tags else 1


def is_compressed(data: bytes) -> bool:
    """Whether the pixels of a TIFF are compressed."""
    with _opened(data) as file:
        return bool(_first_page(file).compression != _NONE)


def tiff_profile(data: bytes) -> bytes | None:
    """Return the colour profile of a TIFF; None for other files."""
    if not is_tiff(data):
        return None
    with _opened(data) as file:
        page = _first_page(file)
        return page.tags[_PROFILE].value if _PROFILE in page.tags else None


def in_one_plane(data: bytes, opened: tiff_planes.Opened) -> bytes:
    """Return a TIFF with a plane for each channel as one with the channels side by side, and other files unchanged."""
    if not is_tiff(data):
        return data
    with _opened(data) as file:
        return tiff_planes.in_one_plane(data, _first_page(file), opened) or data


def decode_tiff(
    data: bytes, opened: tiff_planes.Opened, *, by_pillow: bool
) -> tuple[Levels, Levels | None, int] | None:
    """Decode a TIFF to levels, alpha and orientation.

    Args:
        data: the file's bytes, of one plane; see `in_one_plane`.
        opened: opens the bytes of a file with Pillow, or returns None.
        by_pillow: whether Pillow opens this one. Then return None unless the file has 16 bits, gray with other samples,
            an alpha that Pillow would lose, or coarser colours than lightness without compression.

    Raises:
        UnreadablePhotograph: it is truncated or of an unsupported kind.
    """
    with _opened(data) as file:
        page = _first_page(file)
        if page.compression == _NONE and page.is_subsampled and page.dtype == np.uint8:
            pixels = opencv.decoded(data)
            if pixels is None:
                raise UnreadablePhotograph("truncated, or damaged otherwise")
            return np.ascontiguousarray(pixels[..., 2::-1]), None, 1
        bits = page.bitspersample  # several numbers if the samples differ, as in 5, 6 and 5 bits
        plain = page.photometric in (0, 1, 2) and page.axes in ("YX", "YXS", "SYX") and isinstance(bits, int)
        if page.compression == _OLD_JPEG and (pixels := _old_jpeg(data, page)) is not None:
            return pixels, None, orientation_of(data)
        alpha_at = _alpha_at(page)
        # Pillow knows an alpha only as the first extra sample, and none that gray is multiplied by.
        several = page.photometric < 2 and (page.samplesperpixel > 2 or (alpha_at is not None and _is_multiplied(page)))
        hidden = several or alpha_at not in (None, 1, 3)
        if page.compression not in (_NONE, _OLD_JPEG):
            tiff_planes.refuse_missing(data, page)  # decoders fill them with zeros or gray
        if by_pillow and not (plain and (page.dtype in (np.uint16, np.int16, np.int8) or hidden)):
            return None
        if not plain or page.dtype not in (np.uint8, np.uint16, np.int8, np.int16):
            raise UnreadablePhotograph(
                f"a TIFF of {', '.join(map(str, np.ravel(bits)))} bits ({page.dtype} "
                f"{getattr(page.photometric, 'name', '')}); save it as RGB in whole numbers of 8 or 16 bits"
            )
        tiff_planes.refuse_missing(data, page)
        if page.compression == _NONE and 8 * sum(page.databytecounts) < page.size * bits:
            raise UnreadablePhotograph("truncated")
        if bits in (8, 16):
            pixels, orientation = _whole_bytes(data, page, opened), orientation_of(data)
        else:
            pixels, orientation = _packed(data, page), 1  # which has been applied
        levels, alpha = _channels(_unsigned(pixels), page, alpha_at)
        if alpha is not None and _is_multiplied(page):
            full = np.iinfo(levels.dtype).max
            opaque = np.maximum(alpha, 1).reshape(alpha.shape + (1,) * (levels.ndim - 2)).astype(np.float32)
            levels = np.minimum(np.rint(levels * (full / opaque)), full).astype(levels.dtype)
        levels = _full_range(levels, page)
        return (~levels if page.photometric == 0 else levels), alpha, orientation


def _old_jpeg(data: bytes, page: Any) -> Levels | None:
    """Decode the JPEG in a TIFF of the kind of 1992, whose libraries no longer read it; None if it is in pieces."""
    start, size = (int(np.ravel(page.tags[tag].value)[0]) if tag in page.tags else 0 for tag in _JPEG)
    picture = data[start : start + size]
    if not picture.startswith(b"\xff\xd8"):
        return None
    with Image.open(io.BytesIO(picture), formats=["JPEG"]) as image:
        if image.size != (page.imagewidth, page.imagelength) or image.mode not in ("L", "RGB"):
            return None
        return np.asarray(image)


def _whole_bytes(data: bytes, page: Any, opened: tiff_planes.Opened) -> Levels:
    """Decode samples of 8 or 16 bits."""
    try:
        return np.asarray(page.asarray())
    except (ValueError, NotImplementedError, ImportError, zlib.error):  # damaged, or unknown to tifffile alone
        if page.compression in _KNOWN:
            raise UnreadablePhotograph("truncated, or damaged otherwise") from None
    return tiff_planes.samples_of(data, page, opened)


def _packed(data: bytes, page: Any) -> Levels:
    """Decode samples of a number of bits between 8 and 16."""
    bits = page.bitspersample
    pixels = opencv.decoded(data) if page.compression in (*_KNOWN, _LZW) and 8 < bits < 16 else None
    if pixels is None or pixels.dtype != page.dtype:
        raise UnreadablePhotograph(
            f"a TIFF that is damaged, or of a kind that is not read ({bits} bits, compression "
            f"{page.compression.name}); if another program opens it, save it with 8 or 16 bits uncompressed"
        )
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]]
    return np.asarray(pixels | (pixels >> bits))  # the lower bits, which OpenCV leaves zero


def _unsigned(pixels: Levels) -> Levels:
    """Convert signed levels, whose white is their largest number, to unsigned ones of the same size."""
    if pixels.dtype.kind == "u":
        return pixels
    if pixels.min() < 0:
        raise UnreadablePhotograph("levels below zero, whose black is unknown; save it with unsigned levels")
    bits = 8 * pixels.itemsize
    levels = pixels.astype(f"u{pixels.itemsize}")
    return (levels << 1) | (levels >> (bits - 2))


def _full_range(levels: Levels, page: Any) -> Levels:
    """Scale RGB from the file's own black and white, as in video, to all levels."""
    if _BLACK_WHITE not in page.tags or levels.ndim == 2:
        return levels
    tag, full = page.tags[_BLACK_WHITE], np.iinfo(levels.dtype).max
    values = np.ravel(tag.value).astype(float)
    if tag.dtype == exif.RATIONAL:
        values = np.divide(values[::2], values[1::2], out=np.full(len(values) // 2, np.nan), where=values[1::2] != 0)
    if values.size != 6 or not all(values[::2] < values[1::2]):
        return levels
    largest = 2 ** (page.bitspersample - (page.dtype.kind == "i")) - 1
    if values.max() <= _LARGEST_OF_8 < largest and levels.max() > _LARGEST_OF_8 * full / largest:
        largest = _LARGEST_OF_8  # some programs always write levels of 8 bits
    if not values[::2].any() and all(values[1::2] == largest):
        return levels
    channels = []
    for channel, (black, white) in zip(
        np.moveaxis(levels, -1, 0), values.reshape(3, 2) * (full / largest), strict=True
    ):
        table = (np.arange(full + 1) - black) * (full / (white - black))
        channels.append(np.clip(np.rint(table), 0, full).astype(levels.dtype)[channel])
    return np.dstack(channels)


def _alpha_at(page: Any) -> int | None:
    """Return the number of the sample that is alpha."""
    first = 3 if page.photometric == 2 else 1
    return next((first + number for number, kind in enumerate(page.extrasamples) if kind in (1, 2)), None)


def _is_multiplied(page: Any) -> bool:
    """Whether the colours are multiplied by alpha, which there is."""
    return bool(next(kind for kind in page.extrasamples if kind in (1, 2)) == 1)


def _channels(pixels: Levels, page: Any, alpha_at: int | None) -> tuple[Levels, Levels | None]:
    """Split into gray or RGB, and alpha."""
    if pixels.ndim == 2:
        return pixels, None
    alpha = None if alpha_at is None or alpha_at >= pixels.shape[2] else np.ascontiguousarray(pixels[..., alpha_at])
    return np.ascontiguousarray(pixels[..., 0] if page.photometric < 2 else pixels[..., :3]), alpha

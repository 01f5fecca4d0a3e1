"""TIFFs whose samples decoders mix up, taken apart into pictures of one sample a pixel, which they decode rightly.

Pillow and OpenCV confuse the planes of a file with a plane for each channel, and reduce 16 bits, depending on the
compression. With one sample a pixel they do neither.
"""

import math
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.images.exif import LONG, RATIONAL, SHORT, UNDEFINED, Entry, Exif, encoded
from pipeline.images.formats import UnreadablePhotograph
from pipeline.images.light import Levels

Opened = Callable[[bytes], Any]  # opens the bytes of a file with Pillow
_FILL_ORDER, _JPEG_TABLES, _PROFILE = 266, 347, 34675
_MIXED_UP, _YCBCR = 2, 6  # a plane for each channel; colours that may be stored coarser than lightness
_NONE, _JPEG, _DEFLATE, _DIFFERENCES = 1, 7, (8, 32946), 2
_BYTES_AT_ONCE = 2**14  # at most 16 MiB, decompressed
_KEPT = {262: SHORT, 274: SHORT, 332: SHORT, 338: SHORT, 532: RATIONAL}  # what samples mean, and the orientation


def in_one_plane(data: bytes, page: Any, opened: Opened) -> bytes | None:
    """Rewrite a TIFF with a plane for each channel, without compression, as one with the channels side by side.

    Returns:
        Bytes of a TIFF with the same pixels, profile and orientation; None for other files.

    Raises:
        UnreadablePhotograph: it is damaged, or of a kind that is not read.
        zlib.error: it is damaged.
    """
    count = page.samplesperpixel
    if page.planarconfig != _MIXED_UP or count == 1 or page.imagedepth > 1:
        return None
    refuse_missing(data, page)
    places = len(page.dataoffsets) // count
    if page.photometric == _YCBCR or page.bitspersample not in (8, 16) or page.dtype.kind not in "ui":
        raise UnreadablePhotograph(
            f"a TIFF with a plane for each channel ({page.bitspersample} bits, {page.photometric.name}), which is not "
            "read; convert it to RGB with the channels side by side (interleaved)"
        )
    planes = [_decoded(data, page, range(n * places, (n + 1) * places), opened) for n in range(count)]
    order = page.parent.byteorder
    pixels = np.dstack(planes).astype(np.dtype(f"{order}u{page.bitspersample // 8}"), copy=False)
    tags = Exif(order)
    for tag, kind in _KEPT.items():
        if tag in page.tags and (values := np.ravel(page.tags[tag].value)).dtype.kind in "iu":
            tags.main[tag] = tags.entry(kind, *(int(value) for value in values))
    sign = 2 if page.dtype.kind == "i" else 1
    tags.main |= {
        258: tags.entry(SHORT, *[page.bitspersample] * count),
        259: tags.entry(SHORT, _NONE),
        277: tags.entry(SHORT, count),
        278: tags.entry(LONG, page.imagelength),
        339: tags.entry(SHORT, *[sign] * count),
    }
    if _PROFILE in page.tags:
        profile = bytes(page.tags[_PROFILE].value)
        tags.main[_PROFILE] = Entry(UNDEFINED, len(profile), profile)
    return _file(tags, page.imagewidth, page.imagelength, (273, 279), [pixels.tobytes()])


def samples_of(data: bytes, page: Any, opened: Opened) -> Levels:
    """Decode a TIFF with the channels side by side, of 8 or 16 bits, to (H, W, channels) or (H, W).

    Raises:
        UnreadablePhotograph: it is of a compression that is not read.
        Exception: it is damaged, of nearly any kind.
    """
    count = page.samplesperpixel
    wide = _decoded(data, page, range(len(page.dataoffsets)), opened, count)
    if count == 1:
        return wide
    pixels = wide.reshape(page.imagelength, page.imagewidth, count)
    if page.predictor == _DIFFERENCES:
        pixels = pixels.copy()
        step = page.tilewidth if page.is_tiled else page.imagewidth
        for left in range(0, page.imagewidth, step):
            block = pixels[:, left : left + step]
            np.cumsum(block, axis=1, dtype=pixels.dtype, out=block)
    return pixels


def refuse_missing(data: bytes, page: Any) -> None:
    """Raise UnreadablePhotograph if a strip or tile is missing, empty, beyond the end, or known to be damaged."""
    places = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if len(places) < math.prod(page.chunked) or any(size <= 0 or start + size > len(data) for start, size in places):
        raise UnreadablePhotograph("truncated")
    if page.compression == _JPEG and any(data.rfind(b"\xff\xd9", start, start + size) < 0 for start, size in places):
        raise UnreadablePhotograph("truncated")
    for start, size in places if page.compression in _DEFLATE else ():
        unpacker = zlib.decompressobj()
        for at in range(start, start + size, _BYTES_AT_ONCE):
            unpacker.decompress(data[at : min(at + _BYTES_AT_ONCE, start + size)])


def _decoded(data: bytes, page: Any, chosen: Sequence[int], opened: Opened, channels: int = 1) -> Levels:
    """Decode some strips or tiles of a page as one picture in gray, `channels` times as wide."""
    width, bits, order = page.imagewidth * channels, page.bitspersample, page.parent.byteorder
    places = [(page.dataoffsets[each], page.databytecounts[each]) for each in chosen]
    parts = [data[start : start + size] for start, size in places]
    if page.compression == _NONE and 8 * sum(map(len, parts)) < width * page.imagelength * bits:
        raise UnreadablePhotograph("truncated")
    tags = Exif(order)
    tags.main = {
        258: tags.entry(SHORT, bits),
        259: tags.entry(SHORT, page.compression),
        262: tags.entry(SHORT, 1),
        277: tags.entry(SHORT, 1),
    }
    if page.is_tiled:
        tags.main |= {322: tags.entry(LONG, page.tilewidth * channels), 323: tags.entry(LONG, page.tilelength)}
    else:
        tags.main[278] = tags.entry(LONG, min(page.rowsperstrip, page.imagelength))
    if page.predictor != 1 and channels == 1:
        tags.main[317] = tags.entry(SHORT, page.predictor)
    if _FILL_ORDER in page.tags:
        tags.main[_FILL_ORDER] = tags.entry(SHORT, page.tags[_FILL_ORDER].value)
    if page.jpegtables:
        tags.main[_JPEG_TABLES] = Entry(UNDEFINED, len(page.jpegtables), bytes(page.jpegtables))
    image = opened(_file(tags, width, page.imagelength, (324, 325) if page.is_tiled else (273, 279), parts))
    if image is None or image.mode not in ("L", "I;16", "I;16B"):
        raise UnreadablePhotograph(
            f"a TIFF in the compression {page.compression.name} with {bits} bits, which is not read; save it without "
            "compression"
        )
    return np.asarray(image).astype(f"u{bits // 8}", copy=False).view(page.dtype.newbyteorder("="))


def _file(tags: Exif, width: int, height: int, where: tuple[int, int], parts: list[bytes]) -> bytes:
    """Return a TIFF with strips or tiles, whose places and sizes belong into the tags `where`."""
    sizes = [len(part) for part in parts]
    tags.main |= {256: tags.entry(LONG, width), 257: tags.entry(LONG, height)}
    tags.main |= {where[0]: tags.entry(LONG, *sizes), where[1]: tags.entry(LONG, *sizes)}
    # Strips follow the tags, whose length does not depend on the places.
    first = len(encoded(tags))
    tags.main[where[0]] = tags.entry(LONG, *(int(place) for place in np.cumsum([first, *sizes[:-1]])))
    return encoded(tags) + b"".join(parts)

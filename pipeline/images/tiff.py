"""Write TIFFs: Pillow cannot write 16-bit colours, and tifffile cannot write EXIF."""

import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.images.exif import BYTE, LONG, SHORT, UNDEFINED, Entry, Exif, encoded
from pipeline.images.light import Levels

_BYTES_PER_STRIP = 2**20


def write(
    path: Path,
    pixels: Levels,
    exif: Exif,
    xmp: bytes,
    profile: bytes,
    resolution: tuple[float, float] | None,
    *,
    compressed: bool,
) -> None:
    """Write a TIFF of one page.

    Args:
        path: the file.
        pixels: (H, W, 3) or, with alpha, (H, W, 4), uint8 or uint16.
        exif: the tags without layout; its byte order becomes the file's.
        xmp: the XMP packet.
        profile: the colour profile.
        resolution: dots per inch across and down; None leaves those of `exif`.
        compressed: whether to use Deflate with differences of neighbours.
    """
    height, width, channels = pixels.shape
    rows = max(1, _BYTES_PER_STRIP // (width * channels * pixels.itemsize))
    starts = range(0, height, rows)

    def strip(start: int) -> Any:
        part: Any = np.array(pixels[start : start + rows], pixels.dtype.newbyteorder(exif.order))
        if not compressed:
            return part.data.cast("B")
        part[:, 1:] -= part[:, :-1].copy()
        return zlib.compress(part.data, 4)

    with ThreadPoolExecutor(2) as pool:
        strips = list(pool.map(strip, starts)) if compressed else []
    lengths = [len(part) for part in strips] or [
        len(pixels[start : start + rows]) * width * channels * pixels.itemsize for start in starts
    ]
    exif = exif.copy()
    exif.main |= {
        256: exif.entry(LONG, width),
        257: exif.entry(LONG, height),
        258: exif.entry(SHORT, *[8 * pixels.itemsize] * channels),
        259: exif.entry(SHORT, 8 if compressed else 1),
        262: exif.entry(SHORT, 2),  # RGB
        277: exif.entry(SHORT, channels),
        278: exif.entry(LONG, rows),
        279: exif.entry(LONG, *lengths),
        284: exif.entry(SHORT, 1),  # channels side by side
        700: Entry(BYTE, len(xmp), xmp),
        34675: Entry(UNDEFINED, len(profile), profile),
    }
    if compressed:
        exif.main[317] = exif.entry(SHORT, 2)
    if channels == 4:
        exif.main[338] = exif.entry(SHORT, 2)  # alpha, not multiplied
    if resolution:
        exif.main |= {282: exif.rational(resolution[0]), 283: exif.rational(resolution[1]), 296: exif.entry(SHORT, 2)}
    exif.main[273] = exif.entry(LONG, *lengths)
    # Strips follow the tags, whose length does not depend on the places.
    first = len(encoded(exif))
    exif.main[273] = exif.entry(LONG, *(int(place) for place in np.cumsum([first, *lengths[:-1]])))
    with path.open("wb") as file:
        file.write(encoded(exif))
        for number, start in enumerate(starts):
            file.write(strips[number] if strips else strip(start))

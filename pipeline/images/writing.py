"""Write a coloured photograph in its original's format and depth, with its metadata and a note on the colours."""

import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageCms

from pipeline.images import jpeg_segments, saving, tiff, xmp
from pipeline.images.exif import SHORT, Exif, encoded, text
from pipeline.images.light import Levels
from pipeline.images.originals import Original

QUALITY = 95
_JFIF_UNIT = 13  # where a JPEG says of what its density is


def write(path: Path, original: Original, rgb: Levels, note: str) -> None:
    """Write a photograph with new colours.

    Args:
        path: the file; its extension is ignored.
        original: see `pipeline.images.originals.read`.
        rgb: sRGB (H, W, 3) of the original's height, width and depth.
        note: the origin of the colours, for EXIF's Software and XMP; ASCII.
    """
    exif = _exif(original, note)
    pixels = rgb if original.alpha is None else np.dstack([rgb, original.alpha])
    if original.format == "TIFF":
        packet = xmp.described(original.metadata.xmp, note)
        tiff.write(path, pixels, exif, packet, srgb_profile(), original.resolution, compressed=original.compressed)
    elif original.format == "PNG":
        _write_png(path, original, pixels, exif, note)
    else:
        _write_by_pillow(path, original, pixels, exif, note)


def _exif(original: Original, note: str) -> Exif:
    """Return the original's EXIF with the note, unless that would push something out of a JPEG."""
    exif = original.metadata.exif.copy()
    if original.format == "JPEG":
        jpeg_segments.shorten(exif)
    noted = exif.copy()
    noted.main[ExifTags.Base.Software] = text(note)
    noted.main[ExifTags.Base.Orientation] = exif.entry(SHORT, 1)
    return exif if original.format == "JPEG" and not jpeg_segments.fits(noted) else noted


def _write_by_pillow(path: Path, original: Original, pixels: Levels, exif: Exif, note: str) -> None:
    packet = xmp.described(original.metadata.xmp, note)
    options: dict[str, Any] = {"quality": QUALITY}
    if original.format == "JPEG":
        packet, segments = jpeg_segments.split(original.metadata.xmp, original.metadata.segments, note)
        options |= {"subsampling": 0, "optimize": False, "extra": jpeg_segments.joined(segments)}
    elif original.format == "AVIF":
        options |= {"subsampling": "4:4:4"}
        del exif.main[ExifTags.Base.Orientation]  # Pillow would write EXIF again, and its text without the encoding
    elif not original.compressed:
        options |= {"lossless": True, "exact": True, "quality": 75}  # the effort
    if density := original.aspect or original.resolution:
        options["dpi"] = density
    options |= {"exif": b"Exif\0\0" + encoded(exif), "xmp": packet, "icc_profile": srgb_profile()}
    saving.save(Image.fromarray(pixels), path, original.format, **options)
    if original.format == "JPEG" and original.aspect:
        with path.open("r+b") as file:
            file.seek(_JFIF_UNIT)
            file.write(b"\0")  # none; Pillow only writes dots per inch


def _write_png(path: Path, original: Original, pixels: Levels, exif: Exif, note: str) -> None:
    swapped = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    fine, image = cv2.imencode(".png", swapped, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not fine:
        raise OSError(f"{path.name}: OpenCV could not encode it as PNG")
    packet = xmp.described(original.metadata.xmp, note)
    chunks = [(b"iCCP", b"sRGB\0\0" + zlib.compress(srgb_profile()))]
    if original.aspect:
        chunks.append((b"pHYs", struct.pack(">IIB", *original.aspect, 0)))
    elif original.resolution:
        per_metre = (round(dots / 0.0254) for dots in original.resolution)
        chunks.append((b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    chunks.append((b"eXIf", encoded(exif)))
    chunks.append((b"tEXt", b"Software\0" + note.encode("latin-1", "replace")))
    chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))
    chunks += original.metadata.chunks
    header = 8 + 25  # signature, IHDR
    with path.open("wb") as file:
        file.write(image[:header].tobytes())
        for kind, content in chunks:
            file.write(struct.pack(">I", len(content)) + kind + content)
            file.write(struct.pack(">I", zlib.crc32(kind + content)))
        file.write(image[header:].data)


@cache
def srgb_profile() -> bytes:
    """Return the sRGB colour profile with a fixed date, so that equal pictures give equal files."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + made[36:]

"""Photographs at their full depth, with the metadata of their files."""

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image

from pipeline.images import formats
from pipeline.images.light import Levels
from pipeline.images.photographs import decode, decoding, header_of, orientation_of, read_bytes

# Tags of TIFF's layout, XMP and profile, which share a folder with those of EXIF.
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
        reduced: (h, w) or (h, w, 3) uint8, a large JPEG as `ingest` decodes it, or None.
        format: Pillow's name of the format to write.
        kept: whether the file has this format.
        exif: without orientation and layout.
        xmp: unchanged, or empty.
        resolution: dots per inch across and down, or None.
        compressed: whether the TIFF is compressed, or the WebP lossy; it is written in the same way.
        remarks: notes for the user on how it was read.
    """

    levels: Levels
    alpha: Levels | None
    reduced: Levels | None
    format: str
    kept: bool
    exif: Image.Exif
    xmp: bytes
    resolution: tuple[float, float] | None
    compressed: bool
    remarks: tuple[str, ...]


def read(path: Path, max_megapixels: float = formats.MAX_MEGAPIXELS, at_least: int | None = None) -> Original:
    """Read a photograph in any of `formats.READ`, or the first of its pages or frames.

    Args:
        path: the file, with any extension.
        max_megapixels: larger photographs are refused.
        at_least: the shorter side, in pixels, for which `reduced` is decoded; see `photographs.decode`.

    Raises:
        UnreadablePhotograph: the file cannot be read.
    """
    data = read_bytes(path, max_megapixels)
    photograph = decode(data, max_megapixels)
    with decoding():
        image = header_of(data)
        info = image.info if image else {}
        source_format = "TIFF" if image is None else "JPEG" if image.format == "MPO" else str(image.format)
        written = source_format if source_format in formats.WRITTEN else "PNG"
        frames = int(getattr(image, "n_frames", 1))
        xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
        large = source_format == "JPEG" and at_least is not None and min(photograph.levels.shape[:2]) >= 4 * at_least
        resolution = _resolution(image)  # before _exif removes the orientation
        several = f"the first of {frames} pictures in the file; the others are left out" if frames > 1 else ""
        return Original(
            photograph.levels,
            photograph.alpha,
            decode(data, max_megapixels, at_least).levels if large else None,
            written,
            written == source_format,
            _exif(image, photograph.levels),
            xmp if isinstance(xmp, bytes) else str(xmp).encode(),
            resolution,
            _compressed(data, image),
            tuple(filter(None, (several, photograph.remark))),
        )


def _exif(image: Image.Image | None, levels: Levels) -> Image.Exif:
    exif = Image.Exif()
    with contextlib.suppress(Exception):  # damaged metadata do not matter for the pixels
        own = image.getexif() if image else exif
        for tag in (*_LAYOUT, ExifTags.Base.Orientation):
            if tag in own:
                del own[tag]
        own.tobytes()
        exif = own
    size = {ExifTags.Base.ExifImageWidth: levels.shape[1], ExifTags.Base.ExifImageHeight: levels.shape[0]}
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    inner.update({tag: value for tag, value in size.items() if tag in inner})
    if ExifTags.Base.ColorSpace in inner:
        inner[ExifTags.Base.ColorSpace] = 1  # sRGB
    return exif


def _resolution(image: Image.Image | None) -> tuple[float, float] | None:
    dpi = image.info.get("dpi") if image else None
    if image is None or dpi is None or min(dpi) <= 1:
        return None
    across, down = dpi
    return (down, across) if orientation_of(image) >= 5 else (across, down)


def _compressed(data: bytes, image: Image.Image | None) -> bool:
    if image is not None and image.format == "WEBP":
        return b"VP8L" not in (data[12:16], *re.findall(rb"VP8[L ](?=....)", data[12:4096], re.DOTALL)[:1])
    return image is None or image.info.get("compression") not in ("raw", None)

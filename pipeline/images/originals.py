"""Photographs at their full depth, with the metadata of their files."""

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from PIL import ExifTags, Image

from pipeline.core.files import digest_bytes
from pipeline.images import exif, formats, metadata, sixteen_bits, xmp
from pipeline.images.boxes import boxes_of
from pipeline.images.light import Levels
from pipeline.images.metadata import Metadata
from pipeline.images.photographs import decode, decoding, header_of, orientation_of, read_bytes

LARGEST_DPI = 65_535  # that a JPEG can hold
_NO_UNIT, _CENTIMETRE, _CENTIMETRES = 1, 3, 2.54  # EXIF's units of resolution, and centimetres in an inch
_LARGEST_TERM = 1000  # of a ratio


@dataclass(frozen=True)
class Original:
    """A photograph, upright, in sRGB, at its own depth.

    Attributes:
        levels: (H, W) gray or (H, W, 3), uint8 or uint16.
        alpha: (H, W) of the same type, or None.
        reduced: (h, w) or (h, w, 3) uint8, a large JPEG as `ingest` decodes it, or None.
        format: Pillow's name of the format to write.
        kept: whether the file has this format.
        metadata: EXIF, XMP, IPTC and texts.
        resolution: dots per inch across and down, or None.
        aspect: numbers of pixels across and down of equal length, where the file says only that, and they differ.
        compressed: whether the TIFF is compressed, or the WebP lossy; it is written in the same way.
        ours: whether its metadata say that DeepColor made its colours.
        remarks: notes for the user on how it was read.
        sha256: the digest of the file.
    """

    levels: Levels
    alpha: Levels | None
    reduced: Levels | None
    format: str
    kept: bool
    metadata: Metadata
    resolution: tuple[float, float] | None
    aspect: tuple[int, int] | None
    compressed: bool
    ours: bool
    remarks: tuple[str, ...]
    sha256: str


def read(path: Path, max_megapixels: float = formats.MAX_MEGAPIXELS, at_least: int | None = None) -> Original:
    """Read a photograph in any of `formats.READ` or of an installed plugin, or the first of its pages or frames.

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
        source_format = "TIFF" if image is None else "JPEG" if image.format == "MPO" else str(image.format)
        written = source_format if source_format in formats.WRITTEN else "PNG"
        frames = int(getattr(image, "n_frames", 1))
        large = source_format == "JPEG" and at_least is not None and min(photograph.levels.shape[:2]) >= 4 * at_least
        turned = (orientation_of(image) if image else sixteen_bits.orientation_of(data)) >= 5
        found = metadata.read(data, image)
        _adapt(found.exif, photograph.levels, turned=turned)
        density = _density(image, found.exif, turned=turned)
        aspect = _aspect(data, image, turned=turned) or _ratio(density)
        if aspect and written == "AVIF":
            found.remarks.append(f"its pixels are not square ({aspect[1]}:{aspect[0]}), which is left out")
        several = f"the first of {frames} pictures in the file; the others are left out" if frames > 1 else ""
        return Original(
            photograph.levels,
            photograph.alpha,
            decode(data, max_megapixels, at_least).levels if large else None,
            written,
            written == source_format,
            found,
            density.resolution,
            aspect,
            _compressed(data, image),
            xmp.is_coloured(data),
            tuple(filter(None, (several, photograph.remark, *found.remarks))),
            digest_bytes(data),
        )


def _adapt(found: exif.Exif, levels: Levels, *, turned: bool) -> None:
    """Make EXIF true for the photograph upright and in sRGB."""
    inner = found.inner.get(exif.EXIF, {})
    size = {ExifTags.Base.ExifImageWidth: levels.shape[1], ExifTags.Base.ExifImageHeight: levels.shape[0]}
    inner.update({tag: found.entry(exif.LONG, value) for tag, value in size.items() if tag in inner})
    if ExifTags.Base.ColorSpace in inner:
        inner[ExifTags.Base.ColorSpace] = found.entry(exif.SHORT, 1)  # sRGB
    across, down = ExifTags.Base.XResolution, ExifTags.Base.YResolution
    if turned and across in found.main and down in found.main:
        found.main[across], found.main[down] = found.main[down], found.main[across]


@dataclass(frozen=True)
class _Density:
    """Pixels across and down per inch or, if `inches` is False, per an unknown length; 0 if unknown."""

    across: float
    down: float
    inches: bool = True

    @property
    def resolution(self) -> tuple[float, float] | None:
        """Dots per inch across and down, if they can be."""
        possible = self.inches and all(1 < dots <= LARGEST_DPI for dots in (self.across, self.down))
        return (self.across, self.down) if possible else None


def _density(image: Image.Image | None, found: exif.Exif, *, turned: bool) -> _Density:
    """Return the density of a photograph upright; `found` is of it upright, too."""
    if image is None:
        return _Density(0, 0)
    if image.format in ("JPEG", "MPO") and not image.info.get("jfif_unit"):  # Pillow takes one of the two from EXIF
        across, down = found.number(ExifTags.Base.XResolution), found.number(ExifTags.Base.YResolution)
        if across and down:
            unit = found.number(ExifTags.Base.ResolutionUnit)
            scale = _CENTIMETRES if unit == _CENTIMETRE else 1
            return _Density(across * scale, down * scale, unit != _NO_UNIT)
    across, down = map(float, image.info.get("dpi") or (0, 0))
    return _Density(down, across) if turned else _Density(across, down)


def _ratio(density: _Density) -> tuple[int, int] | None:
    """Return the shape of pixels whose density cannot be one in inches."""
    across, down = density.across, density.down
    if density.resolution or not (0 < across < math.inf and 0 < down < math.inf):
        return None
    ratio = Fraction(across / down).limit_denominator(_LARGEST_TERM).as_integer_ratio()
    return ratio if ratio != (1, 1) and min(ratio) > 0 and max(ratio) <= LARGEST_DPI else None


def _aspect(data: bytes, image: Image.Image | None, *, turned: bool) -> tuple[int, int] | None:
    if image is None:
        return None
    across, down = image.info.get("aspect", (0, 0))  # of a PNG
    density = image.info.get("jfif_density", (0, 0))
    if image.info.get("jfif_unit") == 0 or min(density) == 1:  # no picture has one dot in an inch
        across, down = density
    elif image.format == "GIF" and data[12]:
        across, down = 64, data[12] + 15
    elif image.format in ("AVIF", "HEIF"):
        properties = next((bytes(content) for kind, content in boxes_of(data) if kind == b"meta"), b"")
        if (at := properties.find(b"pasp")) >= 0:
            down, across = struct.unpack_from(">II", properties, at + 4)  # lengths, not numbers
    if across == down or not (across and down):
        return None
    return (down, across) if turned else (across, down)


def _compressed(data: bytes, image: Image.Image | None) -> bool:
    if image is not None and image.format == "WEBP":
        return not _is_lossless(data)
    return sixteen_bits.is_tiff(data) and sixteen_bits.is_compressed(data)


def _is_lossless(data: bytes) -> bool:
    """Whether the picture in a WebP, or the first of an animation, is lossless."""
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind in (b"VP8 ", b"VP8L"):
            return bool(kind == b"VP8L")
        at += 8 + (16 if kind == b"ANMF" else size + size % 2)  # a frame has chunks of its own after 16 bytes
    return False

"""Write a coloured photograph in its original's format and depth, with its metadata and a note on the colours."""

import re
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageCms, TiffImagePlugin

from pipeline.images import saving
from pipeline.images.light import Levels
from pipeline.images.originals import Original

QUALITY = 95
NAMESPACE = "https://deepcolor.invalid/xmp/1/"
NOTE = "Colours made by DeepColor"  # how notes begin
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced"
_BYTES_PER_TIFF_STRIP = 2**20
_EXIF_LIMIT = 65_527  # bytes in a JPEG segment


def is_coloured(data: bytes) -> bool:
    """Whether the metadata in a photograph's file say that DeepColor made its colours."""
    return any(mark.encode() in data for mark in (NOTE, NAMESPACE))


def write(path: Path, original: Original, rgb: Levels, note: str) -> None:
    """Write a photograph with new colours.

    Args:
        path: the file; its extension is ignored.
        original: see `pipeline.images.originals.read`.
        rgb: sRGB (H, W, 3) of the original's height, width and depth.
        note: the origin of the colours, for EXIF's Software and XMP; ASCII.
    """
    original.exif[ExifTags.Base.Software] = note
    original.exif[ExifTags.Base.Orientation] = 1
    pixels = rgb if original.alpha is None else np.dstack([rgb, original.alpha])
    writers = {"PNG": _write_png, "TIFF": _write_tiff}
    writers.get(original.format, _write_by_pillow)(path, original, pixels, note)


def _write_by_pillow(path: Path, original: Original, pixels: Levels, note: str) -> None:
    options: dict[str, Any] = {"quality": QUALITY}
    if original.format == "JPEG":
        options |= {"subsampling": 0, "optimize": False}
    elif original.format == "AVIF":
        options |= {"subsampling": "4:4:4"}
    elif not original.compressed:
        options |= {"lossless": True, "exact": True, "quality": 75}  # the effort
    if original.resolution:
        options["dpi"] = original.resolution
    exif = _exif_bytes(original.exif)
    xmp = described(original.xmp, note)
    if len(xmp) > _EXIF_LIMIT:
        xmp = described(b"", note)
    options |= {"exif": exif, "xmp": xmp, "icc_profile": srgb_profile()}
    saving.save(Image.fromarray(pixels), path, original.format, **options)


def _exif_bytes(exif: Image.Exif) -> bytes:
    data = exif.tobytes()
    if len(data) > _EXIF_LIMIT:
        # Usually the maker notes are the largest part.
        exif.get_ifd(ExifTags.IFD.Exif).pop(ExifTags.Base.MakerNote, None)
        data = exif.tobytes()
    if len(data) > _EXIF_LIMIT:
        short = Image.Exif()
        short[ExifTags.Base.Software] = exif[ExifTags.Base.Software]
        data = short.tobytes()
    return data


def _write_png(path: Path, original: Original, pixels: Levels, note: str) -> None:
    swapped = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    fine, encoded = cv2.imencode(".png", swapped, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not fine:
        raise OSError(f"{path.name}: OpenCV could not encode it as PNG")
    xmp = described(original.xmp, note)
    chunks = [(b"iCCP", b"sRGB\0\0" + zlib.compress(srgb_profile()))]
    if original.resolution:
        per_metre = (round(dots / 0.0254) for dots in original.resolution)
        chunks.append((b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    chunks.append((b"eXIf", original.exif.tobytes().removeprefix(b"Exif\0\0")))
    chunks.append((b"tEXt", b"Software\0" + note.encode("latin-1", "replace")))
    chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    header = 8 + 25  # signature, IHDR
    with path.open("wb") as file:
        file.write(encoded[:header].tobytes())
        for kind, content in chunks:
            file.write(struct.pack(">I", len(content)) + kind + content)
            file.write(struct.pack(">I", zlib.crc32(kind + content)))
        file.write(encoded[header:].data)


def _write_tiff(path: Path, original: Original, pixels: Levels, note: str) -> None:
    """Write the strips here: Pillow cannot write 16-bit colours, and tifffile cannot write EXIF."""
    height, width, channels = pixels.shape
    rows = max(1, _BYTES_PER_TIFF_STRIP // (width * channels * pixels.itemsize))
    starts = range(0, height, rows)

    def strip(start: int) -> Any:
        part: Any = np.array(pixels[start : start + rows], pixels.dtype.newbyteorder("<"))
        if not original.compressed:
            return part.data.cast("B")
        part[:, 1:] -= part[:, :-1].copy()
        return zlib.compress(part.data, 4)

    with ThreadPoolExecutor(2) as pool:
        strips = list(pool.map(strip, starts)) if original.compressed else []
    lengths = [len(part) for part in strips] or [
        len(pixels[start : start + rows]) * width * channels * pixels.itemsize for start in starts
    ]
    ifd = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    for tag, value in original.exif.items():
        if tag not in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop):
            ifd[tag] = value
    for tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if inner := original.exif.get_ifd(tag):
            ifd[tag] = {key: value for key, value in inner.items() if key != ExifTags.IFD.Interop}
    ifd[256], ifd[257], ifd[277] = width, height, channels
    ifd[258] = (8 * pixels.itemsize,) * channels
    ifd[259], ifd[317] = (8, 2) if original.compressed else (1, 1)
    ifd[262], ifd[274], ifd[284] = 2, 1, 1
    if channels == 4:
        ifd[338] = 2
    if original.resolution:
        ifd[282], ifd[283], ifd[296] = *map(TiffImagePlugin.IFDRational, original.resolution), 2
    ifd[278] = rows
    for tag, kind in ((273, 4), (279, 4), (700, 1), (34675, 7)):
        ifd.tagtype[tag] = kind
    # Offsets count from the end of the tags; `save` adds that position.
    ifd[273] = tuple(int(start) for start in np.cumsum([0, *lengths[:-1]]))
    ifd[279] = tuple(lengths)
    ifd[700] = described(original.xmp, note)
    ifd[34675] = srgb_profile()
    with path.open("wb") as file:
        ifd.save(file)
        for number, start in enumerate(starts):
            file.write(strips[number] if strips else strip(start))


@cache
def srgb_profile() -> bytes:
    """Return the sRGB colour profile with a fixed date, so that equal pictures give equal files."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + made[36:]


def described(xmp: bytes, note: str) -> bytes:
    """Add the origin of the colours to XMP, and remove the orientation."""
    text = xmp.decode("utf-8", "replace")
    text = re.sub(r'\s(tiff:Orientation|Iptc4xmpExt:DigitalSourceType)\s*=\s*("[^"]*"|\'[^\']*\')', "", text)
    text = re.sub(r"<(tiff:Orientation|Iptc4xmpExt:DigitalSourceType)>.*?</\1>", "", text, flags=re.DOTALL)
    ours = (
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f'xmlns:deepcolor="{NAMESPACE}" '
        f"Iptc4xmpExt:DigitalSourceType={quoteattr(SOURCE_TYPE)} deepcolor:Note={quoteattr(note)}/>"
    )
    if "</rdf:RDF>" in text:
        return text.replace("</rdf:RDF>", f"{ours}</rdf:RDF>", 1).strip("\0").encode()
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{ours}</rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>'
    ).encode()

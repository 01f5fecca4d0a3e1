"""Where the files of each format keep EXIF, XMP, IPTC and texts."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from pipeline.images import gif, jpeg2000, jpeg_segments, jpeg_xl, photoshop, png
from pipeline.images.boxes import boxes_of
from pipeline.images.jpeg_segments import APP1, APP13, COMMENT, EXTENDED_XMP, LIMIT, XMP

_EXIF = b"Exif\0\0"
_APP10, _APP12 = 0xEA, 0xEC
# How segments begin that are copied: comments, and in APP12 what early cameras noted.
_COPIED = {COMMENT: b"", APP1: EXTENDED_XMP, _APP10: b"UNICODE\0", _APP12: b""}
_DUCKY, _LAST, _QUALITY = b"Ducky", b"\0\0", b"\0\1"
_TIFF = (b"II*\0", b"MM\0*")  # how EXIF begins, unlike its second segment
_UUIDS = {
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "xmp",
    bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"): "iptc",
    b"JpgTiffExif->JP2": "exif",
}
_CODER = (b"Created by OpenJPEG", b"Kakadu-")  # how comments of JPEG 2000 begin that only name the program


@dataclass
class Blocks:
    """What a file holds, as bytes.

    Attributes:
        exif: each EXIF; the first is the one that counts.
        xmp: each packet of XMP, likewise.
        segments: marker and content of a JPEG's segments that are copied.
        chunks: name and content of a PNG's chunks that are copied.
        remarks: what is damaged.
    """

    exif: list[bytes] = field(default_factory=list)
    xmp: list[bytes] = field(default_factory=list)
    segments: list[tuple[int, bytes]] = field(default_factory=list)
    chunks: list[tuple[bytes, bytes]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read(data: bytes, image: Image.Image | None, found: Blocks) -> None:
    """Add to `found` what a file holds; `image` is its parsed header, None for a TIFF that Pillow cannot read.

    Raises:
        ValueError, IndexError, struct.error: it is damaged.
    """
    source = "TIFF" if image is None else str(image.format)
    if source in _READERS:
        _READERS[source](data, found)
    elif image is not None:
        found.exif.append(_exif_of(image))
        found.xmp.append(image.info.get("xmp") or b"")


def _exif_of(image: Image.Image) -> bytes:
    decoder: Any = getattr(image, "_decoder", None)
    if image.format == "AVIF" and decoder is not None:
        return bytes(decoder.get_info()[4] or b"")  # Pillow's `info` has it as Pillow writes it again
    return bytes(image.info.get("exif") or b"")


def _read_jpeg(data: bytes, found: Blocks) -> None:
    resources = b""
    for marker, content in jpeg_segments.segments_of(data):
        if marker == APP1 and content.startswith(_EXIF):
            part = content.removeprefix(_EXIF)
            if found.exif and not part.startswith(_TIFF):
                found.exif[-1] += part
            else:
                found.exif.append(part)
        elif marker == APP1 and content.startswith(XMP):
            found.xmp.append(content.removeprefix(XMP))
        elif marker == APP13:
            resources += photoshop.blocks_of(content)
        elif marker == _APP12 and content.startswith(_DUCKY):
            if kept := _without_quality(content):
                found.segments.append((marker, kept))
        elif marker in _COPIED and content.startswith(_COPIED[marker]):
            found.segments.append((marker, content))
    kept, whole = photoshop.kept(resources)
    if not whole:
        found.remarks.append(photoshop.DAMAGED)
    room = LIMIT - len(photoshop.HEADER)
    found.segments += [(APP13, photoshop.HEADER + kept[at : at + room]) for at in range(0, len(kept), room)]


def _without_quality(ducky: bytes) -> bytes:
    """Return a segment that Photoshop's "Save for Web" writes without the quality; nothing if it holds no text."""
    at, kept = len(_DUCKY), b""
    while at + 4 <= len(ducky) and (kind := ducky[at : at + 2]) != _LAST:
        end = at + 4 + int.from_bytes(ducky[at + 2 : at + 4], "big")
        kept += ducky[at:end] if kind != _QUALITY else b""
        at = end
    return _DUCKY + kept + _LAST if kept else b""


def _read_tiff(data: bytes, found: Blocks) -> None:
    found.exif.append(data)


def _read_png(data: bytes, found: Blocks) -> None:
    raw = Blocks()  # of ImageMagick, which count less
    for name, content, _ in png.chunks(data):
        if name == b"eXIf":
            found.exif.append(bytes(content))
        elif name == b"tIME":
            found.chunks.append((name, bytes(content)))
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            _read_text(name, bytes(content), found, raw)
    found.exif += raw.exif
    found.xmp += raw.xmp


def _read_text(name: bytes, content: bytes, found: Blocks, raw: Blocks) -> None:
    keyword = content.partition(b"\0")[0]
    kind = keyword.removeprefix(b"Raw profile type ").lower() if keyword.startswith(b"Raw profile type ") else b""
    if keyword == b"XML:com.adobe.xmp" or kind in (b"exif", b"app1", b"xmp"):
        text = png.text_of(name, content)[1]
        profile = png.raw_profile(text) if kind else text
        if not profile:
            found.remarks.append(f"its {'XMP' if kind in (b'', b'xmp') else 'EXIF'} is damaged and left out")
        elif profile.startswith((_EXIF, *_TIFF)):
            raw.exif.append(profile)
        else:
            (raw if kind else found).xmp.append(profile.removeprefix(XMP))
    elif kind not in (b"icc", b"icm") and keyword != b"Software":  # which we write
        found.chunks.append((name, content))


def _read_webp(data: bytes, found: Blocks) -> None:
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind in (b"EXIF", b"XMP "):
            (found.exif if kind == b"EXIF" else found.xmp).append(data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2


def _read_gif(data: bytes, found: Blocks) -> None:
    for label, first, content in gif.extensions_of(data):
        if label in (gif.COMMENT, gif.DRAWN):
            found.chunks.append(png.text_chunk("Comment", content))
        elif first == gif.XMP:
            found.xmp.append(content)


def _read_jpeg2000(data: bytes, found: Blocks) -> None:
    texts = [text for text in jpeg2000.comments_of(data) if not text.startswith(_CODER)]
    found.chunks += [png.text_chunk("Comment", text) for text in texts]
    for kind, content in boxes_of(data):
        if kind == b"xml ":  # of any kind
            found.chunks.append(png.text_chunk("XML", bytes(content)))
        match _UUIDS.get(bytes(content[:16])) if kind == b"uuid" else None:
            case "xmp":
                found.xmp.append(bytes(content[16:]))
            case "exif":
                found.exif.append(bytes(content[16:]))
            case "iptc":
                found.chunks.append(png.iptc_chunk(bytes(content[16:])))


def _read_jpeg_xl(data: bytes, found: Blocks) -> None:
    found.exif, found.xmp = jpeg_xl.metadata_of(data)


_READERS: dict[str, Callable[[bytes, Blocks], None]] = {
    "JPEG": _read_jpeg,
    "MPO": _read_jpeg,
    "PNG": _read_png,
    "TIFF": _read_tiff,
    "WEBP": _read_webp,
    "GIF": _read_gif,
    "JPEG2000": _read_jpeg2000,
    "JXL": _read_jpeg_xl,
}

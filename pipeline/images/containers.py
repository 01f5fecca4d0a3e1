"""Where the files of each format keep EXIF, XMP, IPTC and texts."""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from pipeline.images import gif, jpeg2000, jpeg_segments, jpeg_xl, photoshop, png
from pipeline.images.boxes import boxes_of
from pipeline.images.jpeg_segments import APP1, APP13, COMMENT, EXTENDED_XMP, LIMIT, XMP

_EXIF = b"Exif\0\0"
_APP0, _APP10, _APP12 = 0xE0, 0xEA, 0xEC
# How segments begin that are copied: comments, and in APP12 what early cameras noted.
_COPIED = {COMMENT: b"", APP1: EXTENDED_XMP, _APP10: b"UNICODE\0", _APP12: b""}
_DUCKY, _LAST, _QUALITY = b"Ducky", b"\0\0", b"\0\1"
_TIFF = (b"II*\0", b"MM\0*")  # how EXIF begins, unlike its second segment
_UUIDS = {
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "xmp",
    bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"): "iptc",
    b"JpgTiffExif->JP2": "exif",
}
_RESOURCES = bytes.fromhex("2c4c0100850440b9a03e562148d6dfeb")  # Photoshop's, in a JPEG 2000
# What is read elsewhere, or is about the picture alone. Of a JPEG, markers and how their segments begin.
_SEGMENTS_WITHOUT_TEXT = {
    0xE0: (b"JFIF\0", b"JFXX\0"),
    0xE2: (b"ICC_PROFILE\0", b"MPF\0", b"urn:iso:std:iso:ts:21496"),
    0xEE: (b"Adobe",),
}
_CHUNKS_WITHOUT_TEXT = (
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV",
    b"cLLI", b"bKGD", b"hIST", b"pHYs", b"sPLT", b"acTL", b"fcTL", b"fdAT", b"iDOT", b"CgBI",
)  # fmt: skip
_WEBP_WITHOUT_TEXT = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP")
_GIF_WITHOUT_TEXT = (b"NETSCAPE2.0", b"ANIMEXTS1.0", gif.PROFILE)
_BOXES_WITHOUT_TEXT = (b"jP  ", b"ftyp", b"rreq", b"jp2h", b"jp2c")
_TEXT = re.compile(rb"[\w ,.:;/'()-]{10}|(?:[\w ,.:;/'()-]\0){10}|(?:\0[\w ,.:;/'()-]){10}")
_MOST_NAMES = 4
_CODER = (b"Created by OpenJPEG", b"Kakadu-")  # how comments of JPEG 2000 begin that only name the program


@dataclass
class Blocks:
    """What a file holds, as bytes.

    Attributes:
        exif: each EXIF; the first is the one that counts.
        xmp: each packet of XMP, likewise.
        segments: marker and content of a JPEG's segments that are copied.
        chunks: name and content of a PNG's chunks that are copied.
        unknown: names of places with texts that are not understood.
        remarks: what is damaged or not understood.
    """

    exif: list[bytes] = field(default_factory=list)
    xmp: list[bytes] = field(default_factory=list)
    segments: list[tuple[int, bytes]] = field(default_factory=list)
    chunks: list[tuple[bytes, bytes]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def note_unknown(self, name: str | bytes, content: bytes | memoryview) -> None:
        """Note the name of a place that is not understood if it holds text."""
        if _TEXT.search(content):
            name = name if isinstance(name, str) else name.decode("ascii", "replace")
            self.unknown.append("".join(letter if letter.isprintable() else "?" for letter in name).strip())


def read(data: bytes, image: Image.Image | None, found: Blocks) -> None:
    """Add to `found` what a file holds; `image` is its parsed header, None for a TIFF that Pillow cannot read.

    Raises:
        ValueError, IndexError, struct.error: it is damaged.
    """
    source = "TIFF" if image is None else str(image.format)
    if source in _READERS:
        try:
            _READERS[source](data, found)
        finally:
            if names := list(dict.fromkeys(found.unknown)):
                some = ", ".join(names[:_MOST_NAMES]) + ", …" * (len(names) > _MOST_NAMES)
                found.remarks.append(f"texts or data in {some} are not understood and are left out")
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
        elif marker == APP13 and (part := photoshop.blocks_of(content)):
            resources += part
        elif marker == _APP12 and content.startswith(_DUCKY):
            if kept := _without_quality(content):
                found.segments.append((marker, kept))
        elif marker in _COPIED and content.startswith(_COPIED[marker]):
            found.segments.append((marker, content))
        elif marker & 0xF0 == _APP0 and not content.startswith(_SEGMENTS_WITHOUT_TEXT.get(marker, ())):
            found.note_unknown(f"APP{marker - _APP0}", content)
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
        elif name == b"zxIf":  # packed
            found.unknown.append("zxIf")
        elif name not in _CHUNKS_WITHOUT_TEXT:
            found.note_unknown(name, content)
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
        elif kind not in _WEBP_WITHOUT_TEXT:
            found.note_unknown(kind, data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2


def _read_gif(data: bytes, found: Blocks) -> None:
    for label, first, content in gif.extensions_of(data):
        if label in (gif.COMMENT, gif.DRAWN):
            found.chunks.append(png.text_chunk("Comment", content))
        elif first == gif.XMP:
            found.xmp.append(content)
        elif first == b"MGKIPTC0000":  # of ImageMagick, as the next
            found.chunks.append(png.iptc_chunk(content))
        elif first == b"MGK8BIM0000":
            _add_resources(content, found)
        elif label == gif.APPLICATION and first not in _GIF_WITHOUT_TEXT:
            found.note_unknown(first, content)


def _add_resources(blocks: bytes, found: Blocks) -> None:
    """Add Photoshop's resource blocks to those of a PNG."""
    kept, whole = photoshop.kept(blocks)
    if kept:
        found.chunks.append(png.resources_chunk(kept))
    if not whole:
        found.remarks.append(photoshop.DAMAGED)


def _read_jpeg2000(data: bytes, found: Blocks) -> None:
    texts = [text for text in jpeg2000.comments_of(data) if not text.startswith(_CODER)]
    found.chunks += [png.text_chunk("Comment", text) for text in texts]
    for kind, content in () if data.startswith(jpeg2000.START) else boxes_of(data):
        uuid, rest = (bytes(content[:16]), bytes(content[16:])) if kind == b"uuid" else (b"", b"")
        if kind == b"xml ":  # of any kind
            found.chunks.append(png.text_chunk("XML", bytes(content)))
        elif uuid == _RESOURCES:
            _add_resources(rest, found)
        elif uuid in _UUIDS:
            match _UUIDS[uuid]:
                case "xmp":
                    found.xmp.append(rest)
                case "exif":
                    found.exif.append(rest)
                case "iptc":
                    found.chunks.append(png.iptc_chunk(rest))
        elif kind not in _BOXES_WITHOUT_TEXT:
            found.note_unknown(kind, content)


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

"""What a file says about a photograph: EXIF, XMP, IPTC and texts, from where each format keeps them."""

import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from PIL import ExifTags, Image

from pipeline.images import exif, jpeg_segments, jpeg_xl, png, xmp
from pipeline.images.boxes import boxes_of
from pipeline.images.exif import Entry, Exif
from pipeline.images.jpeg_segments import APP1, APP13, COMMENT, EXTENDED_XMP, LIMIT, PHOTOSHOP, XMP, segments_of

_RESOURCES, _XMP_TAG, _DESCRIPTION = 34377, 700, 270
DEPTH, TILE_DEPTH = 32997, 32998  # of a volume
# Tags of TIFF's layout, its profile, and what makes it a DNG, which share a directory with those of EXIF.
_LAYOUT = frozenset((
    *range(254, 267), 273, *range(277, 282), 284, *range(288, 294), 297, 301, *range(317, 329), *range(330, 348),
    *range(400, 406), *range(433, 436), *range(512, 522), *range(529, 533), 559, 32995, 32996, TILE_DEPTH, 34675,
    37724, 50674, 50706, 50707, ExifTags.Base.Orientation,
))  # fmt: skip
# By these, readers of TIFFs take a file for one of a microscope or scanner, whose pixels they look for in other places.
_INSTRUMENTS = {
    33445: "MD Gel", 33471: "Olympus", 33560: "Olympus", 33628: "MetaMorph", 33629: "MetaMorph", 33630: "MetaMorph",
    33631: "MetaMorph", 34361: "FluoView", 34362: "FluoView", 34412: "Zeiss", 43314: "NIH Image", 65420: "Hamamatsu",
    65426: "Hamamatsu", 65432: "Hamamatsu",
}  # fmt: skip
_ORDERS: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}
_LAYOUT_IN_WORDS = re.compile(rb"SCANIMAGE|\s*<\?xml.*<OME", re.DOTALL)
_LINES_OF_IMAGEJ = re.compile(
    rb"(ImageJ|SCIFIO|images|channels|slices|frames|hyperstack|mode|[xyzvt]?unit|[xyz]origin|spacing|finterval|fps|loop"
    rb"|min|max|cf|c\d)=[^ ]*"
)
_KEYS_OF_TIFFFILE = ("shape", "axes", "volumetric", "truncated")
# IPTC, its digest, and the state and address of the copyright. Others are thumbnails, profiles and resolutions.
_RESOURCES_KEPT = (0x0404, 0x0425, 0x040A, 0x040B)
_UUIDS = {
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "xmp",
    bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"): "iptc",
    b"JpgTiffExif->JP2": "exif",
}


@dataclass
class Metadata:
    """Metadata of a photograph.

    Attributes:
        exif: without orientation, layout and thumbnail; of a TIFF also its other tags.
        xmp: unchanged, or empty.
        segments: marker and content of a JPEG's segments that are copied: comments, IPTC, extended XMP.
        chunks: name and content of a PNG's chunks that are copied: texts, and the time.
        remarks: what is left out.
    """

    exif: Exif = field(default_factory=Exif)
    xmp: bytes = b""
    segments: list[tuple[int, bytes]] = field(default_factory=list)
    chunks: list[tuple[bytes, bytes]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read(data: bytes, image: Image.Image | None) -> Metadata:
    """Read the metadata of a file; `image` is its parsed header, None for a TIFF that Pillow cannot read."""
    found = Metadata()
    source = "TIFF" if image is None else str(image.format)
    try:
        if source in _READERS:
            _READERS[source](data, found)
        elif image is not None:
            found.exif, found.xmp = _parsed(_exif_of(image)), image.info.get("xmp") or b""
        _sort(found)
        if source in ("JPEG", "MPO") and (left_out := jpeg_segments.shorten(found.exif)):
            found.remarks.append(f"its EXIF is too long for a JPEG, and entries are left out ({_names(left_out)})")
    except (ValueError, IndexError, struct.error):
        found.remarks.append("its metadata are damaged and partly left out")
    if found.exif.damaged:
        found.remarks.append(f"its EXIF is damaged, and entries are left out ({_names(found.exif.damaged)})")
    if found.xmp and not xmp.is_understood(found.xmp):
        found.xmp = b""
        found.remarks.append("its XMP is damaged and left out")
    return found


def _names(tags: list[int]) -> str:
    names = ("the end of a directory" if tag == 0 else str(ExifTags.TAGS.get(tag, tag)) for tag in tags[:4])
    return ", ".join(dict.fromkeys(names)) + ", …" * (len(tags) > 4)


def _exif_of(image: Image.Image) -> bytes:
    decoder: Any = getattr(image, "_decoder", None)
    if image.format == "AVIF" and decoder is not None:
        return bytes(decoder.get_info()[4] or b"")  # Pillow's `info` has it as Pillow writes it again
    return bytes(image.info.get("exif") or b"")


def _parsed(data: bytes) -> Exif:
    return exif.parse(data, _LAYOUT)


def _read_jpeg(data: bytes, found: Metadata) -> None:
    parts, resources = [], b""
    for marker, content in segments_of(data):
        if marker == APP1 and content.startswith(b"Exif\0\0"):
            parts.append(content[6:])
        elif marker == APP1 and content.startswith(XMP):
            found.xmp = found.xmp or content.removeprefix(XMP)
        elif marker == APP13 and content.startswith(PHOTOSHOP):
            resources += content.removeprefix(PHOTOSHOP)
        elif marker == COMMENT or (marker == APP1 and content.startswith(EXTENDED_XMP)):
            found.segments.append((marker, content))
    kept = _kept_resources(resources)
    room = LIMIT - len(PHOTOSHOP)
    found.segments += [(APP13, PHOTOSHOP + kept[at : at + room]) for at in range(0, len(kept), room)]
    found.exif = _parsed(b"".join(parts))


def _kept_resources(data: bytes) -> bytes:
    """Return the resource blocks of Photoshop that are kept."""
    at, kept = 0, b""
    while at + 12 <= len(data) and data[at : at + 4] in (b"8BIM", b"PHUT", b"AgHg", b"DCSR", b"MeSa"):
        (number,) = struct.unpack_from(">H", data, at + 4)
        start = at + 6 + (data[at + 6] // 2 + 1) * 2  # after the name, which has an even length
        (size,) = struct.unpack_from(">I", data, start)
        end = start + 4 + size + size % 2
        if number in _RESOURCES_KEPT:
            kept += data[at:end].ljust(end - at, b"\0")
        at = end
    return kept


def _read_tiff(data: bytes, found: Metadata) -> None:
    found.exif = _parsed(data)


def _sort(found: Metadata) -> None:
    """Take out of the tags what is no EXIF."""
    main = found.exif.main
    if packet := main.pop(_XMP_TAG, None):
        found.xmp = found.xmp or packet.data
    if (resources := main.pop(_RESOURCES, None)) and (kept := _kept_resources(resources.data)):
        main[_RESOURCES] = Entry(exif.BYTE, len(kept), kept)
    if _DESCRIPTION in main:
        entry = main.pop(_DESCRIPTION)
        if caption := _caption(entry.data.rstrip(b"\0")):
            as_it_was = entry.data.startswith(caption)
            main[_DESCRIPTION] = entry if as_it_was else Entry(entry.kind, len(caption) + 1, caption + b"\0")
    if (depth := main.pop(DEPTH, None)) and (planes := int.from_bytes(depth.data, _ORDERS[found.exif.order])) > 1:
        found.remarks.append(f"the first of {planes} planes in the file; the others are left out")
    if left_out := [tag for tag in _INSTRUMENTS if main.pop(tag, None)]:
        makers = ", ".join(dict.fromkeys(_INSTRUMENTS[tag] for tag in left_out))
        found.remarks.append(f"tags that only programs of {makers} understand are left out")


def _caption(description: bytes) -> bytes:
    """Return a TIFF's description without what programs note there about the layout of several pictures."""
    if _LAYOUT_IN_WORDS.match(description):
        return b""
    if description.startswith((b"ImageJ=", b"SCIFIO=")):
        lines = description.splitlines()
        return b"\n".join(line for line in lines if not _LINES_OF_IMAGEJ.fullmatch(line)).strip()
    if not re.match(rb'\{.*"shape":|shape=', description, re.DOTALL):
        return description
    try:
        found = json.loads(description)
    except (ValueError, RecursionError):
        layout_only = re.fullmatch(rb"shape=\([\d, ]*\)\s*", description)
        return b"" if layout_only else b"Caption: " + description  # without it, readers look for a layout
    others = {key: value for key, value in found.items() if key not in _KEYS_OF_TIFFFILE}
    return json.dumps(others).encode() if others else b""


def _read_png(data: bytes, found: Metadata) -> None:
    for name, content, _ in png.chunks(data):
        if name == b"eXIf":
            found.exif = _parsed(bytes(content))
        elif name == b"tIME":
            found.chunks.append((name, bytes(content)))
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            _read_text(name, bytes(content), found)


def _read_text(name: bytes, content: bytes, found: Metadata) -> None:
    keyword = content.partition(b"\0")[0]
    kind = keyword.removeprefix(b"Raw profile type ").lower() if keyword.startswith(b"Raw profile type ") else b""
    if keyword == b"XML:com.adobe.xmp":
        found.xmp = png.text_of(name, content)[1]
    elif kind in (b"exif", b"app1", b"xmp"):
        profile = png.raw_profile(png.text_of(name, content)[1])
        if profile.startswith(b"Exif\0\0"):
            found.exif = found.exif if found.exif.main else _parsed(profile)
        else:
            found.xmp = found.xmp or profile.removeprefix(XMP)
    elif kind not in (b"icc", b"icm") and keyword != b"Software":  # which we write
        found.chunks.append((name, content))


def _read_gif(data: bytes, found: Metadata) -> None:
    def skipped(at: int) -> int:
        while data[at]:
            at += 1 + data[at]
        return at + 1

    def table(flags: int) -> int:
        return 3 * 2 ** (1 + flags % 8) if flags & 0x80 else 0

    at = 13 + table(data[10])
    while at < len(data) and data[at] != 0x3B:
        if data[at] == 0x2C:  # a picture
            at = skipped(at + 11 + table(data[at + 9]))
            continue
        label, start = data[at + 1], at + 2
        at = skipped(start)
        if label == 0xFE:
            comment = b""
            while data[start]:
                comment += data[start + 1 : start + 1 + data[start]]
                start += 1 + data[start]
            found.chunks.append(png.text_chunk("Comment", comment))
        elif label == 0xFF and data[start + 1 : start + 12] == b"XMP DataXMP":
            # It is no sequence of blocks, but ends so that readers of blocks find its end: in 257 bytes and 0.
            found.xmp = data[start + 12 : at - 258]


def _read_jpeg2000(data: bytes, found: Metadata) -> None:
    for kind, content in boxes_of(data):
        match _UUIDS.get(bytes(content[:16])) if kind == b"uuid" else None:
            case "xmp":
                found.xmp = bytes(content[16:])
            case "exif":
                found.exif = _parsed(bytes(content[16:]))
            case "iptc":
                found.chunks.append(png.iptc_chunk(bytes(content[16:])))


def _read_jpeg_xl(data: bytes, found: Metadata) -> None:
    exif_of_file, found.xmp = jpeg_xl.metadata_of(data)
    found.exif = _parsed(exif_of_file)


_READERS: dict[str, Callable[[bytes, Metadata], None]] = {
    "JPEG": _read_jpeg,
    "MPO": _read_jpeg,
    "PNG": _read_png,
    "TIFF": _read_tiff,
    "GIF": _read_gif,
    "JPEG2000": _read_jpeg2000,
    "JXL": _read_jpeg_xl,
}

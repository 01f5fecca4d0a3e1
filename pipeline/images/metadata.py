"""What a file says about a photograph: EXIF, XMP, IPTC and texts, without what is true of the file alone."""

import json
import re
import struct
from dataclasses import dataclass, field
from typing import Literal
from xml.etree import ElementTree

from PIL import ExifTags, Image

from pipeline.images import containers, exif, jpeg_segments, photoshop, xmp
from pipeline.images.containers import Blocks
from pipeline.images.exif import Entry, Exif

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
_OME = re.compile(rb"\s*(<\?xml.*)?<(\w+:)?OME\b", re.DOTALL)
_LINES_OF_IMAGEJ = re.compile(
    rb"(ImageJ|SCIFIO|images|channels|slices|frames|hyperstack|mode|[xyzvt]?unit|[xyz]origin|spacing|finterval|fps|loop"
    rb"|min|max|cf|c\d)=[^ ]*"
)
_KEYS_OF_TIFFFILE = ("shape", "axes", "volumetric", "truncated")


@dataclass
class Metadata:
    """Metadata of a photograph.

    Attributes:
        exif: without orientation, layout and thumbnail; of a TIFF also its other tags.
        xmp: unchanged, or empty.
        segments: marker and content of a JPEG's segments that are copied: comments, IPTC, extended XMP, notes.
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
    blocks = Blocks()
    try:
        containers.read(data, image, blocks)
    except (ValueError, IndexError, struct.error):
        blocks.remarks.append("its metadata are damaged and partly left out")
    found = Metadata(segments=blocks.segments, chunks=blocks.chunks, remarks=blocks.remarks)
    found.exif = _first_exif(blocks.exif, found)
    _sort(found, blocks)
    _choose_xmp(blocks.xmp, found)
    if image is not None and image.format in ("JPEG", "MPO") and (left_out := jpeg_segments.shorten(found.exif)):
        found.remarks.append(f"its EXIF is too long for a JPEG, and entries are left out ({_names(left_out)})")
    if found.exif.damaged:
        found.remarks.append(f"its EXIF is damaged, and entries are left out ({_names(found.exif.damaged)})")
    return found


def _first_exif(blocks: list[bytes], found: Metadata) -> Exif:
    """Return the first EXIF that has entries."""
    every = [each for each in map(_parsed, blocks) if each.main or each.inner or each.damaged]
    first = next((each for each in every if each.main or each.inner), next(iter(every), Exif()))
    if any(each != first for each in every):
        found.remarks.append("it has several EXIF; all but the first are left out")
    return first


def _parsed(block: bytes) -> Exif:
    try:
        return exif.parse(block, _LAYOUT)
    except struct.error:
        return Exif(damaged=[0])


def _choose_xmp(packets: list[bytes], found: Metadata) -> None:
    """Keep the first packet that can be."""
    packets = [packet for packet in packets if packet]
    understood = [packet for packet in packets if xmp.is_understood(packet)]
    if len(understood) < len(packets):
        found.remarks.append("its XMP is damaged and left out")
    if len({packet.strip() for packet in understood}) > 1:
        found.remarks.append("it has several XMP packets; all but the first are left out")
    found.xmp = next(iter(understood), b"")


def _names(tags: list[int]) -> str:
    names = ("the end of a directory" if tag == 0 else str(ExifTags.TAGS.get(tag, tag)) for tag in tags[:4])
    return ", ".join(dict.fromkeys(names)) + ", …" * (len(tags) > 4)


def _sort(found: Metadata, blocks: Blocks) -> None:
    """Take out of the tags what is no EXIF."""
    main = found.exif.main
    if packet := main.pop(_XMP_TAG, None):
        blocks.xmp.append(packet.data)
    if resources := main.pop(_RESOURCES, None):
        kept, whole = photoshop.kept(resources.data)
        if kept:
            main[_RESOURCES] = Entry(exif.BYTE, len(kept), kept)
        if not whole:
            found.remarks.append(photoshop.DAMAGED)
    if _DESCRIPTION in main:
        entry = main.pop(_DESCRIPTION)
        descriptions = [entry, *(again for tag, again in found.exif.repeated if tag == _DESCRIPTION)]
        captions = [_caption(each.data.rstrip(b"\0")) for each in descriptions]
        found.exif.damaged += [_DESCRIPTION] * captions.count(None)
        if caption := b"\n".join(dict.fromkeys(filter(None, captions))):
            as_it_was = entry.data.startswith(caption)
            main[_DESCRIPTION] = entry if as_it_was else Entry(entry.kind, len(caption) + 1, caption + b"\0")
    if several := [tag for tag, _ in found.exif.repeated if tag != _DESCRIPTION]:
        found.remarks.append(f"its EXIF has several {_names(several)}; all but the first are left out")
    if (depth := main.pop(DEPTH, None)) and (planes := int.from_bytes(depth.data, _ORDERS[found.exif.order])) > 1:
        found.remarks.append(f"the first of {planes} planes in the file; the others are left out")
    if left_out := [tag for tag in _INSTRUMENTS if main.pop(tag, None)]:
        makers = ", ".join(dict.fromkeys(_INSTRUMENTS[tag] for tag in left_out))
        found.remarks.append(f"tags that only programs of {makers} understand are left out")


def _words_of_ome(description: bytes) -> bytes | None:
    """Return what an OME-XML describes in words; None if it is damaged."""
    text = description.decode("utf-8", "replace").strip()
    try:
        if "<!DOCTYPE" in text:  # in which entities can grow to gigabytes
            return None
        every = list(ElementTree.fromstring(text).iter())  # noqa: S314
    except ElementTree.ParseError:
        return None
    words = [each.text for each in every if each.tag.endswith("Description")]
    words += [each.get("Description") for each in every]
    return "\n".join(dict.fromkeys(found.strip() for found in words if found and found.strip())).encode()


def _caption(description: bytes) -> bytes | None:
    """Return a TIFF's description without what programs note there about the layout of several pictures.

    It is None if it cannot be read.
    """
    if description.startswith(b"SCANIMAGE"):
        return b""
    if _OME.match(description):
        return _words_of_ome(description)
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

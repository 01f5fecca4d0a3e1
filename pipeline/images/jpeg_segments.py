"""Segments of a JPEG that hold metadata."""

import hashlib
import re
import struct
from collections.abc import Iterator, Sequence

from PIL import ExifTags

from pipeline.images import xmp
from pipeline.images.exif import Exif, encoded

APP1, APP13, COMMENT = 0xE1, 0xED, 0xFE
XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
LIMIT = 65_533  # bytes in a segment
_SCAN, _END = 0xDA, 0xD9
_AFTER_SCAN = re.compile(rb"\xff[^\0\xd0-\xd7\xff]")  # the next marker that is no part of a scan

Segment = tuple[int, bytes]  # marker and content


def segments_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of the segments of a JPEG, those between and after its scans too."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = struct.unpack_from(">BH", data, at + 1)
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker == _END or length < 2:
            return
        if marker != _SCAN:
            yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == _SCAN:
            following = _AFTER_SCAN.search(data, at)
            at = following.start() if following else len(data)


def joined(segments: Sequence[Segment]) -> bytes:
    """Return the bytes of segments."""
    return b"".join(struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content for marker, content in segments)


def fits(exif: Exif) -> bool:
    """Whether EXIF fits into a segment."""
    return len(encoded(exif)) <= LIMIT - len(b"Exif\0\0")


def shorten(exif: Exif) -> list[int]:
    """Leave out maker notes, then the longest entries, until EXIF fits into a segment; return their tags."""
    left_out = []
    while not fits(exif):
        every = [(tag, entries) for entries in (exif.main, *exif.inner.values()) for tag in entries]
        tag, entries = max(every, key=lambda found: (found[0] == ExifTags.Base.MakerNote, len(found[1][found[0]].data)))
        del entries[tag]
        left_out.append(tag)
    return left_out


def split(packet: bytes, segments: Sequence[Segment], note: str) -> tuple[bytes, list[Segment]]:
    """Add the origin of the colours to the XMP of a JPEG.

    Args:
        packet: the XMP, or nothing.
        segments: the other segments.
        note: the origin of the colours.

    Returns:
        A packet that fits into a segment, and the other segments; a packet that is too long becomes extended XMP (XMP
        specification part 3, 1.1.3.1). If there is some already, the packet stays without the origin, which becomes a
        comment.
    """
    described = xmp.described(packet, note)
    if len(described) <= LIMIT - len(XMP):
        return described, list(segments)
    others = list(segments)
    if any(content.startswith(EXTENDED_XMP) for _, content in segments):
        return xmp.upright(packet), [*others, (COMMENT, note.encode())]
    digest = hashlib.md5(packet, usedforsecurity=False).hexdigest().upper()
    room = LIMIT - len(EXTENDED_XMP) - 40
    for at in range(0, len(packet), room):
        head = EXTENDED_XMP + digest.encode() + struct.pack(">II", len(packet), at)
        others.append((APP1, head + packet[at : at + room]))
    return xmp.described(b"", note, digest), others

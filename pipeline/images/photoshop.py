"""Photoshop's resource blocks, in which JPEG and TIFF keep IPTC."""

import re
import struct

HEADER = b"Photoshop 3.0\0"  # of a JPEG's segment
IPTC = 0x0404
DAMAGED = "its IPTC is damaged and partly left out"
# IPTC and its digest, the state and address of the copyright, XMP, and the caption of Photoshop 2. Others are
# thumbnails, profiles, resolutions and copies of EXIF.
_KEPT = (IPTC, 0x0425, 0x040A, 0x040B, 0x0424, 0x03F0)
_KINDS = (b"8BIM", b"PHUT", b"AgHg", b"DCSR", b"MeSa")
_EARLY_HEADER = re.compile(rb"(Adobe_)?Photoshop.?2\.5[:\0]")
_FIRST_BLOCK, _FIRST_RECORD = re.compile(b"|".join(_KINDS)), re.compile(rb"\x1c[\1-\x09]")


def blocks_of(segment: bytes) -> bytes:
    """Return the resource blocks, or the first part of them, in the content of a JPEG's segment APP13."""
    if segment.startswith(HEADER):
        return segment.removeprefix(HEADER)
    if not (header := _EARLY_HEADER.match(segment)):
        return b""
    # Bytes that nobody has described follow, then blocks or, without any, the records of IPTC.
    if first := _FIRST_BLOCK.search(segment, header.end()):
        return segment[first.start() :]
    record = _FIRST_RECORD.search(segment, header.end())
    return block(IPTC, segment[record.start() :]) if record else b""


def block(number: int, content: bytes) -> bytes:
    """Return a resource block without a name."""
    return b"8BIM" + struct.pack(">HxxI", number, len(content)) + content + b"\0" * (len(content) % 2)


def kept(blocks: bytes) -> tuple[bytes, bool]:
    """Return the resource blocks that are kept, and whether all could be read."""
    at, chosen = 0, b""
    while at + 12 <= len(blocks) and blocks[at : at + 4] in _KINDS:
        (number,) = struct.unpack_from(">H", blocks, at + 4)
        start = at + 10 + (blocks[at + 6] // 2 + 1) * 2  # after the name, which has an even length, and the size
        size = int.from_bytes(blocks[start - 4 : start], "big")
        content = blocks[start : start + size]
        if number in _KEPT:
            chosen += blocks[at : start - 4] + struct.pack(">I", len(content)) + content + b"\0" * (len(content) % 2)
        if len(content) < size:
            return chosen, False
        at = start + size + size % 2
    return chosen, not blocks[at:].strip(b"\0")

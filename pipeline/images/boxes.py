"""The boxes that JPEG 2000, JPEG XL and HEIC files are made of (ISO/IEC 15444-1, annex I; 18181-2; 14496-12)."""

import struct
from collections.abc import Iterator


def boxes_of(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield type and content of the boxes of a file, those within boxes excepted; a broken one ends it."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1 and at + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        if length and length < head:
            return
        end = at + length if length else len(data)
        yield kind, memoryview(data)[at + head : end]
        at = end

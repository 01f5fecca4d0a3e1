"""Size, depth and metadata of a JPEG XL (ISO/IEC 18181), which Pillow's plugin tells too late or not at all."""

from dataclasses import dataclass
from fractions import Fraction

from pipeline.images.boxes import boxes_of

START = b"\xff\x0a"  # of a codestream, which is a file by itself or lies in boxes
_RATIOS = (None, *map(Fraction, ("1", "12/10", "4/3", "3/2", "16/9", "5/4", "2")))  # width / height
_LONGEST = 2**26  # bytes of metadata, decompressed
_LENGTHS = (9, 13, 18, 30)  # bits of a side


@dataclass(frozen=True)
class Header:
    """What a codestream begins with.

    Attributes:
        size: width and height as stored, before the orientation is applied.
        depth: bits of a channel; 8 where a preview or an animation is in their way.
    """

    size: tuple[int, int]
    depth: int


def header_of(data: bytes) -> Header:
    """Parse the header of a file.

    Raises:
        ValueError: it is cut off.
    """
    bits = _Bits(_codestream(data).removeprefix(START))
    return Header(_size(bits), _depth(bits))


class _Bits:
    """Bits from the lowest of the first byte on."""

    def __init__(self, data: bytes) -> None:
        if not data:
            raise ValueError("a JPEG XL without a header")
        self._left = int.from_bytes(data[:64], "little")

    def take(self, count: int = 1) -> int:
        value = self._left & ((1 << count) - 1)
        self._left >>= count
        return value


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take()

    def side() -> int:
        return 8 * (bits.take(5) + 1) if small else bits.take(_LENGTHS[bits.take(2)]) + 1

    height = side()
    ratio = _RATIOS[bits.take(3)]
    return (side() if ratio is None else int(height * ratio)), height


def _depth(bits: _Bits) -> int:
    if bits.take():  # all as usual
        return 8
    if bits.take():  # more fields
        bits.take(3)  # orientation
        if bits.take():
            _size(bits)  # at which it is shown
        if bits.take() or bits.take():
            return 8
    depths = (32, 16, 24) if bits.take() else (8, 10, 12)  # of floating-point or whole numbers
    chosen = bits.take(2)
    return depths[chosen] if chosen < 3 else bits.take(6) + 1


def _codestream(data: bytes) -> bytes:
    """Return the codestream, or its first part."""
    if data.startswith(START):
        return data
    for kind, content in boxes_of(data):
        if kind in (b"jxlc", b"jxlp"):
            return bytes(content[4 if kind == b"jxlp" else 0 :][:64])
    return b""


def _unpacked(data: bytes) -> bytes:
    import brotli  # of the same extra as the plugin

    unpacker = brotli.Decompressor()
    try:
        unpacked: bytes = unpacker.process(data, output_buffer_limit=_LONGEST)
    except brotli.error:
        raise ValueError("damaged metadata") from None
    if not unpacker.is_finished():
        raise ValueError("metadata that are cut off, or too long")
    return unpacked


def metadata_of(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return each EXIF and each packet of XMP.

    Raises:
        ValueError: they are compressed, and damaged or longer than 64 MiB.
    """
    found: dict[bytes, list[bytes]] = {b"Exif": [], b"xml ": []}
    for kind, content in boxes_of(data):
        inner = bytes(content)
        if kind == b"brob":
            kind = inner[:4]
            inner = _unpacked(inner[4:]) if kind in found else b""
        if kind in found:
            found[kind].append(inner)
    return [_without_offset(exif) for exif in found[b"Exif"]], found[b"xml "]


def _without_offset(exif: bytes) -> bytes:
    # Some writers leave it out.
    return exif if exif[:2] in (b"II", b"MM") else exif[4 + int.from_bytes(exif[:4], "big") :]

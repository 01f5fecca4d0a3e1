"""Size, depth and metadata of a JPEG XL (ISO/IEC 18181), which Pillow's plugin tells too late or not at all."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pipeline.images.boxes import boxes_of

START = b"\xff\x0a"  # of a codestream, which is a file by itself or lies in boxes
_RATIOS = (None, *map(Fraction, ("1", "12/10", "4/3", "3/2", "16/9", "5/4", "2")))  # width / height
_LONGEST = 2**26  # bytes of metadata, decompressed
_LENGTHS = (9, 13, 18, 30)  # bits of a side
_HEADER = 2**14  # bytes, more than any header has
_ALPHA, _SPOT, _FILTER = 0, 2, 5  # extra channels with fields of their own
_GRAY, _XYB, _OWN = 1, 2, 2  # colour spaces; white or primaries by their places
USUAL_WHITE = 255.0  # cd/m²
_SRGB = 13  # a transfer function


@dataclass(frozen=True)
class Header:
    """What a codestream begins with.

    Attributes:
        size: width and height as stored, before the orientation is applied.
        depth: bits of a channel.
        floating: whether levels are floating-point numbers, in which white is 1 and light may be brighter.
        transfer: the number of the transfer function in ITU-T H.273; None for a gamma or a profile.
        brightest: what the highest level stands for, in cd/m²; usually the white of a display that is no HDR display.
    """

    size: tuple[int, int]
    depth: int = 8
    floating: bool = False
    transfer: int | None = _SRGB
    brightest: float = USUAL_WHITE


def header_of(data: bytes) -> Header:
    """Parse the header of a file.

    Raises:
        ValueError: it is cut off.
    """
    bits = _Bits(_codestream(data).removeprefix(START))
    size = _size(bits)
    if bits.take():  # all as usual
        return Header(size)
    more = bits.take()
    if more:
        _skip_additions(bits)
    floating, depth = _depth(bits)
    bits.take()  # whether 16 bits are enough for the decoder
    for _ in range(bits.number((0, 0), (0, 1), (4, 2), (12, 1))):
        _skip_extra_channel(bits)
    bits.take()  # whether it is in the colours of the codec
    transfer = _transfer(bits)
    brightest = USUAL_WHITE if not more or bits.take() else bits.half()
    return Header(size, depth, floating, transfer, brightest)


class _Bits:
    """Bits from the lowest of the first byte on; zeros after the end."""

    def __init__(self, data: bytes) -> None:
        if not data:
            raise ValueError("a JPEG XL without a header")
        self._all, self._at = int.from_bytes(data, "little"), 0

    def take(self, count: int = 1) -> int:
        value = (self._all >> self._at) & ((1 << count) - 1)
        self._at += count
        return value

    def number(self, *choices: tuple[int, int]) -> int:
        """Return a number in one of four forms: bits, and what is added to them."""
        bits, least = choices[self.take(2)]
        return least + self.take(bits)

    def half(self) -> float:
        """Return a floating-point number of 16 bits."""
        return float(np.array(self.take(16), np.uint16).view(np.float16))

    def name(self) -> int:
        """Return the number of a named thing."""
        return self.number((0, 0), (0, 1), (4, 2), (6, 18))


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take()

    def side() -> int:
        return 8 * (bits.take(5) + 1) if small else bits.take(_LENGTHS[bits.take(2)]) + 1

    height = side()
    ratio = _RATIOS[bits.take(3)]
    return (side() if ratio is None else int(height * ratio)), height


def _skip_additions(bits: _Bits) -> None:
    bits.take(3)  # orientation
    if bits.take():
        _size(bits)  # at which it is shown
    if bits.take():  # a preview
        sides = ((0, 16), (0, 32), (5, 1), (9, 33)) if bits.take() else ((6, 1), (8, 65), (10, 321), (12, 1345))
        bits.number(*sides)
        if not bits.take(3):
            bits.number(*sides)
    if bits.take():  # an animation
        bits.number((0, 100), (0, 1000), (10, 1), (30, 1))
        bits.number((0, 1), (0, 1001), (8, 1), (10, 1))
        bits.number((0, 0), (3, 0), (16, 0), (32, 0))
        bits.take()


def _depth(bits: _Bits) -> tuple[bool, int]:
    """Return whether levels are floating-point numbers, and their bits."""
    if not bits.take():
        return False, bits.number((0, 8), (0, 10), (0, 12), (6, 1))
    depth = bits.number((0, 32), (0, 16), (0, 24), (6, 1))
    bits.take(4)  # those of the exponent
    return True, depth


def _skip_extra_channel(bits: _Bits) -> None:
    if bits.take():  # alpha of 8 bits
        return
    kind = bits.name()
    _depth(bits)
    bits.number((0, 0), (0, 3), (0, 4), (3, 1))  # how much smaller it is
    bits.take(8 * bits.number((0, 0), (4, 0), (5, 16), (10, 48)))  # its name
    if kind == _ALPHA:
        bits.take()
    elif kind == _SPOT:
        bits.take(4 * 16)
    elif kind == _FILTER:
        bits.number((0, 1), (2, 0), (4, 3), (8, 19))


def _transfer(bits: _Bits) -> int | None:
    if bits.take():  # all as usual
        return _SRGB
    by_profile, space = bits.take(), bits.name()
    if by_profile:
        return None
    for points in {_GRAY: (1,), _XYB: ()}.get(space, (1, 3)):  # the white, and the primaries
        for _ in range(2 * points if bits.name() == _OWN else 0):
            bits.number((19, 0), (19, 2**19), (20, 2**20), (21, 2**21))
    transfer = None
    if space != _XYB and not bits.take():
        transfer = bits.name()
    elif space != _XYB:
        bits.take(24)  # a gamma
    bits.name()  # the rendering intent
    return transfer


def _codestream(data: bytes) -> bytes:
    """Return the codestream's first bytes."""
    if data.startswith(START):
        return data[:_HEADER]
    found = b""
    for kind, content in boxes_of(data):
        if kind in (b"jxlc", b"jxlp") and len(found) < _HEADER:
            found += content[4 if kind == b"jxlp" else 0 :][:_HEADER]
    return found


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

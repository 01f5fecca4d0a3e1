"""PNG's chunks: colours without a profile, transparency, 16 bits a channel, and texts."""

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from pipeline.images import photoshop
from pipeline.images.formats import UnreadablePhotograph
from pipeline.images.icc import matrix_profile
from pipeline.images.light import Levels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SRGB = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)  # x, y of white, red, green, blue
_SAME_GAMMA, _SAME_PLACE = 0.05, 0.003  # as in libpng, gammas are the same within 5 %
LONGEST_TEXT = 2**26  # bytes, decompressed, and of a profile
_BYTES_AT_ONCE = 2**14  # at most 16 MiB, decompressed
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # in a pixel, by the type of colours
_ADAM7 = (  # first column and row, and steps across and down
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip
# Pillow's names of how samples are stored; it has none for 16-bit gray with alpha, which is read as four channels of 8.
_HALVES = {"RGB;16B": ("RGB;16B", "RGB;16L"), "RGBA;16B": ("RGBA;16B", "RGBA;16L"), "LA;16B": ("RGBA",)}


def chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, int]]:
    """Yield name, content and checksum of each chunk."""
    at, view = len(SIGNATURE), memoryview(data)
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            return
        yield name, view[at + 8 : at + 8 + length], struct.unpack_from(">I", data, at + 8 + length)[0]
        at += 12 + length


def refuse_truncated(data: bytes) -> None:
    """Raise UnreadablePhotograph if the rows of a PNG end early though its data are whole; Pillow leaves them black."""
    width, height, depth, kind, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * _SAMPLES[kind]
    missing = 0
    for x, y, across, down in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        missing += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    unpacker = zlib.decompressobj()
    for name, content, _ in chunks(data):
        for at in range(0, len(content) if name == b"IDAT" else 0, _BYTES_AT_ONCE):
            missing -= len(unpacker.decompress(content[at : at + _BYTES_AT_ONCE]))
    if missing > 0:
        raise UnreadablePhotograph("truncated")


def is_deep(image: Image.Image, data: bytes) -> bool:
    """Whether a file is a PNG with 16 bits a channel."""
    return image.format == "PNG" and data[24] == 16


def decode_deep(data: bytes, opened: Callable[[], Any]) -> tuple[Levels, Levels | None]:
    """Decode a PNG with 16 bits a channel to levels and alpha, both uint16.

    Pillow decodes colours to one byte a channel: it is called for the upper and again for the lower bytes.

    Args:
        data: the bytes of the file.
        opened: opens it anew.
    """
    for name, content, checksum in chunks(data):
        if name == b"IDAT" and zlib.crc32(content, zlib.crc32(name)) != checksum:
            raise UnreadablePhotograph("a damaged PNG of 16 bits: a checksum does not match")
    image = opened()
    stored = image.tile[0].args
    if stored not in _HALVES:
        levels = np.asarray(image).astype(np.uint16)
        return levels, _alpha_of_key(levels, image.info.get("transparency"))
    halves = [_decoded(opened(), rawmode) for rawmode in _HALVES[stored]]
    if len(halves) == 1:
        gray, alpha = halves[0].view(">u2").astype(np.uint16).transpose(2, 0, 1)
        return np.ascontiguousarray(gray), np.ascontiguousarray(alpha)
    pixels = halves[0].astype(np.uint16)
    pixels <<= 8
    pixels |= halves[1]
    if pixels.shape[2] == 4:
        return np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3])
    return pixels, _alpha_of_key(pixels, image.info.get("transparency"))


def _decoded(image: Any, rawmode: str) -> Levels:
    image.tile = [tile._replace(args=rawmode) for tile in image.tile]
    return np.asarray(image)


def _alpha_of_key(levels: Levels, key: Any) -> Levels | None:
    """Return the alpha of a colour that stands for transparent pixels."""
    if key is None:
        return None
    clear = levels == np.asarray(key)
    return np.where(clear if levels.ndim == 2 else clear.all(axis=-1), 0, 65535).astype(np.uint16)


def scale_key(image: Image.Image, data: bytes) -> None:
    """Scale the transparent gray of a PNG of 2 or 4 bits as Pillow scales its pixels."""
    if image.format == "PNG" and image.mode == "L" and data[24] < 8 and "transparency" in image.info:
        image.info["transparency"] = image.info["transparency"] * 255 // (2 ** data[24] - 1)


def profile(info: dict[Any, Any], *, gray: bool) -> bytes | None:
    """Return a colour profile for what gAMA and cHRM say; None for sRGB and for values that make no sense.

    Args:
        info: Pillow's `Image.info`.
        gray: whether the pixels are gray.
    """
    if "srgb" in info:
        return None
    gamma, places = info.get("gamma"), info.get("chromaticity", _SRGB)
    if gamma is not None and (not 0.1 <= gamma <= 10 or abs(gamma * 2.2 - 1) < _SAME_GAMMA):
        gamma = None
    if gray or np.allclose(places, _SRGB, atol=_SAME_PLACE):
        return None if gamma is None else matrix_profile(None if gray else _SRGB, gamma)
    return matrix_profile(places, gamma)


def text_of(name: bytes, content: bytes) -> tuple[bytes, bytes]:
    """Return keyword and text, decompressed, of a tEXt, zTXt or iTXt chunk; the text is empty if it is damaged."""
    keyword, _, rest = content.partition(b"\0")
    packed = name == b"zTXt"
    if packed:
        rest = rest[1:]
    elif name == b"iTXt":
        packed = rest[:1] == b"\1"
        rest = rest[2:].split(b"\0", 2)[-1]
    if not packed:
        return keyword, rest
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(rest, LONGEST_TEXT)
    except zlib.error:
        return keyword, b""
    return keyword, text if unpacker.eof else b""


def raw_profile(text: bytes) -> bytes:
    """Return the bytes in a text of ImageMagick's form "raw profile": a name, a length and hexadecimal digits."""
    digits = b"".join(text.strip().split(b"\n")[2:])
    try:
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return b""


def text_chunk(keyword: str, text: bytes) -> tuple[bytes, bytes]:
    """Return name and content of a chunk with a text in UTF-8 or, if it is none, Latin-1."""
    try:
        text.decode()
    except UnicodeDecodeError:
        text = text.decode("latin-1").encode()
    return b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text


def iptc_chunk(records: bytes) -> tuple[bytes, bytes]:
    """Return name and content of a chunk with IPTC records, in the form of ImageMagick that other programs read."""
    return resources_chunk(photoshop.block(photoshop.IPTC, records))


def resources_chunk(blocks: bytes) -> tuple[bytes, bytes]:
    """Return name and content of a chunk with Photoshop's resource blocks, likewise."""
    digits = blocks.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(f"\niptc\n{len(blocks):8}\n{lines}\n".encode())

"""The bits of a channel of a file, which decoders do not tell."""

from typing import Any

from PIL import Image

_BITS_PER_SAMPLE = 258
_JPEG2000_START = b"\xff\x4f\xff\x51"  # markers SOC and SIZ


def depth_of(data: bytes, image: Image.Image) -> int:
    """Return the bits of a channel in a TIFF, a JPEG 2000 or an AVIF; 8 for others, and for headers cut short."""
    try:
        if image.format == "TIFF":
            tags: Any = getattr(image, "tag_v2", {})
            return int(max(tags.get(_BITS_PER_SAMPLE, (8,))))
        if image.format == "JPEG2000":
            return (data[data.index(_JPEG2000_START) + 42] & 0x7F) + 1  # Ssiz of the first component
        if image.format == "AVIF":
            flags = data[data.index(b"av1C") + 6]
            return 12 if flags & 0x20 else 10 if flags & 0x40 else 8
    except (ValueError, IndexError, TypeError):
        return 8
    return 8

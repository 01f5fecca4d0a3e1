"""The bits of a channel of a file, which decoders do not tell."""

from typing import Any

from PIL import Image

from pipeline.images import jpeg2000, jpeg_xl

_BITS_PER_SAMPLE = 258


def depth_of(data: bytes, image: Image.Image) -> int:
    """Return the bits of a channel in a TIFF, JPEG 2000, AVIF, HEIC or JPEG XL; 8 in others, and if it is cut off."""
    try:
        if image.format == "TIFF":
            tags: Any = getattr(image, "tag_v2", {})
            return int(max(tags.get(_BITS_PER_SAMPLE, (8,))))
        if image.format == "JPEG2000":
            return (data[data.index(jpeg2000.START) + 42] & 0x7F) + 1  # Ssiz of the first component
        if image.format == "AVIF":
            flags = data[data.index(b"av1C") + 6]
            return 12 if flags & 0x20 else 10 if flags & 0x40 else 8
        if image.format == "JXL":
            return jpeg_xl.header_of(data).depth
        if image.format == "HEIF":
            return int(image.info.get("bit_depth", 8))
    except (ValueError, IndexError, TypeError):
        return 8
    return 8

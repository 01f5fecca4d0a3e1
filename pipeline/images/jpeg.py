"""JPEG files of a store's images, for people to look at."""

from pathlib import Path

from PIL import Image

from pipeline.images import lab, saving

QUALITY = 92


def name(row: int) -> str:
    """Return the file name of the image in a row of the store: 000123.jpg."""
    return f"{row:06d}.jpg"


def write_jpeg(path: Path, levels: lab.UInt8) -> None:
    """Write sRGB (H, W, 3) or gray (H, W) uint8, without chroma subsampling."""
    path.parent.mkdir(parents=True, exist_ok=True)
    saving.save(Image.fromarray(levels), path, "JPEG", quality=QUALITY, subsampling=0)

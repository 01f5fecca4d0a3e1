"""Pictures as JPEG files, one per image: what people look at."""

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from pipeline import lab

QUALITY = 92


def name(row: int) -> str:
    """The file name of the image in a row of the store: 000123.jpg."""
    return f"{row:06d}.jpg"


def write_jpeg(path: Path, levels: lab.UInt8) -> None:
    """Write sRGB (H, W, 3) or gray (H, W) uint8, colours at full resolution."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(path, quality=QUALITY, subsampling=0)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`; it takes the place of `path` if the block succeeds, and is removed if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    old = temporary.with_suffix(".old")
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        for folder in (temporary, old):
            shutil.rmtree(folder, ignore_errors=True)

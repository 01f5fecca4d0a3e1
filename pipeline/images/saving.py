"""Saving pictures with Pillow so that a full disk is noticed."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from pipeline.core import files


def save(picture: Image.Image, path: Path, kind: str, **options: Any) -> None:
    """Write a picture, encoded in memory first: Pillow itself does not notice if only a part fits on the disk.

    Args:
        picture: any that the format takes.
        path: the file; its extension is ignored.
        kind: Pillow's name of the format.
        options: the encoder's.

    Raises:
        OSError: the disk is full or otherwise limited.
    """
    content = io.BytesIO()
    picture.save(content, kind, **options)
    files.fill(path, content.getbuffer())

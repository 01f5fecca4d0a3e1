"""Image files, made up: what the tests of photographs and of folders of them read."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def picture(width=60, height=40, seed=0):
    """A smooth colour picture, (height, width, 3) uint8, that no turning or mirroring leaves as it is."""
    corners = np.random.default_rng(seed).integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return np.array(Image.fromarray(corners).resize((width, height), Image.Resampling.BILINEAR))


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(stream, kind, **options)
    return stream.getvalue()


def chunk(name, content):
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def put(root, *names, seed=0):
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(seed=seed + number)))


RGB = picture()

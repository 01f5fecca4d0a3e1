"""Small pictures of photographs for viewing."""

from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image

from pipeline.images import saving, writing
from pipeline.images.lab import UInt8
from pipeline.images.light import Levels, eight_bits

LONGEST_SIDE = 1600  # pixels


def reduced(levels: Levels, alpha: Levels | None = None, longest: int = LONGEST_SIDE) -> UInt8:
    """Reduce a photograph (H, W) or (H, W, 3), uint8 or uint16, to (h, w, 3) uint8, at most `longest` pixels long.

    With `alpha` (H, W), it is composited over white.
    """
    height, width = levels.shape[:2]
    scale = min(1, longest / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = eight_bits(np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_AREA)))
    colours = small if small.ndim == 3 else np.dstack([small] * 3)
    if alpha is None:
        return colours
    opaque = eight_bits(np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA))) / np.float32(255)
    return np.asarray(np.rint(255 - (255 - colours) * opaque[..., None]), np.uint8)


def write_comparison(path: Path, before: Levels, after: Levels, note: str) -> None:
    """Write a JPEG of a photograph before and after, side by side, with the note in EXIF's Software."""
    halves = np.hstack([reduced(before), reduced(after)])
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = note
    saving.save(Image.fromarray(halves), path, "JPEG", quality=writing.QUALITY, subsampling=0, exif=exif)

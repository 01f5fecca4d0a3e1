"""How much of an image is no colour of sRGB."""

import numpy as np

from pipeline.images import lab
from pipeline.images.lab import UInt8

# In 8-bit units of L, a and b. Decoding and encoding again changes no colour of sRGB by more than 1.
FAR = 6
STEP = 4  # every 4th pixel in both directions: 1 ms for 224 x 224 pixels


def share_outside(lightness: UInt8, ab: UInt8) -> float:
    """Return the share of pixels, 0..1, that are more than `FAR` away from the nearest level that sRGB can show.

    Args:
        lightness: (H, W) uint8; see `pipeline.images.lab`.
        ab: (H, W, 2) uint8.
    """
    before = np.dstack([lightness, ab])[::STEP, ::STEP].astype(np.int16)
    after = np.dstack(lab.from_rgb(lab.to_rgb(before[..., 0], before[..., 1:])))
    return float((np.abs(before - after).max(axis=-1) > FAR).mean())

"""Put colours on a photograph under its own lightness, at full size and depth, in strips.

With Y the luminance and f CIE Lab's compression of it (L* = 116 f(Y) - 16), a colour has f(X) = f(Y) + a*/500 and
f(Z) = f(Y) - b*/200; sRGB, D65.
"""

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.images.light import KNEE, Float, Levels, gamma_of, in_strips, luminance_of, steps_of

Chroma = Callable[[int, Float], list[Float]]

_FROM_XYZ = np.array([
    [3.2404542, -1.5371385, -0.4985314],
    [-0.9692660, 1.8760108, 0.0415560],
    [0.0556434, -0.2040259, 1.0572252],
])  # fmt: skip
_WHITE_X, _WHITE_Z = 0.95047, 1.08883
_TINY = np.float32(1e-12)


def recolour(levels: Levels, chroma: Chroma, threads: int = 2) -> Levels:
    """Put colours on a photograph and keep its lightness.

    Colours outside sRGB move towards the gray of their luminance, in linear light, until they fit.

    Args:
        levels: (H, W) gray or (H, W, 3) sRGB, uint8 or uint16; only the lightness is used.
        chroma: returns [a*, b*], each (k, W), for the number of the first row and L* (k, W); called from several
            threads.
        threads: number of strips that are processed at the same time.

    Returns:
        SRGB (H, W, 3) of the same type.
    """
    height, width = levels.shape[:2]
    out: Levels = np.empty((height, width, 3), levels.dtype)
    gamma = gamma_of(levels.dtype.name)

    def strip(start: int, stop: int) -> None:
        luminance, f = luminance_of(levels[start:stop])
        a, b = chroma(start, 116 * f - 16)
        x = _expanded(f + a * np.float32(1 / 500), _WHITE_X)
        z = _expanded(f - b * np.float32(1 / 200), _WHITE_Z)
        rgb = np.empty((3, *f.shape), np.float32)
        for channel, (of_x, of_y, of_z) in zip(rgb, _FROM_XYZ.astype(np.float32), strict=True):
            np.multiply(x, of_x, out=channel)
            channel += of_y * luminance
            channel += of_z * z
        _fit_into_srgb(rgb, luminance)
        cv2.merge([gamma[steps_of(channel)] for channel in rgb], dst=out[start:stop])

    in_strips(strip, (height, width), threads)
    return out


def _expanded(f: Float, white: float) -> Float:
    """Return X or Z: the inverse of f, times the white point."""
    knee = f < KNEE
    cube = f * f
    cube *= f
    if knee.any():
        np.copyto(cube, np.float32(3 * KNEE**2) * (f - np.float32(4 / 29)), where=knee)
    cube *= np.float32(white)
    return cube


def _fit_into_srgb(rgb: Float, luminance: Float) -> None:
    """Move linear RGB (3, ...) outside 0..1 towards the gray of its luminance, in place."""
    low, high = (extreme(extreme(rgb[0], rgb[1]), rgb[2]) for extreme in (np.minimum, np.maximum))
    if low.min() >= 0 and high.max() <= 1:
        return
    gray = np.clip(luminance, 0, 1)
    high -= gray
    low = gray - low
    # Gray lies between the channels, so both distances are at least 0; _TINY avoids a division by 0.
    room = np.minimum((1 - gray) / np.maximum(high, _TINY), gray / np.maximum(low, _TINY))
    np.minimum(room, 1, out=room)
    for channel in rgb:
        channel -= gray
        channel *= room
        channel += gray

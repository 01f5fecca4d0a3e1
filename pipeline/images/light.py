"""Linear light and lightness of sRGB levels of 8 and 16 bits by tables, and processing in strips."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.images.lab import UInt8

Float = npt.NDArray[np.float32]
Levels = npt.NDArray[Any]  # uint8 or uint16

PIXELS_PER_STRIP = 2**16
_STEPS = 2**16 - 1  # tables are spaced evenly in the root of linear light, which is as fine in the shadows as vision
_TO_Y = np.array([0.2126729, 0.7151522, 0.0721750])
KNEE = 6 / 29


def eight_bits(levels: Levels) -> UInt8:
    """Convert levels of uint8 or uint16 to uint8, rounded."""
    # Levels divided by 257 are never halfway between integers. OpenCV needs no float32 copy.
    if levels.dtype == np.uint8:
        return levels
    return np.asarray(cv2.convertScaleAbs(levels, alpha=1 / 257), np.uint8).reshape(levels.shape)


def scaled_to_16_bits(levels: Levels, depth: int) -> Levels:
    """Scale levels of `depth` bits, up to 16, to uint16, rounded."""
    if depth == 16:
        return levels
    table = np.rint(np.arange(2**depth) * (65535 / (2**depth - 1))).astype(np.uint16)
    return np.asarray(table[levels])


def lightness_of(levels: Levels) -> Float:
    """Return L* (k, W), 0..100, of k rows of a photograph."""
    return 116 * luminance_of(levels)[1] - 16


def in_strips(strip: Callable[[int, int], None], shape: Sequence[int], threads: int) -> None:
    """Call ``strip(first row, last row + 1)`` for strips of about `PIXELS_PER_STRIP` pixels of (H, W, ...)."""
    height, width = shape[:2]
    rows = max(1, PIXELS_PER_STRIP // width)
    with ThreadPoolExecutor(max(1, min(threads, os.cpu_count() or 1))) as pool:
        for done in [pool.submit(strip, start, min(start + rows, height)) for start in range(0, height, rows)]:
            done.result()


def luminance_of(levels: Levels) -> tuple[Float, Float]:
    """Return Y, 0..1, and f(Y), both (H, W) float32."""
    linear = linear_light(levels.dtype.name)
    if levels.ndim == 3:
        of_channels = [linear[levels[..., number]] * np.float32(share) for number, share in enumerate(_TO_Y)]
        y = of_channels[0] + of_channels[1] + of_channels[2]
        return y, _compression()[steps_of(y)]
    return linear[levels], _compressed(levels.dtype.name)[levels]


def steps_of(linear: Float) -> npt.NDArray[np.uint16]:
    """Return indices into the tables for linear light, clipped to 0..1."""
    root = np.clip(linear, 0, 1)
    np.sqrt(root, out=root)
    root *= _STEPS
    root += np.float32(0.5)
    return root.astype(np.uint16)


@cache
def linear_light(kind: str) -> Float:
    """Return linear light, 0..1, of every sRGB level of uint8 or uint16."""
    level = np.arange(np.iinfo(kind).max + 1) / np.iinfo(kind).max
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4).astype(np.float32)


@cache
def gamma_of(kind: str) -> Levels:
    """Return the sRGB level of uint8 or uint16 at every step of the tables."""
    linear = (np.arange(_STEPS + 1) / _STEPS) ** 2
    level = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(level * np.iinfo(kind).max), kind)


def encoded(linear: Float, kind: str) -> Levels:
    """Convert linear light, clipped to 0..1, to sRGB levels of uint8 or uint16."""
    return np.asarray(gamma_of(kind)[steps_of(linear)])


@cache
def _compression() -> Float:
    """Return f(Y) at every step of the tables."""
    y = (np.arange(_STEPS + 1) / _STEPS) ** 2
    return np.where(y > KNEE**3, np.cbrt(y), y / (3 * KNEE**2) + 4 / 29).astype(np.float32)


@cache
def _compressed(kind: str) -> Float:
    """Return f(Y) of every gray level of uint8 or uint16."""
    return np.asarray(_compression()[steps_of(linear_light(kind))])

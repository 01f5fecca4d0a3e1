"""Colours under a photograph's own lightness, at its full size and depth, in strips.

With Y the luminance and f CIE Lab's compression of it (L* = 116 f(Y) - 16), a colour is f(X) = f(Y) + a*/500 and
f(Z) = f(Y) - b*/200; sRGB, D65.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.lab import UInt8

Float = npt.NDArray[np.float32]
Levels = npt.NDArray[Any]  # uint8 or uint16
Chroma = Callable[[int, Float], list[Float]]

PIXELS_PER_STRIP = 2**16
_STEPS = 2**16 - 1  # tables of linear light are spaced evenly in its root: as fine in the shadows as eyes are
_TO_Y = np.array([0.2126729, 0.7151522, 0.0721750])
_FROM_XYZ = np.array([
    [3.2404542, -1.5371385, -0.4985314],
    [-0.9692660, 1.8760108, 0.0415560],
    [0.0556434, -0.2040259, 1.0572252],
])  # fmt: skip
_WHITE_X, _WHITE_Z = 0.95047, 1.08883
_KNEE = 6 / 29
_TINY = np.float32(1e-12)


def recolour(levels: Levels, chroma: Chroma, threads: int = 2) -> Levels:
    """Put colours on a photograph; its lightness stays.

    What lies outside sRGB goes toward the gray of its own luminance, in linear light, until it is inside.

    Args:
        levels: (H, W) gray or (H, W, 3) sRGB, uint8 or uint16; of colours, the lightness counts.
        chroma: of the first row and L* (k, W) of some rows, their [a*, b*], each (k, W); called by several threads.
        threads: strips under way at once.

    Returns:
        SRGB (H, W, 3) of the same type.
    """
    height, width = levels.shape[:2]
    out: Levels = np.empty((height, width, 3), levels.dtype)
    gamma = _gamma(levels.dtype.name)

    def strip(start: int, stop: int) -> None:
        luminance, f = _luminance(levels[start:stop])
        a, b = chroma(start, 116 * f - 16)
        x = _expanded(f + a * np.float32(1 / 500), _WHITE_X)
        z = _expanded(f - b * np.float32(1 / 200), _WHITE_Z)
        rgb = np.empty((3, *f.shape), np.float32)
        for channel, (of_x, of_y, of_z) in zip(rgb, _FROM_XYZ.astype(np.float32), strict=True):
            np.multiply(x, of_x, out=channel)
            channel += of_y * luminance
            channel += of_z * z
        _bring_inside(rgb, luminance)
        cv2.merge([gamma[_steps(channel)] for channel in rgb], dst=out[start:stop])

    in_strips(strip, (height, width), threads)
    return out


def lightness(levels: Levels, threads: int = 2) -> UInt8:
    """L (H, W) uint8, 8-bit units, of a photograph (H, W) or (H, W, 3), uint8 or uint16."""
    if levels.dtype == np.uint8 and levels.ndim == 2:
        found: UInt8 = _eight_bit_lightness(_luminance(np.arange(256, dtype=np.uint8))[1])[levels]
        return found
    out = np.empty(levels.shape[:2], np.uint8)

    def strip(start: int, stop: int) -> None:
        out[start:stop] = _eight_bit_lightness(_luminance(levels[start:stop])[1])

    in_strips(strip, levels.shape, threads)
    return out


def lightness_of(levels: Levels) -> Float:
    """L* (k, W), 0..100, of some rows of a photograph."""
    return 116 * _luminance(levels)[1] - 16


def in_strips(strip: Callable[[int, int], None], shape: Sequence[int], threads: int) -> None:
    """Call ``strip(first row, last row + 1)`` for all rows of (H, W, ...), some `PIXELS_PER_STRIP` pixels at a time."""
    height, width = shape[:2]
    rows = max(1, PIXELS_PER_STRIP // width)
    with ThreadPoolExecutor(max(1, min(threads, os.cpu_count() or 1))) as pool:
        for done in [pool.submit(strip, start, min(start + rows, height)) for start in range(0, height, rows)]:
            done.result()


def _luminance(levels: Levels) -> tuple[Float, Float]:
    """Y in 0..1 and f(Y), both of the levels' height and width."""
    linear = linear_light(levels.dtype.name)
    if levels.ndim == 3:
        of_channels = [linear[levels[..., number]] * np.float32(share) for number, share in enumerate(_TO_Y)]
        y = of_channels[0] + of_channels[1] + of_channels[2]
    else:
        y = linear[levels]
    return y, _compression()[_steps(y)]


def _expanded(f: Float, white: float) -> Float:
    """X or Z in 0..: the inverse of f, times the white."""
    knee = f < _KNEE
    cube = f * f
    cube *= f
    if knee.any():
        np.copyto(cube, np.float32(3 * _KNEE**2) * (f - np.float32(4 / 29)), where=knee)
    cube *= np.float32(white)
    return cube


def _bring_inside(rgb: Float, luminance: Float) -> None:
    """Move linear RGB (3, ...) that is not in 0..1 toward gray; its luminance stays."""
    low, high = (find(find(rgb[0], rgb[1]), rgb[2]) for find in (np.minimum, np.maximum))
    if low.min() >= 0 and high.max() <= 1:
        return
    gray = np.clip(luminance, 0, 1)
    high -= gray
    low = gray - low
    # Both distances are 0 or more, because the gray lies between the channels; the tiny ones stand for 0.
    room = np.minimum((1 - gray) / np.maximum(high, _TINY), gray / np.maximum(low, _TINY))
    np.minimum(room, 1, out=room)
    for channel in rgb:
        channel -= gray
        channel *= room
        channel += gray


def _steps(linear: Float) -> npt.NDArray[np.uint16]:
    """Places in the tables of linear light, which is clipped to 0..1."""
    root = np.clip(linear, 0, 1)
    np.sqrt(root, out=root)
    root *= _STEPS
    root += np.float32(0.5)
    return root.astype(np.uint16)


@cache
def linear_light(kind: str) -> Float:
    """Linear light, 0..1, of every sRGB level of uint8 or uint16."""
    level = np.arange(np.iinfo(kind).max + 1) / np.iinfo(kind).max
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4).astype(np.float32)


@cache
def _gamma(kind: str) -> Levels:
    """The sRGB level of uint8 or uint16 at every step."""
    linear = (np.arange(_STEPS + 1) / _STEPS) ** 2
    level = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    found: Levels = np.rint(level * np.iinfo(kind).max).astype(kind)
    return found


def encoded(linear: Float, kind: str) -> Levels:
    """SRGB levels of uint8 or uint16 of linear light, which is clipped to 0..1."""
    found: Levels = _gamma(kind)[_steps(linear)]
    return found


@cache
def _compression() -> Float:
    """f(Y) at every step of linear light."""
    y = (np.arange(_STEPS + 1) / _STEPS) ** 2
    return np.where(y > _KNEE**3, np.cbrt(y), y / (3 * _KNEE**2) + 4 / 29).astype(np.float32)


def _eight_bit_lightness(f: Float) -> UInt8:
    levels: Any = np.clip(np.rint(2.55 * (116 * f - 16)), 0, 255)
    found: UInt8 = levels.astype(np.uint8)
    return found

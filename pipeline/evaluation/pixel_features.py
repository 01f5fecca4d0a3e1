"""Features of every pixel of a gray picture: its neighbourhood's gradients, mean, variance and spectrum."""

import cv2
import numpy as np
import numpy.typing as npt
from skimage.feature import daisy

from pipeline.images.lab import UInt8

Floats = npt.NDArray[np.float32]

WINDOW = 21  # pixels, in both directions
BLURS = (0.0, 1.0, 2.0)  # standard deviations of the blurs whose gradients are described, in pixels
RADIUS = 10  # of the descriptors, in pixels


def describe(lightness: UInt8) -> Floats:
    """Return the features of each pixel of L (H, W), at least `WINDOW` in both directions: (H * W, d) float32.

    They are DAISY descriptors of three blurs, then mean, variance and DFT magnitudes of the window around the pixel.
    """
    light = np.asarray(lightness / np.float32(255), np.float32)
    blurred = [cv2.GaussianBlur(light, (0, 0), sigma) if sigma else light for sigma in BLURS]
    parts = [*map(_gradients, blurred), _moments(light), _spectrum(light)]
    return np.concatenate([part.reshape(light.size, -1) for part in parts], axis=1)


def _gradients(light: npt.NDArray[np.generic]) -> Floats:
    padded = np.pad(light, RADIUS, mode="reflect")
    return np.asarray(daisy(padded, 1, RADIUS, rings=2, histograms=6, orientations=8), np.float32)


def _moments(light: Floats) -> Floats:
    mean, square = (cv2.blur(each, (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT_101) for each in (light, light**2))
    return np.stack([mean, np.maximum(square - mean**2, 0)], axis=-1)


def _spectrum(light: Floats) -> Floats:
    """Return the magnitudes of the window's DFT, (H, W, 441)."""
    from scipy.fft import rfft2

    padded = np.pad(light, WINDOW // 2, mode="reflect")
    half = np.abs(rfft2(np.lib.stride_tricks.sliding_window_view(padded, (WINDOW, WINDOW))))
    whole = np.concatenate([half, half[..., 1:]], axis=-1)  # a real window's spectrum is symmetric
    return np.asarray(whole.reshape(*light.shape, -1), np.float32)

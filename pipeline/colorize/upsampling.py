"""Upsample colours to a photograph's size along its own lightness, any rows at a time."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]

# Measured by benchmarks/upsampling.py.
SIGMA = 0.7  # of the window in which slopes are fitted, in pixels of the small picture
STEADINESS = 100.0  # added to the variance of L* in that window; lower variances give small slopes
_COLUMNS = 64  # that are upsampled at once


class Upsampling:
    """Locally linear upsampling, similar to a guided filter: value = base + slope x (L - small L).

    Base and small L are bicubic interpolations of the colours and the small picture's L*, slope is a linear one. So the
    colours of the small picture are kept and gain edges where they correlate with lightness. With slope 0 this is
    bicubic interpolation.

    He, Sun and Tang, "Guided image filtering" (2013); fitted at the small size as in He and Sun, "Fast guided filter"
    (2015), but the residuals of the fit are kept instead of smoothed.
    """

    def __init__(
        self,
        values: Float,
        guide: Float,
        shape: tuple[int, int],
        extent: tuple[float, float] | None = None,
        steadiness: float = STEADINESS,
        sigma: float = SIGMA,
    ) -> None:
        """Fit.

        Args:
            values: (h, w, c) float32, the small colours.
            guide: (h, w) float32, their lightness.
            shape: height and width of the photograph.
            extent: number of rows and columns of `values` that the photograph covers; all by default.
            steadiness: in squared units of `guide`.
            sigma: see `SIGMA`.
        """
        height, width, _ = values.shape
        rows, columns = extent or (float(height), float(width))
        slopes = _slopes(values, guide, sigma, steadiness)
        smooth = np.concatenate([values, guide[..., None]], axis=-1).astype(np.float32)
        # Columns are upsampled here, rows on demand.
        self._smooth = _across(smooth, _Weights(shape[1], width, columns, cubic=True), shape[1])
        self._slopes = _across(slopes, _Weights(shape[1], width, columns, cubic=False), shape[1])
        self._cubic = _Weights(shape[0], height, rows, cubic=True)
        self._linear = _Weights(shape[0], height, rows, cubic=False)

    def rows(self, start: int, lightness: Float) -> list[Float]:
        """Return the rows from `start` on, (k, width) float32 for each channel, for their `lightness` (k, width)."""
        stop = start + len(lightness)
        *bases, small = self._cubic.applied(self._smooth, start, stop)
        slopes = self._linear.applied(self._slopes, start, stop)
        detail = lightness - small
        return [base + slope * detail for base, slope in zip(bases, slopes, strict=True)]


class _Weights:
    """The weights of the small pixels for each pixel along a side; the border is repeated."""

    def __init__(self, size: int, small: int, extent: float, *, cubic: bool) -> None:
        place = (np.arange(size) + 0.5) * (extent / size) - 0.5
        taps = np.floor(place).astype(int)[:, None] + (np.arange(-1, 3) if cubic else np.arange(2))
        distance = np.abs(place[:, None] - taps)
        self._shares = (_keys(distance) if cubic else 1 - distance).astype(np.float32)
        self._taps = np.clip(taps, 0, small - 1)

    def applied(self, planes: Float, start: int, stop: int) -> Float:
        """Upsample planes (c, small, n) to the pixels from `start` to `stop`, (c, stop - start, n)."""
        shares, taps = self._shares[start:stop], self._taps[start:stop]
        first, last = taps[0, 0], taps[-1, -1] + 1
        matrix = np.zeros((stop - start, last - first), np.float32)
        np.add.at(matrix, (np.arange(stop - start)[:, None], taps - first), shares)
        # BLAS would round each row differently with other rows beside it.
        return np.asarray(np.einsum("rk,ckn->crn", matrix, planes[:, first:last]))


def _across(planes: Float, weights: _Weights, width: int) -> Float:
    """Upsample planes (h, w, c) to (c, h, width)."""
    turned = np.ascontiguousarray(planes.transpose(2, 1, 0))
    # A few columns need few of the small ones; all columns at once would be multiplied by zeros mostly.
    starts = range(0, width, _COLUMNS)
    parts = [weights.applied(turned, start, min(start + _COLUMNS, width)) for start in starts]
    return np.ascontiguousarray(np.concatenate(parts, axis=1).swapaxes(1, 2))


def _slopes(values: Float, guide: Float, sigma: float, steadiness: float) -> Float:
    """Regress each channel on the guide, in a Gaussian window around each pixel."""
    side = 2 * int(4 * sigma + 0.5) + 1

    def mean(planes: Float) -> Float:
        return np.asarray(cv2.GaussianBlur(planes, (side, side), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)

    centre = mean(guide)
    variance = np.maximum(mean(guide * guide) - centre * centre, 0) + steadiness
    covariances = [mean(plane * guide) - mean(plane) * centre for plane in np.moveaxis(values, -1, 0)]
    return np.asarray(np.stack([covariance / variance for covariance in covariances], axis=-1), np.float32)


def _keys(distance: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return Keys' cubic kernel with a = -1/2 at distances 0..2."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.asarray(np.where(distance <= 1, near, far))

"""Upsample colours to a photograph's size along its own lightness, any rows at a time."""

from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]

# Measured by benchmarks/upsampling.py.
SIGMA = 0.7  # of the window in which slopes are fitted, in pixels of the small picture
STEADINESS = 100.0  # added to the variance of L* in that window; lower variances give small slopes


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
        self._smooth = _across(smooth, _weights(shape[1], width, columns, cubic=True))
        self._slopes = _across(slopes, _weights(shape[1], width, columns, cubic=False))
        self._cubic = _weights(shape[0], height, rows, cubic=True)
        self._linear = _weights(shape[0], height, rows, cubic=False)

    def rows(self, start: int, lightness: Float) -> list[Float]:
        """Return the rows from `start` on, (k, width) float32 for each channel, for their `lightness` (k, width)."""
        these = slice(start, start + len(lightness))
        cubic, linear = self._cubic[these], self._linear[these]
        *bases, small = (cubic @ plane for plane in self._smooth)
        slopes = (linear @ plane for plane in self._slopes)
        detail = lightness - small
        return [base + slope * detail for base, slope in zip(bases, slopes, strict=True)]


def _across(planes: Float, weights: Any) -> Float:
    """Upsample planes (h, w, c) to (c, h, W)."""
    return np.stack([np.ascontiguousarray((weights @ plane.T).T) for plane in np.moveaxis(planes, -1, 0)])


def _slopes(values: Float, guide: Float, sigma: float, steadiness: float) -> Float:
    """Regress each channel on the guide, in a Gaussian window around each pixel."""
    from scipy.ndimage import gaussian_filter

    def mean(plane: Float) -> Float:
        smooth: Float = gaussian_filter(plane, sigma, mode="nearest")
        return smooth

    centre = mean(guide)
    variance = np.maximum(mean(guide * guide) - centre * centre, 0) + steadiness
    covariances = [mean(plane * guide) - mean(plane) * centre for plane in np.moveaxis(values, -1, 0)]
    return np.asarray(np.stack([covariance / variance for covariance in covariances], axis=-1), np.float32)


def _weights(size: int, small: int, extent: float, *, cubic: bool) -> Any:
    """Return the weights of the small pixels for each pixel, sparse (size, small); the border is repeated."""
    from scipy.sparse import csr_array

    place = (np.arange(size) + 0.5) * (extent / size) - 0.5
    below = np.floor(place).astype(int)
    taps = below[:, None] + (np.arange(-1, 3) if cubic else np.arange(2))
    distance = np.abs(place[:, None] - taps)
    shares = (_keys(distance) if cubic else 1 - distance).astype(np.float32)
    columns = np.clip(taps, 0, small - 1)
    rows = np.arange(0, taps.size + 1, taps.shape[1])
    return csr_array((shares.ravel(), columns.ravel(), rows), shape=(size, small))


def _keys(distance: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return Keys' cubic kernel with a = -1/2 at distances 0..2."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.asarray(np.where(distance <= 1, near, far))

"""Small colours brought up to a photograph's size along the photograph's own lightness, any rows at a time."""

from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]

# Measured by benchmarks/upsampling.py.
SIGMA = 0.7  # of the window that slopes are fitted in, in pixels of the small picture
STEADINESS = 100.0  # added to the variance of L* in that window: what varies less than its root has little slope


class Upsampling:
    """Linear in lightness around every place, as in a guided filter: value = base + slope x (L - small L).

    Base, slope and small L are smooth: the colours' and the small picture's own, by bicubic interpolation (slopes by
    linear). So a colour keeps what the small picture says of it, and gains edges where it goes along with lightness.
    With a slope of zero this is bicubic interpolation.

    He, Sun and Tang, "Guided image filtering" (2013); fitted at the small size as in He and Sun, "Fast guided filter"
    (2015), but with the difference to the fit kept instead of smoothed away.
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
            guide: (h, w) float32, the lightness that belongs to them.
            shape: height and width to bring them up to.
            extent: how many rows and columns of `values` the photograph covers, if it is not all of them.
            steadiness: in squared units of `guide`.
            sigma: see `SIGMA`.
        """
        height, width, _ = values.shape
        rows, columns = extent or (float(height), float(width))
        slopes = _slopes(values, guide, sigma, steadiness)
        smooth = np.concatenate([values, guide[..., None]], axis=-1).astype(np.float32)
        # The columns are done at once, the rows when they are asked for.
        self._smooth = _across(smooth, _weights(shape[1], width, columns, cubic=True))
        self._slopes = _across(slopes, _weights(shape[1], width, columns, cubic=False))
        self._cubic = _weights(shape[0], height, rows, cubic=True)
        self._linear = _weights(shape[0], height, rows, cubic=False)

    def rows(self, start: int, lightness: Float) -> list[Float]:
        """The values of the rows from `start` on, a (k, width) float32 for each channel; `lightness` is theirs."""
        these = slice(start, start + len(lightness))
        cubic, linear = self._cubic[these], self._linear[these]
        *bases, small = (cubic @ plane for plane in self._smooth)
        slopes = (linear @ plane for plane in self._slopes)
        detail = lightness - small
        return [base + slope * detail for base, slope in zip(bases, slopes, strict=True)]


def _across(planes: Float, weights: Any) -> Float:
    """(c, h, W) of planes (h, w, c)."""
    return np.stack([np.ascontiguousarray((weights @ plane.T).T) for plane in np.moveaxis(planes, -1, 0)])


def _slopes(values: Float, guide: Float, sigma: float, steadiness: float) -> Float:
    """Regression of each channel on the guide, in a Gaussian window around each pixel."""
    from scipy.ndimage import gaussian_filter

    def mean(plane: Float) -> Float:
        smooth: Float = gaussian_filter(plane, sigma, mode="nearest")
        return smooth

    centre = mean(guide)
    variance = np.maximum(mean(guide * guide) - centre * centre, 0) + steadiness
    covariances = [mean(plane * guide) - mean(plane) * centre for plane in np.moveaxis(values, -1, 0)]
    return np.asarray(np.stack([covariance / variance for covariance in covariances], axis=-1), np.float32)


def _weights(size: int, small: int, extent: float, *, cubic: bool) -> Any:
    """Sparse (size, small): what each pixel takes of the small ones; beyond the border, the last one goes on."""
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
    """Keys' cubic kernel with a = -1/2, of distances 0..2."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.asarray(np.where(distance <= 1, near, far))

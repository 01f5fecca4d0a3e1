"""Confidence intervals of metrics over images: the jackknife over groups of images.

The images of a group (one archive, one scene) resemble each other, so groups are left out, not images. Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 11. docs/metrics.md says how often the intervals contain
the true value.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.core.text import counted
from pipeline.evaluation.metrics import Values

LEVEL = 0.965  # of the quantiles, with which the 95 % intervals contain the true value in 95 % of real samples
FEWEST_GROUPS = 10  # with fewer, an interval is not reliable


class Jackknife:
    """The groups of one set of images.

    The order of images changes results only by rounding.

    Attributes:
        reason: why there is no interval, such as "3 groups, fewer than 10"; otherwise empty.
    """

    def __init__(self, groups: Sequence[str]) -> None:
        names, self._group = np.unique(np.asarray(groups, np.str_), return_inverse=True)
        self._sizes = np.bincount(self._group, minlength=len(names)).astype(np.float64)
        self.reason = ""
        if len(names) < FEWEST_GROUPS:
            self.reason = f"{counted(len(names), 'group')}, fewer than {FEWEST_GROUPS}"

    def means(self, columns: Mapping[str, Values]) -> dict[str, Values]:
        """The mean of each column over all images, and over all images but those of one group.

        Args:
            columns: (n,) float64 by name, a value per image in the order of `groups`.

        Returns:
            (1 + groups,) float64 by name, or (1,) if there is a `reason`: the exact mean over all images, then the
            means without each group. A column with NaN or infinity has NaN in all of these.
        """
        n, groups = len(self._group), len(self._sizes)
        result = {}
        for name, column in columns.items():
            values = np.asarray(column, np.float64)
            if values.shape != (n,):
                raise ValueError(f"expected {name} of shape ({n},), a value per image, received {values.shape}")
            result[name] = np.full(1 if self.reason else 1 + groups, _mean(values))
            if not math.isfinite(result[name][0]):
                result[name][1:] = np.nan
            elif not self.reason:
                sums = np.bincount(self._group, values, groups)
                means = (math.fsum(sums) - sums) / (n - self._sizes)
                result[name][1:] = np.clip(means, values.min(), values.max())
        return result


def interval(
    values: npt.ArrayLike, lowest: float = -math.inf, highest: float = math.inf
) -> tuple[float, float | None, float | None]:
    """The value, and the ends of its 95 % interval, within `lowest` and `highest`.

    The interval covers two: Student's t interval with the jackknife's standard error, and the same corrected for
    skewness (Hall, "On the removal of skewness by transformation", Journal of the Royal Statistical Society B 54(1),
    1992). Errors of images are skewed, and differences of errors may be skewed to either side, where the correction
    alone is too narrow on the other. The degrees of freedom are half of the groups less one, and the quantiles are
    those of `LEVEL`, because errors have long tails and groups have different sizes.

    Args:
        values: (1 + groups,) float64 from `Jackknife.means`, or computed from such arrays (a difference, a ratio).
        lowest: of the values that are possible.
        highest: of these.

    Returns:
        value, low, high; low and high are None if there are no groups to leave out or any value is not finite.
    """
    from scipy.special import stdtrit

    every = np.asarray(values, np.float64)
    value, groups = float(every[0]), len(every) - 1
    if not groups or not np.isfinite(every).all():
        return value, None, None
    deviations = value - every[1:]
    squares = float(np.sum(deviations**2))
    if not squares:
        return value, value, value
    error = math.sqrt((groups - 1) / groups * squares)
    skewness = float(np.sum(deviations**3)) / squares**1.5  # of the value
    quantile = float(stdtrit((groups - 1) / 2, (1 + LEVEL) / 2))
    below, above = (max(quantile, end) for end in (_unskewed(quantile, skewness), -_unskewed(-quantile, skewness)))
    return value, max(value - below * error, min(lowest, value)), min(value + above * error, max(highest, value))


def _unskewed(t: float, skewness: float) -> float:
    """The quantile of a skewed statistic for the quantile `t` of Student's: Hall's cubic transformation, inverted."""
    if abs(skewness) < 1e-6:
        return t
    return 3 / skewness * (math.cbrt(1 + skewness * (t - skewness / 6)) - 1)


def verdict(low: float | None, high: float | None, better: Literal["higher", "lower"]) -> str:
    """Judge a difference, own minus other, by its interval, whose ends are None or NaN if there is none.

    Returns:
        "better", "worse", "no clear difference" (the interval contains zero) or "no interval".
    """
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return "no interval"
    if low <= 0 <= high:
        return "no clear difference"
    return "better" if (low > 0) == (better == "higher") else "worse"


def _mean(values: Values) -> float:
    """The mean of (n,) values, whatever their order; numpy's if the values or their sum are not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if len(values) == 0:
            return math.nan
        if not np.isfinite(np.abs(values).sum()):
            return float(values.mean())
    # Rounding must not move the mean outside the range of the values, or equal values would get an interval.
    return float(np.clip(math.fsum(values) / len(values), values.min(), values.max()))

"""Confidence intervals of means over images: the bootstrap over groups of images.

The images of a group (one archive, one scene) resemble each other, so groups are drawn, not images. Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13; for groups, Davison and Hinkley, "Bootstrap
Methods and their Application", 1997, section 3.8.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.metrics import Values

DRAWS = 1000  # resamples
LEVEL = 0.95  # share of the resamples within an interval
FEWEST_GROUPS = 10  # with fewer, resamples are too alike for an interval to be reliable
BLOCK = 2**18  # groups drawn at a time: limits memory to about 10 MB


class Bootstrap:
    """The resamples of one set of images.

    Each of the `draws` resamples draws as many groups as the set has, with replacement; its mean is the mean of all
    images in these groups. The same groups and seed give the same resamples, so the difference between two answers'
    means, resample by resample, is a paired difference. The order of images changes results only by rounding.

    Attributes:
        reason: why there are no resamples, such as "3 groups, fewer than 10"; otherwise empty.
    """

    def __init__(self, groups: Sequence[str], seed: int = 0, draws: int = DRAWS) -> None:
        names, self._group = np.unique(np.asarray(groups, np.str_), return_inverse=True)
        self._sizes = np.bincount(self._group, minlength=len(names)).astype(np.float64)
        self._seed = seed
        self._draws = draws
        self.reason = ""
        if len(names) < FEWEST_GROUPS:
            self.reason = f"{len(names)} {'group' if len(names) == 1 else 'groups'}, fewer than {FEWEST_GROUPS}"

    def means(self, columns: Mapping[str, Values]) -> dict[str, Values]:
        """The mean of each column over all images and over each resample.

        Args:
            columns: (n,) float64 by name, a value per image in the order of `groups`.

        Returns:
            (1 + draws,) float64 by name, or (1,) if there is a `reason`: the exact mean over all images, then the means
            over the resamples. A column with NaN or infinity has NaN in all resamples.
        """
        n, groups = len(self._group), len(self._sizes)
        result, sums, bounds = {}, {}, {}
        for name, column in columns.items():
            values = np.asarray(column, np.float64)
            if values.shape != (n,):
                raise ValueError(f"expected {name} of shape ({n},), a value per image, received {values.shape}")
            mean = _mean(values)
            result[name] = np.full(1 if self.reason else 1 + self._draws, mean)
            if math.isfinite(mean):
                sums[name] = np.bincount(self._group, values, groups)
                bounds[name] = values.min(), values.max()
            else:
                result[name][1:] = np.nan
        for first, counts in () if self.reason else self._counts():
            images = counts @ self._sizes
            for name, of_groups in sums.items():
                # One column at a time: a single matrix product may round equal columns differently.
                with np.errstate(over="ignore", invalid="ignore"):
                    means = counts @ of_groups / images
                result[name][1 + first : 1 + first + len(counts)] = np.clip(means, *bounds[name])
        return result

    def _counts(self) -> Iterator[tuple[int, Values]]:
        """Yield how often each resample draws each group: the first of k resamples, and (k, groups) float64."""
        rng = np.random.default_rng(self._seed)
        groups = len(self._sizes)
        step = max(1, BLOCK // groups)
        for first in range(0, self._draws, step):
            k = min(step, self._draws - first)
            drawn = rng.integers(groups, size=(k, groups)) + groups * np.arange(k)[:, None]
            yield first, np.bincount(drawn.ravel(), minlength=k * groups).reshape(k, groups).astype(np.float64)


def interval(values: npt.ArrayLike) -> tuple[float, float | None, float | None]:
    """The value, and the ends of its percentile interval, which contains `LEVEL` of the resamples.

    Args:
        values: (1 + draws,) float64 from `Bootstrap.means`, or computed from such arrays (a difference, a ratio).

    Returns:
        value, low, high; low and high are None if there are no resamples or any value is not finite.
    """
    every = np.asarray(values, np.float64)
    value = float(every[0])
    if len(every) == 1 or not np.isfinite(every).all():
        return value, None, None
    low, high = np.quantile(every[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return value, float(low), float(high)


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

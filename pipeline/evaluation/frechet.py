"""The Fréchet distance between sets of pictures, by the features that a network computes of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.embedding import registry

_METRIC = "frechet_"  # and the network's name: distances in features of different networks do not compare

Values = npt.NDArray[np.float64]


def metric(network: str) -> str:
    """What the distance is called that the features of an embedding network give."""
    return f"{_METRIC}{network}"


def network(metric: str) -> str:
    """The embedding network whose features a distance is of."""
    return metric.removeprefix(_METRIC)


def is_distance(metric: str) -> bool:
    """Whether a metric is a Fréchet distance."""
    return metric.startswith(_METRIC)


@dataclass
class Moments:
    """Number, mean and scatter of vectors, gathered batch by batch in float64: memory does not grow with their number.

    In whatever batches, and in whatever order they are added, the moments are the same but for rounding. Chan, Golub
    and LeVeque, "Algorithms for computing the sample variance", The American Statistician 37(3), 1983, equation 2.1,
    for vectors. The scatter is the sum of the outer products of the vectors' deviations from their mean.

    Attributes:
        mean: (d,) float64.
        scatter: (d, d) float64.
        n: number of vectors.
    """

    mean: Values
    scatter: Values
    n: int = 0

    @classmethod
    def none(cls, size: int) -> "Moments":
        """Of no vectors yet, with `size` numbers each."""
        return cls(np.zeros(size), np.zeros((size, size)))

    def add(self, features: npt.NDArray[np.floating]) -> None:
        """Take in vectors (k, d); one that is not finite makes the moments NaN, and all distances from them."""
        if features.ndim != 2 or features.shape[1:] != self.mean.shape:
            raise ValueError(f"expected features of shape (k, {len(self.mean)}), received {features.shape}")
        if len(features):
            values = np.asarray(features, np.float64)
            mean = values.mean(axis=0)
            self._merge(values - mean, mean, len(values))

    def __add__(self, other: "Moments") -> "Moments":
        if other.mean.shape != self.mean.shape:
            raise ValueError(f"expected moments of {len(self.mean)} numbers, received {len(other.mean)}")
        total = Moments(self.mean.copy(), self.scatter + other.scatter, self.n)
        if other.n:
            total._merge(np.empty((0, len(self.mean))), other.mean, other.n)
        return total

    def _merge(self, deviations: Values, mean: Values, n: int) -> None:
        """Take in n vectors by their deviations from their mean; what lies between the means counts as one more."""
        between = mean - self.mean
        rows = np.vstack([deviations, np.sqrt(self.n * n / (self.n + n)) * between])
        self.scatter += rows.T @ rows
        self.mean = self.mean + between * (n / (self.n + n))
        self.n += n

    @property
    def covariance(self) -> Values:
        """The sample covariance, divided by n - 1: (d, d) float64; NaN for fewer than two vectors."""
        return self.scatter / (self.n - 1) if self.n > 1 else np.full_like(self.scatter, np.nan)


def distance(one: Moments, other: Moments) -> float:
    """The Fréchet distance, 0 or more, of two normal distributions that have these means and covariances.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), with the sample covariance (n - 1), as its authors' code has it. Dowson
    and Landau, "The Fréchet distance between multivariate normal distributions", Journal of Multivariate Analysis
    12(3), 1982; for features of pictures, Heusel et al., "GANs trained by a two time-scale update rule converge to a
    local Nash equilibrium", NeurIPS 2017, who take another network's (Inception-v3), so that their numbers, known as
    FID, are not to be compared with these.

    It is biased: drawn from the same distribution, fewer pictures lie farther apart, by an amount that depends on the
    distribution (Chong and Forsyth, "Effectively unbiased FID and Inception Score and where to find them", CVPR 2020).
    With no more pictures than features, the covariance is singular besides, and most of the distance may be
    bias. So only distances at equal n may be compared, and a distance is never told without its n.

    With S1 = A A', the trace of the root is the sum of the roots of the eigenvalues of A' S2 A, which is symmetric; A
    comes from the eigen-decomposition of S1, without the eigenvalues that rounding makes of zeros. So nothing becomes
    complex, and singular covariances, of which the root of S1 S2 may fail, are as good as others.

    Returns:
        The distance; NaN if either holds fewer than two vectors or one that is not finite.
    """
    return distances(one, {"": other})[""]


def distances(one: Moments, others: Mapping[str, Moments]) -> dict[str, float]:
    """`distance` of one from each of others, which takes less time than one by one."""
    found = dict.fromkeys(others, float("nan"))
    if one.n > 1 and np.isfinite(one.mean).all():
        covariance = one.covariance
        values, vectors = np.linalg.eigh(covariance)
        kept = values > max(values[-1], 0.0) * len(values) * np.finfo(np.float64).eps
        factor = vectors[:, kept] * np.sqrt(values[kept])
        for name, other in others.items():
            if other.n > 1 and np.isfinite(other.mean).all():
                second = other.covariance
                roots = np.sqrt(np.maximum(np.linalg.eigvalsh(factor.T @ second @ factor), 0))
                spread = np.trace(covariance) + np.trace(second) - 2 * roots.sum()
                found[name] = max(0.0, float(np.square(one.mean - other.mean).sum() + spread))
    return found


def remark(n: int, metric: str) -> str:
    """Why a distance of n pictures has no interval, and what it may be compared with, in words."""
    features = registry.get(network(metric)).features
    bias = f"; n is not above the {features} features: much of it may be bias" if n <= features else ""
    return f"a distance between sets of pictures, comparable at n = {n} alone{bias}"


def read(rows: Iterable[Mapping[str, str]]) -> dict[str, dict[str, float]]:
    """The distances among rows with `pipeline.evaluation.scores.COLUMNS`: by partition, then answer."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if is_distance(row["metric"]):
            found.setdefault(row["partition"], {})[row["answer"]] = float(row["value"])
    return found


def put(
    over: Mapping[str, Mapping[str, dict[str, Values]]], distances: Mapping[str, Mapping[str, float]], metric: str
) -> None:
    """Add distances to the metrics of `scores.summed`, without resamples: by partition, answer and metric."""
    for partition, answers in distances.items():
        for answer, value in answers.items():
            over[partition][answer][metric] = np.array([value])

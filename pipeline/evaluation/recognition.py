"""What a network that knows ImageNet's photographs makes of coloured pictures: how their features are distributed, and
whether it recognises in them what it recognises in the true ones.

Only with the official ImageNet weights: a network of random weights recognises nothing, and the numbers of others
compare with nobody's. This module never imports Keras; `load_network` does, where there is a network to load.
"""

import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config import schema
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.dataset.splits import PARTITIONS
from pipeline.embedding import recipe
from pipeline.images import lab

FRECHET = "frechet_inception_resnet_v2"
TOP1, TOP5 = "recognised_top1", "recognised_top5"
FEATURES = 1536  # of Inception-ResNet-v2, after its global average pooling
UNSEEN = -1  # the class of a true image that was not measured

Values = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int16]
Network = Callable[[lab.UInt8], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]


def load_network(embedding: schema.Embedding) -> Network | None:
    """Load the network that the settings name; None, and no Keras, without ImageNet weights.

    Raises:
        InputError: the weights cannot be had or do not fit.
    """
    if recipe.recognition(embedding) is None:
        return None
    from pipeline.embedding import inception

    return inception.load_features(embedding)


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
    def none(cls, size: int = FEATURES) -> "Moments":
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


def frechet_distance(one: Moments, other: Moments) -> float:
    """The Fréchet distance, 0 or more, of two normal distributions that have these means and covariances.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), with the sample covariance (n - 1), as its authors' code has it. Dowson
    and Landau, "The Fréchet distance between multivariate normal distributions", Journal of Multivariate Analysis
    12(3), 1982; for features of pictures, Heusel et al., "GANs trained by a two time-scale update rule converge to a
    local Nash equilibrium", NeurIPS 2017, who take another network's (Inception-v3), so that their numbers, known as
    FID, are not to be compared with these.

    It is biased: drawn from the same distribution, fewer pictures lie farther apart, by an amount that depends on the
    distribution (Chong and Forsyth, "Effectively unbiased FID and Inception Score and where to find them", CVPR 2020).
    With no more pictures than features, here 1536, the covariance is singular besides, and most of the distance may be
    bias. So only distances at equal n may be compared, and a distance is never told without its n.

    With S1 = A A', the trace of the root is the sum of the roots of the eigenvalues of A' S2 A, which is symmetric; A
    comes from the eigen-decomposition of S1, without the eigenvalues that rounding makes of zeros. So nothing becomes
    complex, and singular covariances, of which the root of S1 S2 may fail, are as good as others.

    Returns:
        The distance; NaN if either holds fewer than two vectors or one that is not finite.
    """
    return frechet_distances(one, {"": other})[""]


def frechet_distances(one: Moments, others: Mapping[str, Moments]) -> dict[str, float]:
    """`frechet_distance` of one from each of others, which takes less time than one by one."""
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


def frechet_remark(n: int) -> str:
    """Why a distance of n pictures has no interval, and what it may be compared with, in words."""
    bias = f"; n is not above the {FEATURES} features: much of it may be bias" if n <= FEATURES else ""
    return f"a distance between sets of pictures, comparable at n = {n} alone{bias}"


def first_class(logits: npt.NDArray[np.floating]) -> Classes:
    """The class with the largest logit, (k,) int16 of logits (k, classes); of equal ones, the lower number."""
    return np.asarray(np.argmax(logits, axis=1), np.int16)


def agreement(logits: npt.NDArray[np.floating], true_class: npt.NDArray[np.integer]) -> dict[str, Values]:
    """Whether the network recognises in each picture what it recognises in the true one, 1 or 0; higher is better.

    It says what the colours add to recognition only beside the gray picture's number: much is recognised without
    colour. The true picture's first class may itself be wrong; the truth's own numbers are 1 by definition. After
    Zhang, Isola and Efros, "Colorful Image Colorization", ECCV 2016, section 3.1 ("semantic interpretability"), who
    compare with the label that people gave and use VGG.

    Args:
        logits: (k, classes) float of the pictures.
        true_class: (k,) integer, `first_class` of the true pictures' logits.

    Returns:
        (k,) float64 each. `recognised_top1`: the picture's first class is the true one's first; `recognised_top5`: the
        true one's first class is among the picture's first five. Of equal logits, the lower class number comes first.
    """
    first_five = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    found = first_five == np.asarray(true_class)[:, None]
    return {TOP1: found[:, 0].astype(np.float64), TOP5: found.any(axis=1).astype(np.float64)}


@dataclass
class TrueImages:
    """What is kept of the true images, once per dataset and split.

    Attributes:
        classes: (n,) int16, each image's first class, in the order of the store; `UNSEEN` until it is measured.
        moments: of the features, by partition.
    """

    classes: Classes
    moments: dict[str, Moments] = field(default_factory=dict)

    @classmethod
    def none(cls, images: int) -> "TrueImages":
        """Of so many images, none of them measured yet."""
        return cls(np.full(images, UNSEEN, np.int16))


def write(path: Path, true: TrueImages) -> None:
    """Write an .npz file, whole or not at all; of the symmetric scatters, one half."""
    arrays: dict[str, Any] = {"classes": true.classes}
    for partition, moments in sorted(true.moments.items()):
        arrays[f"{partition}_n"] = np.int64(moments.n)
        arrays[f"{partition}_mean"] = moments.mean
        arrays[f"{partition}_scatter"] = moments.scatter[np.tril_indices(len(moments.mean))]
    with files.written_whole(path) as temporary:
        np.savez(temporary, **arrays)


def read(path: Path, images: int) -> TrueImages:
    """Read what `write` wrote of so many images.

    Raises:
        InputError: the file is missing, damaged or of another number of images.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            true = TrueImages(file["classes"])
            for partition in PARTITIONS:
                if f"{partition}_n" in file:
                    mean, half = file[f"{partition}_mean"], file[f"{partition}_scatter"]
                    scatter = np.zeros((len(mean), len(mean)))
                    scatter[np.tril_indices(len(mean))] = half
                    scatter.T[np.tril_indices(len(mean))] = half
                    true.moments[partition] = Moments(mean, scatter, int(file[f"{partition}_n"]))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; run references again") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: expected what references writes, received: {error}; run references again") from None
    if true.classes.shape != (images,):
        raise InputError(
            f"{path}: expected the classes of {images} images, received {true.classes.shape}; run references again"
        )
    return true


class Recognition:
    """The recognition of answers, batch by batch; it holds moments by answer and partition, and no pictures."""

    def __init__(self, network: Network, partitions: Sequence[str], true: TrueImages | None = None) -> None:
        """Prepare.

        Args:
            network: pictures to features and logits, see `load_network`.
            partitions: of every image, in the order of the store.
            true: what is known of the true images; without it, `measure_true` gathers it in the attribute `true`.
        """
        self.true = TrueImages.none(len(partitions)) if true is None else true
        self._network = network
        self._partitions = np.array(partitions)
        self._answers: dict[str, dict[str, Moments]] = {}

    def measure_true(self, start: int, rgb: lab.UInt8) -> None:
        """Take in consecutive true pictures (k, H, W, 3) uint8, the first of which is row `start`."""
        features, logits = self._network(rgb)
        self.true.classes[start : start + len(rgb)] = first_class(logits)
        self._gather(self.true.moments, start, features)

    def measure(self, answer: str, start: int, lightness: lab.UInt8, ab: npt.NDArray[np.generic]) -> dict[str, Values]:
        """Take in an answer's pictures of consecutive images, the true ones of which were measured before.

        An image whose prediction is not finite everywhere has NaN, and so has the answer's distance in its partition.

        Args:
            answer: its name.
            start: row of the first image.
            lightness: (k, H, W) uint8, the true L.
            ab: (k, H, W, 2), 8-bit units, as predicted.

        Returns:
            `agreement` of the images, (k,) float64 each.
        """
        true_class = self.true.classes[start : start + len(ab)]
        if len(true_class) < len(ab) or (true_class == UNSEEN).any():
            raise ValueError(f"expected rows {start} to {start + len(ab)} to be measured by measure_true before")
        finite = np.isfinite(ab).all(axis=(1, 2, 3))
        features, logits = self._network(lab.to_rgb(lightness[finite], ab[finite]))
        self._gather(self._answers.setdefault(answer, {}), start, _spread(features, finite))
        return {name: _spread(values, finite) for name, values in agreement(logits, true_class[finite]).items()}

    def _gather(self, into: dict[str, Moments], start: int, features: npt.NDArray[np.floating]) -> None:
        here = self._partitions[start : start + len(features)]
        for partition in dict.fromkeys(here.tolist()):
            into.setdefault(partition, Moments.none(features.shape[1])).add(features[here == partition])

    def distances(self) -> dict[str, dict[str, float]]:
        """`frechet_distance` of each answer's pictures from the true ones: by partition, then answer."""
        return {
            partition: frechet_distances(
                true, {answer: here[partition] for answer, here in self._answers.items() if partition in here}
            )
            for partition, true in self.true.moments.items()
        }


def read_distances(rows: Iterable[Mapping[str, str]]) -> dict[str, dict[str, float]]:
    """What `Recognition.distances` gave, out of rows with `pipeline.evaluation.scores.COLUMNS`."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["metric"] == FRECHET:
            found.setdefault(row["partition"], {})[row["answer"]] = float(row["value"])
    return found


def put_distances(
    over: Mapping[str, Mapping[str, dict[str, Values]]], distances: Mapping[str, Mapping[str, float]]
) -> None:
    """Add distances to the metrics of `scores.summed`, without resamples: by partition, answer and metric."""
    for partition, answers in distances.items():
        for answer, value in answers.items():
            over[partition][answer][FRECHET] = np.array([value])


def _spread(values: npt.NDArray[np.floating], finite: npt.NDArray[np.bool_]) -> Values:
    """(n, ...) float64 with `values` where `finite` (n,), NaN elsewhere."""
    found = np.full((len(finite), *values.shape[1:]), np.nan)
    found[finite] = values
    return found

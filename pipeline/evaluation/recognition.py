"""What an ImageNet network makes of colourized pictures: the distribution of their features, and whether it recognises
the same class as in the true pictures.

Only with the official ImageNet weights; the numbers of other weights are not comparable. This module imports Keras
only in `load_network`, when there is a network to load.
"""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config import schema
from pipeline.config.partitions import PARTITIONS
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.embedding import recipe
from pipeline.evaluation import frechet
from pipeline.evaluation.frechet import Moments
from pipeline.evaluation.measures import Truth
from pipeline.evaluation.metrics import Values
from pipeline.images import lab

Classes = npt.NDArray[np.int16]
Network = Callable[[lab.UInt8], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]


def load_network(embedding: schema.Embedding) -> Network | None:
    """Load the network that the settings name; None, without importing Keras, if it has no ImageNet weights.

    Raises:
        InputError: the weights are not available or do not fit.
    """
    if recipe.recognition(embedding) is None:
        return None
    from pipeline.embedding import network

    return network.load_features(embedding)


def first_class(logits: npt.NDArray[np.floating]) -> Classes:
    """The class with the largest logit, (k,) int16 of logits (k, classes); the lowest number among equal ones."""
    return np.asarray(np.argmax(logits, axis=1), np.int16)


def agreement(logits: npt.NDArray[np.floating], true_class: npt.NDArray[np.integer]) -> dict[str, Values]:
    """Whether the network recognises the same class in each picture as in the true one, 1 or 0; higher is better.

    Compare with the gray picture's number to see what colours add: much is recognised without colour. The true
    picture's first class may itself be wrong. After Zhang, Isola and Efros, "Colorful Image Colorization", ECCV 2016,
    section 3.1 ("semantic interpretability"), who compare with human labels and use VGG.

    Args:
        logits: (k, classes) float of the pictures.
        true_class: (k,) integer, `first_class` of the true pictures' logits.

    Returns:
        (k,) float64 each: whether the true picture's first class is the picture's first (`recognised_top1`), or among
        its first five (`recognised_top5`). Of equal logits, the lower class number comes first.
    """
    first_five = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    found = first_five == np.asarray(true_class)[:, None]
    return {
        "recognised_top1": found[:, 0].astype(np.float64),
        "recognised_top5": found.any(axis=1).astype(np.float64),
    }


@dataclass
class TrueImages:
    """What recognition needs of the true images, computed once per dataset and split.

    Attributes:
        classes: (n,) int16, each image's first class, in the order of the store; -1 until it is measured.
        moments: of the features, by partition.
    """

    classes: Classes
    moments: dict[str, Moments] = field(default_factory=dict)


def write(path: Path, true: TrueImages) -> None:
    """Write an .npz file atomically, with one half of each symmetric scatter."""
    arrays: dict[str, Any] = {"classes": true.classes}
    for partition, moments in sorted(true.moments.items()):
        arrays[f"{partition}_n"] = np.int64(moments.n)
        arrays[f"{partition}_mean"] = moments.mean
        arrays[f"{partition}_scatter"] = moments.scatter[np.tril_indices(len(moments.mean))]
    with files.written_whole(path) as temporary:
        np.savez(temporary, **arrays)


def read(path: Path, images: int) -> TrueImages:
    """Read the file that `write` wrote for so many images.

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
        if true.classes.shape != (images,):
            raise ValueError(f"classes of shape {true.classes.shape}")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; run baselines again") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: expected classes and moments of {images} images, received: {error}; run baselines again"
        ) from None
    return true


class Recognition:
    """The recognition of answers, batch by batch; it stores moments by answer and partition, and no pictures.

    Attributes:
        true: the classes and moments of the true images.
        metric: the name of the Fréchet distance.
    """

    def __init__(
        self, network: Network, partitions: Sequence[str], metric: str, true: TrueImages | None = None
    ) -> None:
        """Prepare.

        Args:
            network: pictures to features and logits, see `load_network`.
            partitions: of every image, in the order of the store.
            metric: the name of the Fréchet distance.
            true: the classes and moments of the true images; if None, `measure` computes them.
        """
        self.true = TrueImages(np.full(len(partitions), -1, np.int16)) if true is None else true
        self.metric = metric
        self._gathers = true is None
        self._network = network
        self._partitions = np.array(partitions)
        self._answers: dict[str, dict[str, Moments]] = {}

    @classmethod
    def of(
        cls, embedding: schema.Embedding, partitions: Sequence[str], true: TrueImages | None = None
    ) -> "Recognition | None":
        """With the network that the settings name; None if it has no ImageNet weights."""
        network = load_network(embedding)
        return cls(network, partitions, f"{frechet.PREFIX}{embedding.network}", true) if network else None

    def measure(
        self, rows: npt.NDArray[np.intp], truth: Truth, answers: Mapping[str, npt.NDArray[np.generic]]
    ) -> dict[str, dict[str, Values]]:
        """Measure a batch and add it to the moments.

        An image whose prediction is not finite everywhere gets NaN, and so does the answer's distance in its partition.

        Args:
            rows: (k,) of the images in the store.
            truth: the k true images.
            answers: ab (k, H, W, 2) by answer, 8-bit units.

        Returns:
            By answer, `agreement` of the images, (k,) float64 each.
        """
        if self._gathers:
            features, logits = self._network(truth.rgb)
            self.true.classes[rows] = first_class(logits)
            self._gather(self.true.moments, rows, features)
        found = {}
        for answer, ab in answers.items():
            finite = np.isfinite(ab).all(axis=(1, 2, 3))
            features, logits = self._network(lab.to_rgb(truth.lightness[finite], ab[finite]))
            self._gather(self._answers.setdefault(answer, {}), rows, _spread(features, finite))
            agreed = agreement(logits, self.true.classes[rows][finite])
            found[answer] = {name: _spread(values, finite) for name, values in agreed.items()}
        return found

    def _gather(self, into: dict[str, Moments], rows: npt.NDArray[np.intp], features: npt.NDArray[np.floating]) -> None:
        here = self._partitions[rows]
        for partition in dict.fromkeys(here.tolist()):
            into.setdefault(partition, Moments.none(features.shape[1])).add(features[here == partition])

    def distances(self) -> dict[str, dict[str, float]]:
        """`frechet.distance` of each answer's pictures from the true ones: by partition, then answer."""
        return {
            partition: {
                answer: frechet.distance(true, here[partition])
                for answer, here in self._answers.items()
                if partition in here
            }
            for partition, true in self.true.moments.items()
        }


def _spread(values: npt.NDArray[np.floating], finite: npt.NDArray[np.bool_]) -> Values:
    """(n, ...) float64 with `values` where `finite` (n,), NaN elsewhere."""
    found = np.full((len(finite), *values.shape[1:]), np.nan)
    found[finite] = values
    return found

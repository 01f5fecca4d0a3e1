"""Recognition of colourized pictures by an ImageNet network: their features, and whether it sees the true class.

It requires the official ImageNet weights, because numbers by other weights are not comparable. This module does not
import Keras until `load_network` loads a network.
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
from pipeline.evaluation import frechet
from pipeline.evaluation.frechet import Moments
from pipeline.evaluation.measures import TOP1, TOP5, Truth, with_gaps
from pipeline.evaluation.metrics import Values
from pipeline.images import lab

Classes = npt.NDArray[np.int16]
Network = Callable[[lab.UInt8], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]  # to features and logits


def load_network(chosen: schema.Embedding) -> Network:
    """Load the network that measures recognition, see `pipeline.embedding.recipe.recognising`.

    Raises:
        InputError: the weights are missing or do not fit.
    """
    from pipeline.embedding import network

    return network.load_features(chosen)


def first_class(logits: npt.NDArray[np.floating]) -> Classes:
    """The class with the largest logit, (k,) int16, of logits (k, classes); of equal ones, the lowest number."""
    return np.asarray(np.argmax(logits, axis=1), np.int16)


def agreement(logits: npt.NDArray[np.floating], true_class: npt.NDArray[np.integer], network: str) -> dict[str, Values]:
    """Whether the network recognises the same class in each picture as in the true one, 1 or 0.

    Compare with the gray pictures' numbers to see what colours add: much is recognised without colour. The true
    picture's first class may itself be wrong. After Zhang, Isola and Efros, "Colorful Image Colorization", ECCV 2016,
    section 3.1 ("semantic interpretability"), who compare with human labels and use VGG.

    Args:
        logits: (k, classes) float of the pictures.
        true_class: (k,) integer, `first_class` of the true pictures' logits.
        network: its name, in which the metrics' names end.

    Returns:
        (k,) float64 each: whether the true picture's first class is the picture's first (top 1), or among its first
        five (top 5). Of equal logits, the lower class number comes first.
    """
    first_five = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    matches = (first_five == np.asarray(true_class)[:, None]).astype(np.float64)
    return {f"{TOP1}{network}": matches[:, 0], f"{TOP5}{network}": matches.max(axis=1)}


@dataclass
class TrueImages:
    """The classes and features of the true images, computed once per dataset and split.

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
    """Read the file that `write` wrote for this number of images.

    Raises:
        InputError: the file is missing, damaged or for another number of images.
    """
    try:
        # NumPy does not close a damaged archive that it opened itself.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            true = TrueImages(file["classes"])
            for partition in PARTITIONS:
                if f"{partition}_n" in file:
                    moments = Moments.none(len(file[f"{partition}_mean"]))
                    moments.n, moments.mean = int(file[f"{partition}_n"]), file[f"{partition}_mean"]
                    for half in (moments.scatter, moments.scatter.T):
                        half[np.tril_indices(len(half))] = file[f"{partition}_scatter"]
                    true.moments[partition] = moments
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
    """Recognition of answers, batch by batch.

    Attributes:
        true: the classes and features of the true images.
        metric: the name of the Fréchet distance.
    """

    def __init__(self, network: Network, partitions: Sequence[str], name: str, true: TrueImages | None = None) -> None:
        """Prepare for images of these partitions, in the order of the store; without `true`, `measure` computes it."""
        self.true = TrueImages(np.full(len(partitions), -1, np.int16)) if true is None else true
        self.metric = f"{frechet.PREFIX}{name}"
        self._name = name
        self._gathers = true is None
        self._network = network
        self._partitions = np.array(partitions)
        self._answers: dict[str, dict[str, Moments]] = {}

    @classmethod
    def of(
        cls, chosen: schema.Embedding | None, partitions: Sequence[str], true: TrueImages | None = None
    ) -> "Recognition | None":
        """Load the network of `pipeline.embedding.recipe.recognising`; None if there is none."""
        return cls(load_network(chosen), partitions, chosen.network, true) if chosen else None

    def measure(
        self, rows: npt.NDArray[np.intp], truth: Truth, answers: Mapping[str, npt.NDArray[np.generic]]
    ) -> dict[str, dict[str, Values]]:
        """Return the `agreement` of a batch of k images, (k,) float64 by answer and measure, and add their features.

        An image with a prediction that is not finite has NaN, and so has the distance of its partition.

        Args:
            rows: (k,) of the images in the store.
            truth: the true images.
            answers: ab (k, H, W, 2) by answer, 8-bit units.
        """
        if self._gathers:
            features, logits = self._network(truth.rgb)
            self.true.classes[rows] = first_class(logits)
            self._gather(self.true.moments, rows, features)
        measured = {}
        for answer, ab in answers.items():
            finite = np.isfinite(ab).all(axis=(1, 2, 3))
            features, logits = self._network(lab.to_rgb(truth.lightness[finite], ab[finite]))
            self._gather(self._answers.setdefault(answer, {}), rows, with_gaps(features, finite))
            agreed = agreement(logits, self.true.classes[rows][finite], self._name)
            measured[answer] = {name: with_gaps(values, finite) for name, values in agreed.items()}
        return measured

    def _gather(self, into: dict[str, Moments], rows: npt.NDArray[np.intp], features: npt.NDArray[np.floating]) -> None:
        here = self._partitions[rows]
        for partition in dict.fromkeys(here.tolist()):
            into.setdefault(partition, Moments.none(features.shape[1])).add(features[here == partition])

    def distances(self) -> dict[str, dict[str, float]]:
        """The Fréchet distance of each answer's pictures from the true ones, by partition and answer."""
        return {
            partition: frechet.distances(
                true, {answer: here[partition] for answer, here in self._answers.items() if partition in here}
            )
            for partition, true in self.true.moments.items()
        }

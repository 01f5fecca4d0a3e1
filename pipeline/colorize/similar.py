"""Colours in the spirit of a photograph of an ingested dataset: the one whose embedding is most similar."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.colorize.examples import Describe, Example, example_of
from pipeline.colorize.spreading import Floats, Spreading
from pipeline.config.paths import DatasetFiles
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.core.text import escaped
from pipeline.images.lab import UInt8

if TYPE_CHECKING:
    from pipeline.storage.store import Store

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Dataset:
    """The training photographs of a dataset, of which each photograph takes the one that is most like it.

    The similarity of two photographs is the cosine of the angle between their embeddings, from the mean of all.

    Attributes:
        directory: ``data/<dataset>``.
        weights: of the embedding network; None for those that the embeddings were made with.
        threads: that compute embeddings.
    """

    directory: Path
    weights: Path | None = None
    threads: int = 2

    def check(self) -> None:
        """Refuse a dataset without images, embeddings or split, before anything is loaded.

        Raises:
            InputError: one of them is missing, damaged, or belongs to others.
        """
        _ = self._rows

    @cached_property
    def identity(self) -> str:
        """A digest of the training photographs and their embeddings."""
        fingerprints = [store.manifest()["fingerprint"] for store in self._stores]
        return files.fingerprint([*fingerprints, self._rows.tolist()])

    def nearest(self, spreading: Spreading, described: Floats, describe: Describe, lightness: UInt8) -> Example:
        """Return the training photograph whose embedding is most similar to that of L (224, 224)."""
        images, _ = self._stores
        vectors, mean = self._vectors
        row = int(self._rows[np.argmax(vectors @ _direction(self._embed(lightness[None]) - mean)[0])])
        values = (images.read(name, row, row + 1)[0] for name in ("L", "ab"))
        return example_of(describe, *values)

    @cached_property
    def _stores(self) -> tuple["Store", "Store"]:
        dataset = DatasetFiles(self.directory)
        images, embeddings = dataset.images, dataset.embeddings
        if embeddings.manifest()["images"] != images.manifest()["fingerprint"]:
            raise InputError(
                f"--like {escaped(str(self.directory))}: expected embeddings of its images, received those of others; "
                "run embed again"
            )
        return images, embeddings

    @cached_property
    def _rows(self) -> npt.NDArray[np.intp]:
        """The training photographs' numbers in the stores."""
        from pipeline.dataset import splits

        images, _ = self._stores
        listed = splits.read(DatasetFiles(self.directory).splits, images.manifest()["fingerprint"])
        return np.flatnonzero([row["partition"] == "train" for row in listed])

    @cached_property
    def _vectors(self) -> tuple[Vectors, Vectors]:
        """The directions of the training photographs' embeddings (n, d) from their mean (d,)."""
        vectors = self._stores[1].read_rows("embedding", self._rows).astype(np.float32)
        mean = vectors.mean(axis=0)
        return _direction(vectors - mean), mean

    @cached_property
    def _embed(self) -> Callable[[UInt8], Vectors]:
        """Load the embedding network that made the store; start Keras."""
        from pipeline.embedding import of_run
        from pipeline.networks import backend

        manifest: Mapping[str, Any] = self._stores[1].manifest()
        settings = manifest["settings"]
        weights = self.weights
        if settings["weights"] == "random" and weights is None:
            weights = DatasetFiles(self.directory).network
        if settings["weights"] == "file" and weights is None:
            raise InputError(
                f"--like {escaped(str(self.directory))}: its embeddings were made with weights from a file; name it "
                "with --embedding-weights"
            )
        backend.start(self.threads, settings["precision"])
        record = {"embedding": settings, "embedding_weights": manifest["weights"]}
        record["configuration"] = {"embedding": {"weights": str(weights)}}
        network: Any = of_run.load(self.directory, record, weights)
        return lambda lightness: np.asarray(network(lightness)["embedding"], np.float32)


def _direction(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-12)), np.float32)

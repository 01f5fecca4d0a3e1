"""Images and embeddings of a partition, decoded once, and their batches."""

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.core import files
from pipeline.images.lab import UInt8
from pipeline.networks.inputs import ImageBatch, arrays
from pipeline.storage.layouts import VECTOR

if TYPE_CHECKING:
    from pipeline.storage.store import Store

Rows = Mapping[str, npt.NDArray[np.intp]]  # row numbers by partition, in ascending order


@dataclass(frozen=True)
class Examples:
    """Rows of a dataset.

    Attributes:
        lightness: L (n, H, W) uint8.
        ab: (n, H, W, 2) uint8.
        embedded: stored outputs of the embedding network, (n, ...) by name.
    """

    lightness: UInt8
    ab: UInt8
    embedded: Mapping[str, npt.NDArray[Any]]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in (self.lightness, self.ab, *self.embedded.values()))

    def batch(self, rows: Any, mirrored: npt.NDArray[np.bool_] | None = None) -> ImageBatch:
        """Some rows as a batch, from which the inputs of a network are computed; the `mirrored` ones left to right."""
        chosen = [array[rows] for array in (self.lightness, self.ab, *self.embedded.values())]
        for array in chosen:
            if mirrored is not None and array.ndim > 2:  # vectors stay
                array[mirrored] = array[mirrored][:, :, ::-1]
        lightness, ab, *embedded = chosen
        return ImageBatch(lightness, dict(zip(self.embedded, embedded, strict=True)), ab)


def load(
    images: "Store", outputs: Mapping[str, "Store"], rows: Rows, scratch: Path | None = None
) -> dict[str, Examples]:
    """Read partitions into memory; the stores are read once.

    Args:
        images: the store of images.
        outputs: outputs of the embedding network to read, each with its store.
        rows: to read, by partition.
        scratch: directory for images and feature maps in memory-mapped files, which have no name and vanish with the
            process. None keeps them in memory.
    """
    lightness, ab = (_read_rows(images, name, rows, scratch) for name in ("L", "ab"))
    embedded = {
        name: _read_rows(store, name, rows, None if name == VECTOR else scratch) for name, store in outputs.items()
    }
    return {
        part: Examples(lightness[part], ab[part], {output: arrays[part] for output, arrays in embedded.items()})
        for part in rows
    }


def _read_rows(store: "Store", name: str, rows: Rows, scratch: Path | None) -> dict[str, npt.NDArray[Any]]:
    array = store.array(name)
    dtype = np.dtype(str(array.dtype))
    arrays = {part: _allocate((len(chosen), *array.shape[1:]), dtype, scratch) for part, chosen in rows.items()}
    for start, stop, values in store.read_spans(name):
        for part, chosen in rows.items():
            first, end = np.searchsorted(chosen, (start, stop))
            arrays[part][first:end] = values[chosen[first:end] - start]
    return arrays


def _allocate(shape: tuple[int, ...], dtype: np.dtype[Any], scratch: Path | None) -> npt.NDArray[Any]:
    if scratch is None:
        return np.empty(shape, dtype)
    scratch.mkdir(parents=True, exist_ok=True)
    with files.naming(scratch), tempfile.TemporaryFile(dir=scratch) as file:
        # A full disk would end the process when a page of the map is written.
        os.posix_fallocate(file.fileno(), 0, math.prod(shape) * dtype.itemsize)
        return np.memmap(file, dtype, "w+", shape=shape)


class Batches(keras.utils.PyDataset):
    """Batches ``({input: array}, ab)`` of examples, in storage order or shuffled, without the `first` ones.

    L and ab (batch, H, W, 2) stay uint8: the network and the loss cast them. `Shuffling` draws the order of epoch `e`
    with ``numpy.random.default_rng((seed, e))``, whatever ran before. With `mirror`, it also mirrors each image with
    probability 1/2, by ``default_rng((seed, e, 1))``.

    Attributes:
        calls: the steps of an epoch that each item contains, as (first, end). An item ends after a multiple of
            `steps_per_call`, so an epoch has the same items wherever training continues. The last batch, which may be
            smaller, has an item of its own.
    """

    def __init__(
        self,
        examples: Examples,
        inputs: Sequence[str],
        batch_size: int,
        shuffle_seed: int | None = None,
        first: int = 0,
        mirror: bool = False,
    ) -> None:
        super().__init__(workers=1)
        self._inputs = inputs
        self._examples = examples
        self._batch_size = batch_size
        self._seed = shuffle_seed
        self._mirror = mirror
        self._mirrored: npt.NDArray[np.bool_] | None = None  # which examples are, in this epoch
        self._order = np.arange(len(examples.lightness))
        steps = -(-len(self._order) // batch_size)
        ends = [end for end in sorted({*range(0, steps, self.steps_per_call), steps - 1, steps}) if end > first]
        self.calls = list(zip([first, *ends], ends, strict=False))

    @property
    def steps_per_call(self) -> int:
        """The most steps in an item."""
        return 1

    def _rows(self, first: int, end: int) -> npt.NDArray[np.intp]:
        return self._order[first * self._batch_size : end * self._batch_size]

    def shuffle(self, epoch: int) -> None:
        """Draw the order of an epoch."""
        if self._seed is not None:
            self._order = np.random.default_rng((self._seed, epoch)).permutation(len(self._order))
            if self._mirror:
                self._mirrored = np.random.default_rng((self._seed, epoch, 1)).random(len(self._order)) < 0.5

    def __len__(self) -> int:
        return len(self.calls)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], Any]:
        rows = self._rows(*self.calls[index])
        batch = self._examples.batch(rows, None if self._mirrored is None else self._mirrored[rows])
        return arrays(self._inputs, batch), batch.ab


class Shuffling(keras.callbacks.Callback):
    """Draws the order of each epoch of `fit`; the first epoch is number 1."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self._batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Draw the order before the first batch is read."""
        self._batches.shuffle(epoch + 1)

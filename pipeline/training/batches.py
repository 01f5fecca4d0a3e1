"""Images and embeddings of one partition, decoded once, and their batches."""

import logging
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

if TYPE_CHECKING:
    from pipeline.storage.store import Store

log = logging.getLogger("deepcolor")


@dataclass(frozen=True)
class Examples:
    """Rows of a dataset.

    Attributes:
        lightness: L (n, H, W) uint8.
        ab: (n, H, W, 2) uint8.
        embedded: outputs of the embedding network, (n, ...), by the name that they are stored by.
    """

    lightness: UInt8
    ab: UInt8
    embedded: Mapping[str, npt.NDArray[Any]]

    @property
    def nbytes(self) -> int:
        """Of all arrays."""
        return sum(array.nbytes for array in (self.lightness, self.ab, *self.embedded.values()))

    def given(self, rows: Any) -> ImageBatch:
        """What the inputs of a network are made from, of some rows."""
        return ImageBatch(
            self.lightness[rows], {name: array[rows] for name, array in self.embedded.items()}, self.ab[rows]
        )


def load(
    images: "Store",
    embeddings: "Store",
    rows: Mapping[str, npt.NDArray[np.intp]],
    stored: Sequence[str],
    scratch: Path | None = None,
) -> dict[str, Examples]:
    """Read the rows of partitions, by name, into memory, or images into scratch files mapped from disk.

    Args:
        images: the store of images.
        embeddings: the store of the embedding network's outputs.
        rows: row numbers of each partition, in ascending order. However many partitions there are, the stores are read
            once.
        scratch: directory of the scratch files, which have no name and vanish with the process; None: into memory.
    """
    lightness, ab = (_read_rows(images, name, rows, scratch) for name in ("L", "ab"))
    embedded = {output: _read_rows(embeddings, output, rows, None) for output in stored}
    return {
        name: Examples(lightness[name], ab[name], {output: found[name] for output, found in embedded.items()})
        for name in rows
    }


def _read_rows(
    store: "Store", name: str, rows: Mapping[str, npt.NDArray[np.intp]], scratch: Path | None
) -> dict[str, npt.NDArray[Any]]:
    array = store.array(name)
    dtype = np.dtype(str(array.dtype))
    found = {part: _room((len(chosen), *array.shape[1:]), dtype, scratch) for part, chosen in rows.items()}
    for start, stop, values in store.read_spans(name):
        for part, chosen in rows.items():
            first, end = np.searchsorted(chosen, (start, stop))
            found[part][first:end] = values[chosen[first:end] - start]
    return found


def _room(shape: tuple[int, ...], dtype: np.dtype[Any], scratch: Path | None) -> npt.NDArray[Any]:
    if scratch is None:
        return np.empty(shape, dtype)
    scratch.mkdir(parents=True, exist_ok=True)
    with files.naming(scratch), tempfile.TemporaryFile(dir=scratch) as file:
        # Room that is not there when a page of the map is written would end the process.
        os.posix_fallocate(file.fileno(), 0, math.prod(shape) * dtype.itemsize)
        return np.memmap(file, dtype, "w+", shape=shape)


class Batches(keras.utils.PyDataset):
    """Batches ``({input: array}, ab)`` of examples, in storage order or shuffled.

    L and ab (batch, H, W, 2) stay uint8: the network and the loss cast them. The order of epoch `e`,
    which `Shuffling` draws, is that of ``numpy.random.default_rng((seed, e))``, whatever ran before. `first` batches
    are left out, of every epoch.

    Attributes:
        calls: the steps of an epoch that each item is for, as (first, end). An item ends after a multiple of
            `steps_per_call`, so that an epoch has the same ones wherever it is gone on with, and the last batch, which
            may be smaller, has one of its own.
    """

    def __init__(
        self,
        examples: Examples,
        inputs: Sequence[str],
        batch_size: int,
        shuffle_seed: int | None = None,
        first: int = 0,
    ) -> None:
        super().__init__(workers=1)
        self._inputs = inputs
        self._examples = examples
        self._batch_size = batch_size
        self._seed = shuffle_seed
        self._order = np.arange(len(examples.lightness))
        steps = -(-len(self._order) // batch_size)
        ends = [end for end in sorted({*range(0, steps, self.steps_per_call), steps - 1, steps}) if end > first]
        self.calls = list(zip([first, *ends], ends, strict=False))

    @property
    def steps_per_call(self) -> int:
        """How many steps an item is for, at most."""
        return 1

    def _rows(self, first: int, end: int) -> npt.NDArray[np.intp]:
        return self._order[first * self._batch_size : end * self._batch_size]

    def shuffle(self, epoch: int) -> None:
        """Take the order of an epoch."""
        if self._seed is not None:
            self._order = np.random.default_rng((self._seed, epoch)).permutation(len(self._order))

    def __len__(self) -> int:
        return len(self.calls)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], Any]:
        given = self._examples.given(self._rows(*self.calls[index]))
        return arrays(self._inputs, given), given.ab


class Shuffling(keras.callbacks.Callback):
    """Draws the order of each epoch that `fit` begins; the first epoch is number 1."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self._batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Before the first batch is read."""
        self._batches.shuffle(epoch + 1)

"""Images that lie in arrays already encoded: checks, and reading in slices."""

import contextlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol

import numpy as np

from pipeline.core.errors import InputError
from pipeline.core.text import shortened
from pipeline.dataset.sources.base import ImageInfo, Remark
from pipeline.images.formats import SIZE
from pipeline.images.lab import NEUTRAL, UInt8

SAMPLED_ROWS = 64
# Mean of |ab - 128|. No colour of sRGB exceeds 94 (its blue); ab without the offset, clipped at 0 or wrapped around,
# is 128 less its own mean size, which is below 30 in photographs.
FARTHEST_MEAN = 96


class Table(Protocol):
    """An array in a file, opened when needed; picklable."""

    @property
    def name(self) -> str:
        """What `ImageInfo.source` calls it."""

    @property
    def where(self) -> str:
        """File, and dataset within it, for messages."""

    def opened(self) -> contextlib.AbstractContextManager[Any]:
        """The array, with `shape`, `dtype` and slicing that reads no more than the slice.

        Raises:
            InputError: there is no such array.
        """


@dataclass(frozen=True)
class ArraySource:
    """See `pipeline.dataset.sources.base.Source`; `counts` are the rows of each part of ab."""

    description: dict[str, Any]
    lightness: Table
    chroma: tuple[Table, ...]
    counts: tuple[int, ...]
    n: int
    remarks: tuple[Remark, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Kind, file names and counts."""
        return {**self.description, "images": self.n}

    def info(self, start: int, stop: int) -> list[ImageInfo]:
        """Names of the images start..stop: the row's number is both id and group."""
        infos = []
        for part, first, last in self._parts(start, stop):
            before = sum(self.counts[:part])
            for row in range(first, last):
                number = f"{before + row:09d}"
                infos.append(ImageInfo(id=number, group=number, source=f"{self.chroma[part].name} row {row}"))
        return infos

    def input_digest(self, start: int, stop: int) -> None:
        """None: the arrays hold the images' own bytes."""

    def read(self, start: int, stop: int) -> tuple[UInt8, UInt8]:
        """Images start..stop: L (k, 224, 224) and ab (k, 224, 224, 2) uint8."""
        start, stop, _ = slice(start, stop).indices(self.n)
        rows = _rows(self.lightness, start, stop).reshape(-1, SIZE, SIZE)
        parts = [_rows(self.chroma[part], first, last) for part, first, last in self._parts(start, stop)]
        ab = np.concatenate(parts) if parts else np.empty((0, SIZE, SIZE, 2), np.uint8)
        if len(rows) != len(ab) or len(rows) != stop - start:
            raise InputError(f"{self.lightness.where}: has changed since it was opened; run this again")
        return rows, ab

    def close(self) -> None:
        """Nothing to remove."""

    def _parts(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """(part, first row, row after the last) for each part that start..stop touches."""
        start, stop, _ = slice(start, stop).indices(self.n)
        ends = list(accumulate(self.counts))
        while start < stop:
            part = bisect_right(ends, start)
            before = ends[part] - self.counts[part]
            last = min(stop, ends[part])
            yield part, start - before, last - before
            start = last


def open_arrays(
    description: dict[str, Any], lightness: Table, chroma: Sequence[Table], limit: int | None
) -> ArraySource:
    """Check the arrays and join the parts of ab.

    Raises:
        InputError: an array has another shape, dtype or encoding than `pipeline.images.lab`'s, or the counts differ.
    """
    with lightness.opened() as array:
        rows = check_lightness(array, lightness.where)
    counts = []
    for table in chroma:
        with table.opened() as array:
            counts.append(check_chroma(array, table.where))
    if sum(counts) != rows:
        each = ", ".join(f"{table.where}: {count}" for table, count in zip(chroma, counts, strict=True))
        raise InputError(
            f"{lightness.where}: expected as many rows as ab has, received {rows} of L and {sum(counts)} of ab "
            f"({each}); is a part missing, or from another archive? unpack it again"
        )
    n = rows if limit is None else min(rows, limit)
    return ArraySource(description, lightness, tuple(chroma), tuple(counts), n)


def check_lightness(array: Any, where: str) -> int:
    """The number of rows of L.

    Raises:
        InputError: it is not L as `pipeline.images.lab` encodes it.
    """
    shape = tuple(array.shape or ())
    expected = f"{where}: expected L of shape (n, {SIZE}, {SIZE}), uint8, holding L* x 255/100,"
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 1):
        raise InputError(f"{expected} received the shape {shape}; {_shape_hint(shape, 3)}")
    _check_size(shape, expected, shape[1:3])
    if array.dtype != np.uint8:
        raise InputError(
            f"{expected} received {array.dtype}; if it is L* (0..100), convert it: np.rint(L * 2.55).astype(np.uint8)"
        )
    largest = max(int(np.max(row)) for row in _sample(array, where))
    if largest <= 100:
        raise InputError(
            f"{expected} received nothing above {largest} in {min(shape[0], SAMPLED_ROWS)} rows, "
            "so evidently L* (0..100); convert it: np.rint(L * 2.55).astype(np.uint8)"
        )
    return int(shape[0])


def check_chroma(array: Any, where: str) -> int:
    """The number of rows of ab.

    Raises:
        InputError: it is not ab as `pipeline.images.lab` encodes it.
    """
    shape = tuple(array.shape or ())
    expected = f"{where}: expected ab of shape (n, {SIZE}, {SIZE}, 2), uint8, holding a* + 128 and b* + 128,"
    convert = "convert it: np.clip(np.rint(ab.astype(np.float32) + 128), 0, 255).astype(np.uint8)"
    if len(shape) != 4 or shape[3] != 2:
        raise InputError(f"{expected} received the shape {shape}; {_shape_hint(shape, 4)}")
    _check_size(shape, expected, shape[1:3])
    if array.dtype != np.uint8:
        raise InputError(f"{expected} received {array.dtype}; if it is a* and b* around 0, {convert}")
    rows = _sample(array, where)
    mean = float(np.mean([np.abs(row.astype(np.int16) - NEUTRAL).mean() for row in rows]))
    if mean > FARTHEST_MEAN:
        raise InputError(
            f"{expected} received values {mean:.0f} away from 128 on average (no colour of sRGB is more than "
            f"{FARTHEST_MEAN}), so evidently without the offset; make a* and b* signed again "
            f"(ab.view(np.int8) if they wrapped around), then {convert}"
        )
    return int(shape[0])


def _shape_hint(shape: tuple[int, ...], rank: int) -> str:
    if rank == 4 and len(shape) == 4 and shape[1] == 2:
        return "the channels come last: np.moveaxis(ab, 1, -1)"
    if rank == 3 and len(shape) == 4 and shape[1] == 1:
        return "the channel axis comes last or not at all: L[:, 0]"
    if rank == 3 and len(shape) == 4 and shape[3] == 3:
        return "this looks like colour images; save them as image files and use a dataset of the kind folder"
    return "save the array again in that shape"


def _check_size(shape: tuple[int, ...], expected: str, size: tuple[int, ...]) -> None:
    if size != (SIZE, SIZE):
        raise InputError(
            f"{expected} received the shape {shape}; photographs of other sizes can be used as image files, with a "
            "dataset of the kind folder, which resizes"
        )
    if shape[0] == 0:
        raise InputError(f"{expected} received no rows; unpack or make the file again")


def _sample(array: Any, where: str) -> Iterator[Any]:
    count = min(len(array), SAMPLED_ROWS)
    for row in np.linspace(0, len(array) - 1, count).round().astype(int):
        with _readable(where):
            values = np.asarray(array[int(row)])
        yield values


def _rows(table: Table, start: int, stop: int) -> UInt8:
    with table.opened() as array, _readable(table.where):
        return np.array(array[start:stop], order="C")


@contextlib.contextmanager
def _readable(where: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # h5py raises more than OSError over a broken file
        raise InputError(
            f"{where}: expected rows of an array, received: {shortened(error)}; make or copy the file again"
        ) from None

"""Images in arrays that are already encoded: checks, and reading in slices."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core.errors import InputError
from pipeline.core.text import escaped, shortened
from pipeline.dataset.sources.base import ImageInfo, Remark, Source, parts_of
from pipeline.images.formats import SIZE
from pipeline.images.lab import NEUTRAL, UInt8

SAMPLED_ROWS = 64
# Mean of |ab - 128|. No colour of sRGB exceeds 94 (blue). Without the offset, clipped at 0 or wrapped around, the mean
# is 128 minus the mean size of ab, which is below 30 in photographs.
FARTHEST_MEAN = 96


@dataclass(frozen=True)
class Table:
    """An array in a file; picklable.

    `reader` is a context manager of the array, with `shape`, `dtype`, and slicing that reads no more than the slice. It
    raises an InputError if there is no such array.
    """

    reader: Callable[[Path, str], contextlib.AbstractContextManager[Any]]
    path: Path
    dataset: str = ""

    @property
    def name(self) -> str:
        """The file's name, for `ImageInfo.source`."""
        return escaped(self.path.name)

    @property
    def where(self) -> str:
        """The file's path, and the dataset within it, for errors."""
        return escaped(str(self.path)) + (f", dataset {self.dataset}" if self.dataset else "")

    def opened(self) -> contextlib.AbstractContextManager[Any]:
        """Open the array, see `reader`."""
        return self.reader(self.path, self.dataset)

    def rows(self, start: int, stop: int) -> UInt8:
        """Read the rows start..stop."""
        with self.opened() as array, _readable(self.where):
            return np.array(array[start:stop], order="C")


@dataclass
class ArraySource(Source):
    """See `Source`. The parts of ab, with `counts` rows each, together match the rows of L.

    Images are the first `rows` rows but those `left_out`, which are in ascending order.
    """

    description: dict[str, Any]
    lightness: Table
    chroma: tuple[Table, ...]
    counts: Sequence[int]
    rows: int
    left_out: tuple[Remark, ...] = ()
    damaged: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.n = self.rows - len(self.damaged)

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """The rows that were left out."""
        return self.left_out

    def describe(self) -> dict[str, Any]:
        """Return kind, file names and counts."""
        left_out = {"left_out": {"damaged": len(self.damaged)}} if self.damaged else {}
        return {**self.description, "images": self.n, **left_out}

    def info(self, start: int, stop: int) -> list[ImageInfo]:
        """Return the names of the images start..stop: the row number is both id and group."""
        return [self.named(int(row)) for row in self._rows(start, stop)]

    def named(self, row: int) -> ImageInfo:
        """Return the names of a row."""
        ((part, first, _),) = parts_of(self.counts, row, row + 1)
        return ImageInfo(id=f"{row:09d}", group=f"{row:09d}", source=f"{self.chroma[part].name} row {first}")

    def read(self, start: int, stop: int) -> tuple[UInt8, UInt8]:
        """See `Source.read`."""
        rows = self._rows(start, stop)
        if not len(rows):
            return self.read_rows(0, 0)
        first, last = int(rows[0]), int(rows[-1]) + 1
        lightness, ab = self.read_rows(first, last)
        return (lightness, ab) if len(rows) == last - first else (lightness[rows - first], ab[rows - first])

    def _rows(self, start: int, stop: int) -> npt.NDArray[np.intp]:
        return np.delete(np.arange(self.rows), self.damaged)[start:stop]

    def read_rows(self, start: int, stop: int) -> tuple[UInt8, UInt8]:
        """Read the rows start..stop, of which none is left out; see `Source.read`."""
        lightness = self.lightness.rows(start, stop).reshape(-1, SIZE, SIZE)
        parts = [self.chroma[part].rows(first, last) for part, first, last in parts_of(self.counts, start, stop)]
        ab = np.concatenate(parts) if parts else np.empty((0, SIZE, SIZE, 2), np.uint8)
        if not len(lightness) == len(ab) == stop - start:
            raise InputError(f"{self.lightness.where} changed while it was read; run the command again")
        return lightness, ab


def open_arrays(
    description: dict[str, Any], lightness: Table, chroma: Sequence[Table], limit: int | None, *, dark: bool = False
) -> ArraySource:
    """Check the arrays, by a sample of their rows, and join the parts of ab.

    Args:
        dark: whether L may be 100 at most.

    Raises:
        InputError: an array's shape, dtype or encoding differs from `pipeline.images.lab`, or the row counts differ.
    """
    rows = _check(lightness, "L", dark)
    counts = [_check(table, "ab") for table in chroma]
    if sum(counts) != rows:
        each = ", ".join(f"{table.where}: {count}" for table, count in zip(chroma, counts, strict=True))
        raise InputError(
            f"{lightness.where}: expected as many rows as ab has, received {rows} of L and {sum(counts)} of ab "
            f"({each}); a part may be missing or from another archive: unpack the archive again"
        )
    return ArraySource(description, lightness, tuple(chroma), counts, rows if limit is None else min(rows, limit))


def _check(table: Table, name: str, dark: bool = False) -> int:
    """Return the number of rows of L or ab, or raise an InputError if it is not encoded as in `pipeline.images.lab`."""
    lightness = name == "L"
    if lightness:
        expected = f"{table.where}: expected L of shape (n, {SIZE}, {SIZE}), uint8, holding L* x 255/100,"
        convert = "convert it: np.rint(L * 2.55).astype(np.uint8)"
    else:
        expected = f"{table.where}: expected ab of shape (n, {SIZE}, {SIZE}, 2), uint8, holding a* + 128 and b* + 128,"
        convert = "convert it: np.clip(np.rint(ab.astype(np.float32) + 128), 0, 255).astype(np.uint8)"
    with table.opened() as array:
        shape = tuple(array.shape or ())
        if shape[3:] not in ([(), (1,)] if lightness else [(2,)]) or len(shape) < 3:
            raise InputError(f"{expected} received the shape {shape}; {_shape_hint(shape, lightness)}")
        if shape[1:3] != (SIZE, SIZE):
            raise InputError(
                f"{expected} received the shape {shape}; save photographs of other sizes as image files and use a "
                "dataset of the kind folder, which resizes them"
            )
        if shape[0] == 0:
            raise InputError(f"{expected} received no rows; unpack or write the file again")
        if array.dtype != np.uint8:
            values = "L* (0..100)" if lightness else "a* and b* around 0"
            raise InputError(f"{expected} received {array.dtype}; if it is {values}, {convert}")
        numbers = np.linspace(0, shape[0] - 1, min(shape[0], SAMPLED_ROWS)).round().astype(int)
        with _readable(table.where):
            sample = np.stack([array[int(number)] for number in numbers])
    if lightness and not dark and sample.max() <= 100:
        raise InputError(
            f"{expected} received nothing above {sample.max()} in {len(sample)} rows, so these are probably L* "
            f"(0..100); {convert}; if all photographs are as dark as that, set the dataset's `dark: true`"
        )
    if not lightness and (mean := np.abs(sample.astype(np.int16) - NEUTRAL).mean()) > FARTHEST_MEAN:
        raise InputError(
            f"{expected} received values {mean:.0f} away from 128 on average (no colour of sRGB is more than "
            f"{FARTHEST_MEAN}), so the offset of 128 is probably missing; make a* and b* signed again "
            f"(ab.view(np.int8) if they wrapped around), then {convert}"
        )
    return int(shape[0])


def _shape_hint(shape: tuple[int, ...], lightness: bool) -> str:
    if len(shape) == 4 and lightness and shape[1] == 1:
        return "the channel axis comes last or not at all: L[:, 0]"
    if len(shape) == 4 and lightness and shape[3] == 3:
        return "this looks like colour images; save them as image files and use a dataset of the kind folder"
    if len(shape) == 4 and not lightness and shape[1] == 2:
        return "the channels come last: np.moveaxis(ab, 1, -1)"
    return "save the array again in that shape"


@contextlib.contextmanager
def _readable(where: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # h5py raises more than OSError for a broken file
        raise InputError(
            f"{where}: expected rows of an array, received: {shortened(error)}; make or copy the file again"
        ) from None

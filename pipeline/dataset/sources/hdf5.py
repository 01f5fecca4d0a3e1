"""One HDF5 file with the datasets L and ab."""

import contextlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from pipeline.core.errors import InputError
from pipeline.core.text import escaped, shortened
from pipeline.dataset.sources.arrays import ArraySource, open_arrays

LARGEST_CHUNK = 2**26  # bytes; a chunk is decompressed whole for each of its rows


@dataclass(frozen=True)
class HDF5Table:
    """A dataset of an HDF5 file."""

    path: Path
    dataset: str

    @property
    def name(self) -> str:
        """The file's name."""
        return escaped(self.path.name)

    @property
    def where(self) -> str:
        """The file's path, and the dataset."""
        return f"{escaped(str(self.path))}, dataset {self.dataset}"

    @contextlib.contextmanager
    def opened(self) -> Iterator[Any]:
        """See `pipeline.dataset.sources.arrays.Table`."""
        expected = f"{escaped(str(self.path))}: expected an HDF5 file with the datasets L and ab,"
        if not self.path.is_file():
            raise InputError(f"{expected} received no file; set the dataset's `path`")
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(h5py.File(self.path, "r"))
                array = self._found(file, expected)
                received = _foreign(array)
            except InputError:
                raise
            except Exception as error:  # besides OSError, h5py raises RuntimeError, KeyError and TypeError
                raise InputError(
                    f"{expected} received: {shortened(error)}; set the dataset's `path`, or make the file again"
                ) from None
            if received:
                raise InputError(f"{self.where}: expected rows kept in this file, received {received}; write them anew")
            yield array

    def _found(self, file: h5py.File, expected: str) -> h5py.Dataset:
        # A link to another file is not followed: that may be no file of the user's, or a pipe that never ends.
        link = file.get(self.dataset, getlink=True)
        array = file.get(self.dataset) if isinstance(link, h5py.HardLink) else None
        if not isinstance(array, h5py.Dataset):
            names = [escaped(name) for name in itertools.islice(file, 10)]
            found = f"a link named {self.dataset}" if link and array is None else ", ".join(names) or "nothing"
            raise InputError(f"{expected} received a file with {found}; write or rename {self.dataset}")
        return array


def _foreign(array: h5py.Dataset) -> str:
    """Why the rows cannot be had, or only from other files; nothing if they can."""
    if array.is_virtual or array.external:
        return "a dataset whose rows lie in other files"
    plan = array.id.get_create_plist()
    filters = [plan.get_filter(number) for number in range(plan.get_nfilters())]
    if unknown := [code for code, *_ in filters if not h5py.h5z.filter_avail(code)]:
        return f"a dataset compressed by the filter {unknown[0]}, which is not installed here"
    largest = math.prod(array.chunks or (0,)) * array.dtype.itemsize
    return f"chunks of {largest} bytes (at most {LARGEST_CHUNK})" if largest > LARGEST_CHUNK else ""


def _check_written(table: HDF5Table) -> None:
    # A file of a few bytes can claim any number of rows: those never written are all alike.
    with table.opened() as array:
        chunks = [-(-side // chunk) for side, chunk in zip(array.shape or (), array.chunks or (), strict=False)]
        there = array.id.get_num_chunks() if array.chunks else array.id.get_storage_size()
        expected = math.prod(chunks) if array.chunks else array.nbytes
    if there < expected:
        raise InputError(
            f"{table.where}: expected all its rows to be written, received {there} of {expected} "
            f"{'chunks' if chunks else 'bytes'}; write the rest, or make the dataset smaller"
        )


def open_hdf5(path: Path, limit: int | None) -> ArraySource:
    """Open and check the file.

    Raises:
        InputError: the file or a dataset is missing, or is not what it should be.
    """
    description = {"kind": "hdf5", "files": [escaped(path.name)]}
    lightness, chroma = HDF5Table(path, "L"), HDF5Table(path, "ab")
    source = open_arrays(description, lightness, [chroma], limit)
    for table in (lightness, chroma):
        _check_written(table)
    return source

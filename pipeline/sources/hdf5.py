"""One HDF5 file with the datasets L and ab."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from pipeline.errors import InputError
from pipeline.sources.arrays import ArraySource, open_arrays
from pipeline.sources.base import escaped


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
        """See `pipeline.sources.arrays.Table`."""
        expected = f"{escaped(str(self.path))}: expected an HDF5 file with the datasets L and ab,"
        if not self.path.is_file():
            raise InputError(f"{expected} received no file; set the dataset's `path`")
        try:
            file = h5py.File(self.path, "r")
        except OSError as error:
            raise InputError(
                f"{expected} received: {error}; set the dataset's `path`, or make the file again"
            ) from None
        with file:
            array = file.get(self.dataset)
            if not isinstance(array, h5py.Dataset):
                found = ", ".join(escaped(name) for name in file) or "nothing"
                raise InputError(f"{expected} received a file with {found}; write or rename {self.dataset}")
            yield array


def open_hdf5(path: Path, limit: int | None) -> ArraySource:
    """Open and check the file.

    Raises:
        InputError: the file or a dataset is missing, or is not what it should be.
    """
    description = {"kind": "hdf5", "files": [escaped(path.name)]}
    return open_arrays(description, HDF5Table(path, "L"), [HDF5Table(path, "ab")], limit)

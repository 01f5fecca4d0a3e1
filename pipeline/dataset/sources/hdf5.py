"""One HDF5 file with the datasets L and ab."""

import contextlib
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import h5py

from pipeline.config.sources import HDF5Source
from pipeline.core.errors import InputError
from pipeline.core.text import escaped, shortened
from pipeline.dataset.sources.arrays import ArraySource, Table, open_arrays

LARGEST_CHUNK = 2**26  # bytes; a chunk is decompressed as a whole for each of its rows


def open_hdf5(settings: HDF5Source, limit: int | None) -> ArraySource:
    """Open and check the file.

    Raises:
        InputError: the file or a dataset is missing or cannot be used.
    """
    path = Path(settings.path)
    lightness, chroma = Table(_opened, path, "L"), Table(_opened, path, "ab")
    source = open_arrays({"kind": "hdf5", "files": [lightness.name]}, lightness, [chroma], limit, dark=settings.dark)
    for table in (lightness, chroma):
        _refuse_unwritten(table)
    return source


@contextlib.contextmanager
def _opened(path: Path, dataset: str) -> Iterator[h5py.Dataset]:
    where = escaped(str(path))
    expected = f"{where}: expected an HDF5 file with the datasets L and ab,"
    if not path.is_file():
        raise InputError(f"{expected} received no file; set the dataset's `path`")
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(h5py.File(path, "r"))
            # A link to another file is not followed: it may point outside the user's data, or to a pipe.
            linked = isinstance(file.get(dataset, getlink=True), h5py.SoftLink | h5py.ExternalLink)
            array = None if linked else file.get(dataset)
            if not isinstance(array, h5py.Dataset):
                names = ", ".join(escaped(name) for name in itertools.islice(file, 10))
                received = f"a link named {dataset}" if linked else names or "nothing"
                raise InputError(f"{expected} received a file with {received}; write or rename {dataset}")
            unusable = _unusable(array)
        except InputError:
            raise
        except Exception as error:  # h5py raises OSError, RuntimeError, KeyError and TypeError
            raise InputError(
                f"{expected} received: {shortened(error)}; set the dataset's `path`, or make the file again"
            ) from None
        if unusable:
            raise InputError(
                f"{where}, dataset {dataset}: expected rows stored in this file, received {unusable}; write them again"
            )
        yield array


def _unusable(array: h5py.Dataset) -> str:
    """Return why the rows cannot be read from this file alone, or nothing."""
    if array.is_virtual or array.external:
        return "a dataset whose rows are in other files"
    plan = array.id.get_create_plist()
    filters = [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]
    if missing := [code for code in filters if not h5py.h5z.filter_avail(code)]:
        return f"a dataset compressed with the filter {missing[0]}, which is not installed here"
    largest = math.prod(array.chunks or (0,)) * array.dtype.itemsize
    return f"chunks of {largest} bytes (at most {LARGEST_CHUNK})" if largest > LARGEST_CHUNK else ""


def _refuse_unwritten(table: Table) -> None:
    # A file of a few bytes can declare any number of rows; rows that were never written are all equal.
    with table.opened() as array:
        if array.chunks:
            written, unit = array.id.get_num_chunks(), "chunks"
            expected = math.prod(-(-side // chunk) for side, chunk in zip(array.shape, array.chunks, strict=True))
        else:
            written, expected, unit = array.id.get_storage_size(), array.nbytes, "bytes"
    if written < expected:
        raise InputError(
            f"{table.where}: expected all rows to be written, received {written} of {expected} {unit}; "
            "write the rest, or make the dataset smaller"
        )

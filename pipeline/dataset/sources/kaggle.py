"""The arrays of Kaggle's "image-colorization": gray_scale.npy and ab1.npy, ab2.npy …, as the archive unpacks them."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import InputError
from pipeline.core.text import escaped, shortened
from pipeline.dataset.sources.arrays import ArraySource, open_arrays
from pipeline.dataset.sources.base import existing_folder, files_below

LIGHTNESS = "gray_scale.npy"
CHROMA = re.compile(r"ab([0-9]+)\.npy")
LONGEST_HEADER = 10_000  # bytes; NumPy's own limit


@dataclass(frozen=True)
class NpyTable:
    """A .npy file, memory-mapped when opened."""

    path: Path

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def where(self) -> str:
        """The file's path."""
        return escaped(str(self.path))

    @contextlib.contextmanager
    def opened(self) -> Iterator[Any]:
        """See `pipeline.dataset.sources.arrays.Table`."""
        expected = f"{self.where}: expected a NumPy array of uint8 (.npy),"
        if not self.path.is_file():
            raise InputError(f"{expected} received no file; unpack the archive again")
        try:
            _check_header_length(self.path)
            with np.errstate(over="ignore"):  # the product of a shape made up; NumPy refuses it a moment later
                array = np.lib.format.open_memmap(self.path, mode="r")
        except Exception as error:  # a broken header raises what Python's parser raises: nearly every kind
            if "got b'PK" in str(error):
                raise InputError(f"{expected} received a .npz archive; save each array with np.save") from None
            received = "a truncated file" if "greater than file size" in str(error) else shortened(error)
            raise InputError(
                f"{expected} received: {received}; is the download complete? unpack the archive again "
                "(pickled arrays are never opened)"
            ) from None
        yield array


def _check_header_length(path: Path) -> None:
    # NumPy reads a header of up to 4 GiB before it finds it too long.
    with path.open("rb") as file:
        start = file.read(12)
    if start[:6] == b"\x93NUMPY" and start[6:7] > b"\1" and int.from_bytes(start[8:], "little") > LONGEST_HEADER:
        raise ValueError("a header too long for one array")


def open_kaggle(path: Path, limit: int | None) -> ArraySource:
    """Find the arrays anywhere below `path` and check them.

    Raises:
        InputError: an array is missing, is there twice, or is not what it should be.
    """
    existing_folder(path, f"{LIGHTNESS} and ab1.npy, ab2.npy … below it")
    files, _ = files_below(path)
    lightness = [name for name in files if name.rpartition("/")[2] == LIGHTNESS]
    chroma: dict[int, list[str]] = {}
    for name in files:
        if match := CHROMA.fullmatch(name.rpartition("/")[2]):
            chroma.setdefault(int(match[1]), []).append(name)
    where = escaped(str(path))
    if not lightness:
        raise InputError(f"{where}: expected {LIGHTNESS} below it, received none; unpack the archive's folder l there")
    if not chroma:
        raise InputError(
            f"{where}: expected ab1.npy, ab2.npy … below it, received none; unpack the archive's folder ab"
        )
    for names in (lightness, *chroma.values()):
        if len(names) > 1:
            raise InputError(
                f"{where}: expected one {names[0].rpartition('/')[2]} below it, received {len(names)}: "
                f"{', '.join(map(escaped, names))}; remove all but one, or set `path` to a folder that holds one"
            )
    missing = [number for number in range(1, min(max(chroma), len(chroma)) + 1) if number not in chroma]
    if missing or 0 in chroma:
        wrong = ", ".join(f"ab{number}.npy" for number in missing[:5]) + " missing" if missing else "ab0.npy as well"
        raise InputError(
            f"{where}: expected ab1.npy to ab{max(chroma)}.npy without a gap, received {wrong}; "
            "unpack the archive again"
        )
    parts = [chroma[number][0] for number in sorted(chroma)]
    tables = [NpyTable(path / name) for name in parts]
    description = {"kind": "kaggle", "files": [escaped(name) for name in (lightness[0], *parts)]}
    return open_arrays(description, NpyTable(path / lightness[0]), tables, limit)

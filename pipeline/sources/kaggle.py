"""The arrays of Kaggle's "image-colorization": gray_scale.npy and ab1.npy, ab2.npy …, as the archive unpacks them."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.sources.arrays import ArraySource, open_arrays
from pipeline.sources.base import escaped, existing_folder, files_below

LIGHTNESS = "gray_scale.npy"
CHROMA = re.compile(r"ab([0-9]+)\.npy")


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
        """See `pipeline.sources.arrays.Table`."""
        expected = f"{self.where}: expected a NumPy array of uint8 (.npy),"
        if not self.path.is_file():
            raise InputError(f"{expected} received no file; unpack the archive again")
        try:
            array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError, SyntaxError, OverflowError) as error:
            received = "a truncated file" if "greater than file size" in str(error) else str(error)
            raise InputError(
                f"{expected} received: {received.splitlines()[0]}; is the download complete? unpack the archive again "
                "(pickled arrays are never opened)"
            ) from None
        if not isinstance(array, np.ndarray):
            array.close()
            raise InputError(f"{expected} received a .npz archive; save each array with np.save")
        yield array


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
    missing = sorted(set(range(1, max(chroma) + 1)) - set(chroma))
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

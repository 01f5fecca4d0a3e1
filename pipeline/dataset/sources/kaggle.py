"""The arrays of Kaggle's "image-colorization" as unpacked: gray_scale.npy, and ab1.npy, ab2.npy and so on."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.sources import KaggleSource
from pipeline.core.arrays import memory_mapped
from pipeline.core.errors import InputError
from pipeline.core.text import escaped, shortened
from pipeline.dataset.sources.arrays import ArraySource, Table, open_arrays
from pipeline.dataset.sources.base import existing_folder, files_below

LIGHTNESS = "gray_scale.npy"
CHROMA = re.compile(r"ab([0-9]+)\.npy")
LONGEST_HEADER = 10_000  # bytes; NumPy's own limit


def open_kaggle(settings: KaggleSource, limit: int | None) -> ArraySource:
    """Find the arrays anywhere below the source's `path` and check them.

    Raises:
        InputError: an array is missing, occurs twice or cannot be used.
    """
    path = Path(settings.path)
    existing_folder(path, f"{LIGHTNESS} and ab1.npy, ab2.npy … below it")
    where = escaped(str(path))
    lightness: list[str] = []
    chroma: dict[int, list[str]] = {}
    for name in files_below(path)[0]:
        last = name.rpartition("/")[2]
        if last == LIGHTNESS:
            lightness.append(name)
        elif match := CHROMA.fullmatch(last):
            chroma.setdefault(int(match[1]), []).append(name)
    for found, what, part in ((lightness, LIGHTNESS, "l"), (chroma, "ab1.npy, ab2.npy …", "ab")):
        if not found:
            raise InputError(
                f"{where}: expected {what} below it, received none; unpack the archive's folder {part} there"
            )
    for names in (lightness, *chroma.values()):
        if len(names) > 1:
            raise InputError(
                f"{where}: expected one {names[0].rpartition('/')[2]} below it, received {len(names)}: "
                f"{', '.join(map(escaped, names))}; remove all but one, or set `path` to a folder with one"
            )
    missing = [number for number in range(1, min(max(chroma), len(chroma)) + 1) if number not in chroma]
    if missing or 0 in chroma:
        wrong = ", ".join(f"ab{number}.npy" for number in missing[:5]) + " missing" if missing else "ab0.npy as well"
        raise InputError(
            f"{where}: expected ab1.npy to ab{max(chroma)}.npy without a gap, received {wrong}; "
            "unpack the archive again"
        )
    names = [lightness[0], *(chroma[number][0] for number in sorted(chroma))]
    tables = [Table(_opened, path / name) for name in names]
    described = {"kind": "kaggle", "files": [escaped(name) for name in names]}
    return open_arrays(described, tables[0], tables[1:], limit, dark=settings.dark)


@contextlib.contextmanager
def _opened(path: Path, _: str) -> Iterator[Any]:
    """Memory-map a .npy file."""
    expected = f"{escaped(str(path))}: expected a NumPy array of uint8 (.npy),"
    if not path.is_file():
        raise InputError(f"{expected} received no file; unpack the archive again")
    try:
        _check_header_length(path)
        with np.errstate(over="ignore"):  # a forged shape may overflow before NumPy refuses it
            array = memory_mapped(path)
    except Exception as error:  # NumPy evaluates the header with Python's parser, which raises nearly every kind
        if "got b'PK" in str(error):
            raise InputError(f"{expected} received a .npz archive; save each array with np.save") from None
        received = "a truncated file" if "greater than file size" in str(error) else shortened(error)
        raise InputError(
            f"{expected} received: {received}; the download may be incomplete: unpack the archive again "
            "(pickled arrays are never opened)"
        ) from None
    yield array


def _check_header_length(path: Path) -> None:
    # NumPy reads a header of up to 4 GiB before it checks the length.
    with path.open("rb") as file:
        start = file.read(12)
    if start[:6] == b"\x93NUMPY" and start[6:7] > b"\1" and int.from_bytes(start[8:], "little") > LONGEST_HEADER:
        raise ValueError("a header too long for one array")

"""Checkpoints: everything that training needs to go on as if it had never stopped."""

import hashlib
import json
import logging
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from pipeline.core import files

log = logging.getLogger("deepcolor")

_LENGTH = struct.Struct("<H")
_SEAL = _LENGTH.size + 64  # bytes at the end of a checkpoint: the length of the zip file's comment, and a SHA-256

Arrays = list[npt.NDArray[Any]]


@dataclass
class Checkpoint:
    """Variables of the model, its optimizer, its metrics and the best model so far, and a JSON state."""

    model: Arrays
    optimizer: Arrays
    metrics: Arrays
    best: Arrays
    state: dict[str, Any]


_PARTS = ("model", "optimizer", "metrics", "best")


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the one before stays as ``<name>.previous.npz`` until the new one is whole."""
    arrays = {
        **{name: array for part in _PARTS for name, array in _named(part, getattr(checkpoint, part)).items()},
        "counts": np.array([len(getattr(checkpoint, part)) for part in _PARTS]),
        "state": np.frombuffer(files.canonical_json(checkpoint.state).encode(), np.uint8),
    }
    with files.written_whole(path) as temporary:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        _seal(temporary)
        if path.exists():
            path.replace(previous(path))


def previous(path: Path) -> Path:
    """Where the checkpoint before the newest one lies."""
    return path.with_suffix(".previous.npz")


def _seal(path: Path) -> None:
    """Put the digest of a zip file into its comment, which is the end of the file."""
    with path.open("r+b") as file:
        file.seek(-_LENGTH.size, 2)  # the length of the comment, of which there is none yet
        end = file.tell()
        file.seek(0)
        digest = _digest(file, end)
        file.seek(end)
        file.write(_LENGTH.pack(len(digest)) + digest)


def whole(path: Path) -> bool:
    """Whether a checkpoint holds the bytes that were written."""
    with path.open("rb") as file:
        end = file.seek(0, 2) - _SEAL
        if end < 0:
            return False
        file.seek(0)
        digest = _digest(file, end)
        return file.read() == _LENGTH.pack(len(digest)) + digest


def _digest(file: IO[bytes], size: int) -> bytes:
    sha = hashlib.sha256()
    while size and (part := file.read(min(size, 1 << 20))):
        sha.update(part)
        size -= len(part)
    return sha.hexdigest().encode()


def load(path: Path) -> Checkpoint | None:
    """Read the newest checkpoint that is whole; None if there is none."""
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            if not whole(candidate):
                raise ValueError("its bytes are not those that were written")
            with np.load(candidate, allow_pickle=False) as arrays:
                state = json.loads(arrays["state"].tobytes())
                found = [_unnamed(part, arrays) for part in _PARTS]
                if [len(part) for part in found] != arrays["counts"].tolist():
                    raise ValueError("arrays are missing")
            return Checkpoint(**dict(zip(_PARTS, found, strict=True)), state=state)
        except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
            log.warning("%s is damaged (%s); falling back to the checkpoint before it", candidate, error)
    return None


def _named(part: str, arrays: Sequence[npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {f"{part}/{number:04d}": array for number, array in enumerate(arrays)}


def _unnamed(part: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    return [arrays[name] for name in sorted(arrays) if name.startswith(f"{part}/")]

"""Checkpoints: everything that training needs to go on as if it had never stopped."""

import json
import logging
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core import files

log = logging.getLogger("deepcolor")

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
    """Write a checkpoint; the one before stays as ``<name>.previous.npz`` until the new one is whole.

    Their digests, with a few earlier ones, are written before any file is renamed: whenever the process is killed, the
    digests of the files that it leaves are known.
    """
    arrays = {
        **{name: array for part in _PARTS for name, array in _named(part, getattr(checkpoint, part)).items()},
        "counts": np.array([len(getattr(checkpoint, part)) for part in _PARTS]),
        "state": np.frombuffer(files.canonical_json(checkpoint.state).encode(), np.uint8),
    }
    known = files.read_if_whole(digests(path)).get("sha256") or [
        files.digest_file(each) for each in (path, previous(path)) if each.exists() and whole(each)
    ]
    with files.written_whole(path) as temporary:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        files.write_json(digests(path), {"sha256": [files.digest_file(temporary), *known[:7]]})
        if path.exists():
            path.replace(previous(path))


def previous(path: Path) -> Path:
    """Where the checkpoint before the newest one lies."""
    return path.with_suffix(".previous.npz")


def digests(path: Path) -> Path:
    """The file with the digests of a checkpoint and of the one before it."""
    return path.with_name(f"{path.name.removesuffix('.npz').removesuffix('.previous')}.json")


def whole(path: Path) -> bool:
    """Whether a checkpoint holds the bytes that were written; by its zip file's checksums where no digest is known.

    DeepColor 0.1.0 wrote no digests beside its checkpoints.
    """
    if known := files.read_if_whole(digests(path)):
        return files.digest_file(path) in known["sha256"]
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except zipfile.BadZipFile:
        return False


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

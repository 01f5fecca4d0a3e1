"""Checkpoints: everything that training needs to continue as if it had never stopped."""

import json
import logging
import zipfile
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
    """The variables of the model, its optimizer, its metrics and the best model so far, and a JSON state."""

    model: Arrays
    optimizer: Arrays
    metrics: Arrays
    best: Arrays
    state: dict[str, Any]


_PARTS = ("model", "optimizer", "metrics", "best")


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and keep the previous one as ``<name>.previous.npz``.

    The digests of both, and a few earlier ones, are written before any file is renamed, so they are known whenever the
    process is killed.
    """
    parts = {part: enumerate(getattr(checkpoint, part)) for part in _PARTS}
    arrays = {
        **{f"{part}/{number:04d}": array for part, numbered in parts.items() for number, array in numbered},
        "counts": np.array([len(getattr(checkpoint, part)) for part in _PARTS]),
        "state": np.frombuffer(files.canonical_json(checkpoint.state).encode(), np.uint8),
    }
    known = files.read_if_whole(digests(path)).get("sha256") or [
        files.digest_file(each) for each in (path, previous(path)) if each.exists() and whole(each)
    ]
    with files.written_whole(path) as temporary:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        begun = checkpoint.state.get("epochs", 0) + bool(checkpoint.state.get("step"))
        files.write_json(digests(path), {"sha256": [files.digest_file(temporary), *known[:7]], "epochs": begun})
        if path.exists():
            path.replace(previous(path))


def previous(path: Path) -> Path:
    """The path of the previous checkpoint."""
    return path.with_suffix(".previous.npz")


def digests(path: Path) -> Path:
    """The path of the digests of a checkpoint and the previous one, and of the number of epochs begun."""
    return path.with_name(f"{path.name.removesuffix('.npz').removesuffix('.previous')}.json")


def whole(path: Path) -> bool:
    """Whether a checkpoint is undamaged, by its digest or, if none is known, by the checksums in its zip file.

    DeepColor 0.1.0 wrote no digests.
    """
    if known := files.read_if_whole(digests(path)):
        return files.digest_file(path) in known["sha256"]
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except zipfile.BadZipFile:
        return False


def load(path: Path) -> Checkpoint | None:
    """Read the newest undamaged checkpoint; None if there is none."""
    for candidate in filter(Path.exists, (path, previous(path))):
        try:
            if not whole(candidate):
                raise ValueError("its checksum does not match")
            with np.load(candidate, allow_pickle=False) as arrays:
                parts = [[arrays[name] for name in sorted(arrays) if name.startswith(f"{part}/")] for part in _PARTS]
                if [len(part) for part in parts] != arrays["counts"].tolist():
                    raise ValueError("arrays are missing")
                return Checkpoint(**dict(zip(_PARTS, parts, strict=True)), state=json.loads(arrays["state"].tobytes()))
        except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
            log.warning("%s is damaged (%s); trying the previous checkpoint", candidate, error)
    return None

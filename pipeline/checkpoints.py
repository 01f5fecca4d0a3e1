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

from pipeline import files

log = logging.getLogger("deepcolor")

Arrays = list[npt.NDArray[Any]]


@dataclass
class Checkpoint:
    """Variables of the model, of its optimizer and of the best model so far, and a JSON state."""

    model: Arrays
    optimizer: Arrays
    best: Arrays
    state: dict[str, Any]


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the one before stays as ``<name>.previous.npz`` until the new one is whole."""
    arrays = {
        **_named("model", checkpoint.model),
        **_named("optimizer", checkpoint.optimizer),
        **_named("best", checkpoint.best),
        "counts": np.array([len(checkpoint.model), len(checkpoint.optimizer), len(checkpoint.best)]),
        "state": np.frombuffer(files.canonical_json(checkpoint.state).encode(), np.uint8),
    }
    with files.written_whole(path) as temporary:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        if path.exists():
            path.replace(previous(path))


def previous(path: Path) -> Path:
    """Where the checkpoint before the newest one lies."""
    return path.with_suffix(".previous.npz")


def load(path: Path) -> Checkpoint | None:
    """Read the newest checkpoint that is whole; None if there is none."""
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            with np.load(candidate, allow_pickle=False) as arrays:
                state = json.loads(arrays["state"].tobytes())
                model, optimizer, best = (_unnamed(part, arrays) for part in ("model", "optimizer", "best"))
                if [len(model), len(optimizer), len(best)] != arrays["counts"].tolist():
                    raise ValueError("arrays are missing")
            return Checkpoint(model, optimizer, best, state)
        except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
            log.warning("%s is damaged (%s); falling back to the checkpoint before it", candidate, error)
    return None


def _named(part: str, arrays: Sequence[npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {f"{part}/{number:04d}": array for number, array in enumerate(arrays)}


def _unnamed(part: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    return [arrays[name] for name in sorted(arrays) if name.startswith(f"{part}/")]

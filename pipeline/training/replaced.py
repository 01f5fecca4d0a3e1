"""Trainings that another one replaced: they are kept in the folder `.replaced/` beside it."""

import contextlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.paths import RunFiles
from pipeline.core import csv_files, files
from pipeline.core.conflicts import differing
from pipeline.core.errors import InputError
from pipeline.core.text import counted
from pipeline.dataset.fingerprints import other_data
from pipeline.storage.store import Store
from pipeline.training import checkpoints


def folder(models: Path) -> Path:
    """Return the folder of the replaced trainings in ``models/``."""
    return models / ".replaced"


def kept(models: Path) -> list[Path]:
    """Return the replaced trainings in ``models/``."""
    return sorted(path for path in folder(models).glob("*") if path.is_dir())


def move(directory: Path) -> Path:
    """Move ``models/<run>/`` into the folder of the replaced trainings; return its new path."""
    place = folder(directory.parent)
    place.mkdir(exist_ok=True)
    names = itertools.chain([directory.name], (f"{directory.name}.{number}" for number in itertools.count(2)))
    return directory.rename(next(place / name for name in names if not (place / name).exists()))


def differences(old: Mapping[str, Any], new: Mapping[str, Any], images: Store) -> list[str]:
    """Return what differs between the settings of two trainings, with their fingerprints."""
    settings, now = ({key: value for key, value in each.items() if key != "fingerprints"} for each in (old, new))
    data = other_data(images, old.get("fingerprints", {}), new["fingerprints"])
    return [*differing(settings, now), *data]


def cost(directory: Path) -> str:
    """Describe what a training cost, as "20 epochs, 3.1 hours"."""
    return ", ".join([counted(epochs(directory), "epoch"), *filter(None, [_duration(_seconds(directory))])])


def epochs(directory: Path) -> int:
    """Return the number of epochs that ``models/<run>/`` was trained for."""
    with contextlib.suppress(InputError):
        return len(csv_files.read(RunFiles(directory).history, ("epoch",)))
    return 0


def begun(directory: Path) -> int:
    """Return the number of epochs that the training in ``models/<run>/`` has begun; for fewer, it must start again."""
    noted: int = files.read_if_whole(checkpoints.digests(RunFiles(directory).checkpoint)).get("epochs", 0)
    return max(epochs(directory), noted)


def _seconds(directory: Path) -> float:
    with contextlib.suppress(InputError, ValueError):
        rows = csv_files.read(RunFiles(directory).times, ("epoch", "seconds"))
        return sum(float(row["seconds"]) for row in rows)
    return 0.0


def _duration(seconds: float) -> str:
    for unit, size in (("hours", 3600), ("minutes", 60), ("seconds", 1)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return ""

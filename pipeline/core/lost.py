"""Notes of what was found missing, damaged or changed: as a rule's input, a note that is newer has it made again."""

import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.core import files

MISSING = "missing"


def path_of(target: Path) -> Path:
    """Where the note on `target`, which one rule makes, lies."""
    return target.with_name(f".{target.name}.lost")


def note(target: Path, lines: Sequence[str]) -> None:
    """Write the note. Snakemake compares the bytes of inputs too, so no two notes are alike."""
    files.write_text(path_of(target), "\n".join([*lines, f"noted at {time.time_ns()} ns", ""]))


def notes(target: Path) -> list[str]:
    """The note's path, if there ever was one."""
    return [str(path_of(target))] if path_of(target).exists() else []


def take_back(target: Path) -> None:
    """Remove a note on what is whole after all."""
    path_of(target).unlink(missing_ok=True)

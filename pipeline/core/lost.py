"""Notes on missing, damaged or changed files. A rule has its note as an input, so a newer note reruns the rule."""

import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.core import files

MISSING = "missing"


def path_of(target: Path) -> Path:
    """Return the path of the note on `target`, the output of one rule."""
    return target.with_name(f".{target.name}.lost")


def note(target: Path, lines: Sequence[str]) -> None:
    """Write the note. Snakemake compares the bytes of inputs too, so every note is unique."""
    files.write_text(path_of(target), "\n".join([*lines, f"noted at {time.time_ns()} ns", ""]))


def notes(target: Path) -> list[str]:
    """Return the note's path if it exists."""
    return [str(path_of(target))] if path_of(target).exists() else []


def take_back(target: Path) -> None:
    """Remove the note on a target that is intact after all."""
    path_of(target).unlink(missing_ok=True)

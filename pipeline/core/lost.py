"""Notes on missing, damaged or changed files. A note is an input of its rule, so a newer note reruns the rule."""

import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.core import files

MISSING = "missing"


def path_of(target: Path) -> Path:
    """Return the path of the note on `target`, the output of one rule."""
    return target.with_name(f".{target.name}.lost")


def note(target: Path, lines: Sequence[str]) -> None:
    """Write the note, with the time, because Snakemake ignores a newer input with the same content."""
    files.write_text(path_of(target), "\n".join([*lines, f"noted at {time.time_ns()} ns", ""]))


def notes(target: Path) -> list[str]:
    """Return the note's path if it exists."""
    return [str(path_of(target))] if path_of(target).exists() else []

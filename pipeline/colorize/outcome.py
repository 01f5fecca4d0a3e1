"""How a call of `colorize_files` ended."""

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.colorize.protection import Refused
from pipeline.core.errors import InputError
from pipeline.core.text import printable
from pipeline.images.formats import UnreadablePhotograph


@dataclass
class Outcome:
    """Counts of files by outcome, and the reasons for failures by file.

    Of those left out, `in_colour` counts the colour photographs, and `formats` files by the format that is not read.
    `trained_on` counts the photographs that are in the run's training partition.
    `reports` list the files.
    """

    done: int = 0
    skipped: int = 0
    left_out: int = 0
    in_colour: int = 0
    trained_on: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    formats: dict[str, int] = field(default_factory=dict)
    reports: list[Path] = field(default_factory=list)


def why_failed(error: Exception) -> str:
    """Return why a photograph failed, in one line without its folder."""
    if isinstance(error, MemoryError):
        return "does not fit in memory"
    if isinstance(error, OSError) and error.strerror:
        return printable(f"{error.strerror}{f' ({Path(str(error.filename)).name})' if error.filename else ''}")
    plain = isinstance(error, UnreadablePhotograph | InputError | Refused)
    return printable(" ".join((str(error) if plain else f"{type(error).__name__}: {error}").split()))

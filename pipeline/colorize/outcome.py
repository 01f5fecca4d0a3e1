"""How a call of `colorize_files` ended."""

import errno
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.colorize.protection import Refused
from pipeline.core.errors import InputError
from pipeline.core.text import printable
from pipeline.images.formats import UnreadablePhotograph

IN_COLOUR = "already in colour: left as it is; --recolor replaces its colours"
OURS = "coloured by DeepColor; to use it as a photograph, name the file itself"
_REMEDIES = {
    errno.EISDIR: "move this folder away, or choose another folder for the outputs",
    errno.EINVAL: "the disk may not allow this name; rename the photograph, or choose another folder for the outputs",
    errno.EACCES: "make it accessible, or choose another folder for the outputs",
    errno.EPERM: "make it accessible, or choose another folder for the outputs",
}


class LeftAsItIs(Exception):
    """A photograph that is left out on purpose; the message is `IN_COLOUR` or `OURS`."""


@dataclass
class Outcome:
    """Counts of files by outcome, and the reasons for failures by file.

    Of those left out, `in_colour` counts the colour photographs, `ours` those that DeepColor coloured, and `formats`
    files by the format that is not read.
    `trained_on` counts the photographs that are in the run's training partition.
    `reports` list the files.
    """

    done: int = 0
    skipped: int = 0
    left_out: int = 0
    in_colour: int = 0
    ours: int = 0
    trained_on: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    formats: dict[str, int] = field(default_factory=dict)
    reports: list[Path] = field(default_factory=list)


def why_failed(error: Exception) -> str:
    """Return why a photograph failed, in one line without its folder."""
    if isinstance(error, MemoryError):
        return "does not fit in memory"
    if isinstance(error, OSError) and error.strerror:
        place = error.filename2 or error.filename
        remedy = f"; {_REMEDIES[error.errno]}" if error.errno in _REMEDIES else ""
        return printable(f"{error.strerror}{f' ({Path(str(place)).name})' if place else ''}{remedy}")
    plain = isinstance(error, UnreadablePhotograph | InputError | Refused)
    return printable(" ".join((str(error) if plain else f"{type(error).__name__}: {error}").split()))

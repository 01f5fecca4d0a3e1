"""A photograph that a page brought, its files, and how it stands with it."""

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pipeline.serve.worker import Coloured

SOURCE, BEFORE = "photograph", "before.jpg"
SENDING, WAITING, WORKING, DONE, FAILED = "sending", "waiting", "working", "done", "failed"
LONGEST_NAME = 150  # characters; file systems take 255 bytes


class Settings(NamedTuple):
    """The number of a run, and what its a and b are multiplied by."""

    run: int
    saturation: float


class Made(NamedTuple):
    """A coloured photograph and how it came about; `number` tells it from those before it."""

    number: int
    settings: Settings
    coloured: Coloured
    seconds: float


@dataclass(eq=False)
class Photograph:
    """A photograph in the queue or done; `key`, which nobody can guess, is all that it takes to see it."""

    key: str
    name: str
    folder: Path
    seen: float
    state: str = SENDING
    step: str = ""
    since: float = 0.0
    wanted: Settings = field(default_factory=lambda: Settings(0, 1.0))
    made: Made | None = None
    problem: str = ""
    count: int = 0

    def tell(self, step: str) -> None:
        """Say what is being done."""
        self.step = step

    @property
    def source(self) -> Path:
        """The file as it came."""
        return self.folder / SOURCE

    @property
    def before(self) -> Path:
        """A reduced JPEG of it, once that is made."""
        return self.folder / BEFORE

    def target(self, number: int) -> Path:
        """The folder of a result."""
        return self.folder / f"{number}"

    def after(self, number: int) -> Path:
        """A reduced JPEG of a result."""
        return self.folder / f"{number}.jpg"


def plain_name(name: str) -> str:
    """A file's name without folders or what cannot be seen, never empty."""
    last = name.replace("\\", "/").rpartition("/")[2]
    seen = "".join(c if c.isprintable() and unicodedata.category(c) != "Cf" else "_" for c in last).strip()
    if len(seen) > LONGEST_NAME:
        stem, dot, suffix = seen.rpartition(".")
        kept = dot + suffix if stem and len(suffix) < 10 else ""
        seen = seen[: LONGEST_NAME - len(kept)] + kept
    return "photograph" if seen.strip(".") == "" else seen

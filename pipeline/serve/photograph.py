"""An uploaded photograph, its files and its progress."""

import contextlib
import time
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pipeline.colorize.hints import Hint
from pipeline.colorize.variants import MOST
from pipeline.core.errors import InputError
from pipeline.serve.jobs import HINTS, Coloured, Job

LONGEST_NAME = 150  # characters; file systems allow 255 bytes


class Settings(NamedTuple):
    """The number of a run, the factor for a and b, colours that are wanted at places, and the number of a variant."""

    run: int
    saturation: float
    hints: tuple[Hint, ...] = ()
    variant: int = 0

    def refuse_out_of_range(self, runs: int) -> None:
        """Raise InputError unless there is the run, of so many, and the factor and the variant are valid."""
        if not 0 <= self.run < runs:
            raise InputError(f"expected the number of a run below {runs}, received {self.run}")
        if not 0 <= self.saturation <= 10:
            raise InputError(f"expected a saturation in 0..10, received {self.saturation}")
        if not 0 <= self.variant < MOST:
            raise InputError(f"expected the number of a variant in 0..{MOST - 1}, received {self.variant}")

    def as_json(self) -> dict[str, Any]:
        """Return what the page compares with its own settings."""
        return self._asdict() | {"hints": [hint.as_json() for hint in self.hints]}


class Result(NamedTuple):
    """A coloured photograph: the number of the attempt, how it was made, and how long that took."""

    number: int
    settings: Settings
    job: Job
    coloured: Coloured
    seconds: float

    @property
    def file(self) -> Path:
        """The coloured photograph."""
        return self.job.target / self.coloured.file

    @property
    def hints(self) -> Path | None:
        """A file of its hints, if it has any; see `pipeline.colorize.hints.Hints.loaded`."""
        return self.job.target / HINTS if self.settings.hints else None


@dataclass(eq=False)
class Photograph:
    """An uploaded photograph. Whoever knows `key` or `page`, which cannot be guessed, can see it.

    Attributes:
        key: identifies it in requests.
        page: identifies its page.
        path: the file's name, after those of the folders that were chosen; never used on the disk.
        folder: contains its files.
        size: of all its files in bytes, when `measure` was called last.
        received: whether the upload is complete.
        requested: the latest settings that the page asked for.
        attempts: how many times it was coloured.
        step: what the worker is doing.
        started: time of the latest attempt, in seconds of the monotonic clock.
        seen: time of the page's latest request about it, on the same clock.
        result: of the latest attempt, if it succeeded.
        problem: of the latest attempt, if it failed.
    """

    key: str
    page: str
    path: str
    folder: Path
    size: int = 0
    received: bool = False
    requested: Settings = field(default_factory=lambda: Settings(0, 1.0))
    attempts: int = 0
    step: str = ""
    started: float = 0.0
    seen: float = field(default_factory=time.monotonic)
    result: Result | None = None
    problem: str = ""

    @property
    def output(self) -> str:
        """The name under which the result is downloaded, with folders; of the coloured file only the suffix counts."""
        own = PurePosixPath(self.path)
        suffix = PurePosixPath(self.result.coloured.file).suffix if self.result else ""
        return str(own.with_name(f"{own.stem}-coloured{suffix or own.suffix}"))

    @property
    def name(self) -> str:
        """The file's name."""
        return PurePosixPath(self.path).name

    @property
    def source(self) -> Path:
        """The uploaded file."""
        return self.folder / "photograph"

    @property
    def before(self) -> Path:
        """A reduced JPEG of the uploaded file, made by the first attempt."""
        return self.folder / "before.jpg"

    @property
    def whole(self) -> Path:
        """A JPEG of the uploaded file in full size, made when the page asks for it."""
        return self.folder / "whole" / "before.jpg"

    def job(self, settings: Settings, run: Path) -> Job:
        """Return what the worker is to do in the latest attempt, with the folder of the run in the settings."""
        return Job(
            source=self.source,
            before=self.before,
            target=self.folder / f"{self.attempts}",
            after=self.folder / f"{self.attempts}.jpg",
            run=run,
            saturation=settings.saturation,
            hints=settings.hints,
            variant=settings.variant,
            name=self.name,
        )

    def results(self) -> list[tuple[str, Path]]:
        """Return the name of the result and its file, and those of its hints; nothing without a result."""
        if (result := self.result) is None:
            return []
        return [(self.output, result.file), *([(f"{self.path}.hints.json", result.hints)] if result.hints else [])]

    def measure(self) -> None:
        """Note how large its files are."""
        with contextlib.suppress(OSError):  # deleted meanwhile
            self.size = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def touch(self) -> None:
        """Note that its page is still open."""
        self.seen = time.monotonic()

    def report(self, step: str) -> None:
        """Note what the worker is doing."""
        self.step = step


def plain_name(name: str) -> str:
    """Return a file name without folders and invisible characters; it is never empty."""
    last = name.replace("\\", "/").rpartition("/")[2]
    visible = "".join(c if c.isprintable() and unicodedata.category(c) != "Cf" else "_" for c in last).strip()
    if len(visible) > LONGEST_NAME:
        stem, dot, suffix = visible.rpartition(".")
        ending = dot + suffix if stem and len(suffix) < 10 else ""
        visible = visible[: LONGEST_NAME - len(ending)] + ending
    return visible if visible.strip(".") else "photograph"


def plain_path(path: str) -> str:
    """Return a relative POSIX path of plain names; it is never empty and leads to no folder above."""
    *folders, name = path.replace("\\", "/").split("/")
    return "/".join([plain_name(folder) for folder in folders if folder.strip(". ")] + [plain_name(name)])

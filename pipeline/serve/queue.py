"""Photographs that were brought, what becomes of them, and when they go: within limits, one at a time."""

import contextlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core import files
from pipeline.images.formats import MAX_MEGAPIXELS
from pipeline.serve.photograph import (
    BEFORE,
    DONE,
    FAILED,
    SOURCE,
    WAITING,
    WORKING,
    Made,
    Photograph,
    Settings,
    plain_name,
)
from pipeline.serve.worker import Coloured, Failed, Job, Tell

PAUSE = 5.0  # seconds between two looks for what is to go


@dataclass(frozen=True)
class Limits:
    """What is taken.

    Attributes:
        photographs: how many there may be at once, on all pages together.
        upload_bytes: of one photograph's file.
        max_megapixels: of one photograph.
        total_bytes: of all files, results too; what is being made when it is reached may go beyond it.
        seconds: after which a photograph goes whose page has not asked for it.
    """

    photographs: int = 20
    upload_bytes: int = 500_000_000
    max_megapixels: float = MAX_MEGAPIXELS
    total_bytes: int = 8_000_000_000
    seconds: float = 1800.0


class Refused(Exception):
    """This is not taken; the message is a sentence."""


class Gone(Exception):
    """There is no such photograph, or no longer."""


@dataclass(eq=False)
class Queue:
    """Takes photographs, has them coloured one after the other in a thread of its own, and forgets them in time.

    Attributes:
        folder: holds all files; nothing else may be in it.
        colour: does the work; see `pipeline.serve.worker`.
        runs: the folders of the runs that `Settings` number.
        limits: see there.
    """

    folder: Path
    colour: Callable[[Job, Tell], Coloured]
    runs: list[Path]
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self._photographs: dict[str, Photograph] = {}
        self._waiting: list[Photograph] = []
        self._current: Photograph | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="queue", daemon=True)
        self._thread.start()

    def add(self, name: str) -> Photograph:
        """Make room for a photograph, whose file is then to be written to its `source`.

        Raises:
            Refused: there are too many, or they take too much room.
        """
        with self._changed:
            self._forget()
            if len(self._photographs) >= self.limits.photographs:
                raise Refused(f"at most {self.limits.photographs} photographs are taken at once; remove some first")
            self._refuse_full()
            key = secrets.token_urlsafe(16)
            photograph = Photograph(key, plain_name(name), self.folder / key, time.monotonic())
            photograph.folder.mkdir(parents=True)
            self._photographs[key] = photograph
            return photograph

    def keep(self, photograph: Photograph) -> None:
        """Its page is there."""
        photograph.seen = time.monotonic()

    def want(self, key: str, settings: Settings) -> None:
        """Have a photograph coloured, at the next turn; one that is being coloured otherwise is coloured again.

        Raises:
            Gone: it is not there.
            Refused: the settings are out of range.
        """
        if not 0 <= settings.run < len(self.runs):
            raise Refused(f"expected the number of a run below {len(self.runs)}, received {settings.run}")
        if not 0 <= settings.saturation <= 10:
            raise Refused(f"expected a saturation in 0..10, received {settings.saturation}")
        with self._changed:
            photograph = self._get(key)
            photograph.wanted = settings
            if photograph.made and photograph.made.settings == settings and photograph is not self._current:
                self._waiting = [other for other in self._waiting if other is not photograph]
                photograph.state = DONE
                return
            if photograph not in self._waiting:
                self._waiting.append(photograph)
            if photograph is not self._current:
                photograph.state = WAITING
            self._changed.notify_all()

    def get(self, key: str) -> Photograph:
        """A photograph; raises `Gone`."""
        with self._changed:
            return self._get(key)

    def remove(self, keys: Iterable[str]) -> None:
        """Forget photographs and all that was made of them; of one that is being coloured, when that is done."""
        with self._changed:
            for key in keys:
                self._drop(key)

    def tell(self, keys: Iterable[str]) -> list[dict[str, Any]]:
        """How it stands with photographs, those that are there; asking keeps them."""
        with self._changed:
            self._forget(keep := [key for key in keys if key in self._photographs])
            return [self._told(self._photographs[key]) for key in keep]

    def close(self) -> None:
        """Take no more work; the thread ends when what it is doing does."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(10)

    def __enter__(self) -> "Queue":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _get(self, key: str) -> Photograph:
        if key not in self._photographs:
            raise Gone
        return self._photographs[key]

    def _told(self, photograph: Photograph) -> dict[str, Any]:
        made = photograph.made
        waiting = photograph in self._waiting and photograph is not self._current
        return {
            "key": photograph.key,
            "state": photograph.state,
            "step": photograph.step,
            "seconds": time.monotonic() - photograph.since if photograph is self._current else 0,
            "ahead": self._waiting.index(photograph) + (self._current is not None) if waiting else 0,
            "run": photograph.wanted.run,
            "saturation": photograph.wanted.saturation,
            "problem": photograph.problem,
            "before": photograph.before.exists(),
            "made": made
            and {
                "number": made.number,
                "remarks": made.coloured.remarks,
                "width": made.coloured.width,
                "height": made.coloured.height,
                "seconds": made.seconds,
            },
        }

    def _forget(self, asked: Iterable[str] = ()) -> None:
        now = time.monotonic()
        for key in asked:
            self._photographs[key].seen = now
        for photograph in list(self._photographs.values()):
            if now - photograph.seen > self.limits.seconds:
                self._drop(photograph.key)

    def _drop(self, key: str) -> None:
        photograph = self._photographs.pop(key, None)
        if photograph is None:
            return
        self._waiting = [other for other in self._waiting if other is not photograph]
        if photograph is not self._current:
            shutil.rmtree(photograph.folder, ignore_errors=True)

    def _refuse_full(self) -> None:
        size = 0
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with contextlib.suppress(OSError):  # it is gone by now
                    size += (Path(folder) / name).stat().st_size
        if size >= self.limits.total_bytes:
            raise Refused(f"the photographs take more than {self.limits.total_bytes / 1e9:g} GB; remove some first")

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._forget()
                    self._changed.wait(PAUSE)
                if self._closed:
                    return
                photograph = self._waiting.pop(0)
                settings = photograph.wanted
                photograph.count += 1
                photograph.state, photograph.step, photograph.since = WORKING, "", time.monotonic()
                self._current = photograph
            number, made, problem = photograph.count, None, ""
            try:
                self._refuse_full()
                made = self.colour(self._job(photograph, settings), photograph.tell)
            except (Failed, Refused) as failed:
                problem = str(failed)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
            with self._changed:
                self._current = None
                self._finish(photograph, number, settings, made, problem)

    def _job(self, photograph: Photograph, settings: Settings) -> Job:
        return Job(
            source=photograph.source,
            before=photograph.before,
            target=photograph.target(photograph.count),
            after=photograph.after(photograph.count),
            run=self.runs[settings.run],
            saturation=settings.saturation,
        )

    def _finish(
        self, photograph: Photograph, number: int, settings: Settings, coloured: Coloured | None, problem: str
    ) -> None:
        if photograph.key not in self._photographs:
            shutil.rmtree(photograph.folder, ignore_errors=True)
            return
        if photograph in self._waiting:  # it is wanted otherwise by now
            photograph.state = WAITING
        else:
            seconds = time.monotonic() - photograph.since
            photograph.made = Made(number, settings, coloured, seconds) if coloured else None
            photograph.state, photograph.problem = (DONE, "") if coloured else (FAILED, problem)
        kept = {SOURCE, BEFORE}
        if made := photograph.made:
            kept |= {photograph.target(made.number).name, photograph.after(made.number).name}
        with contextlib.suppress(OSError):
            for path in photograph.folder.iterdir():
                if path.name not in kept:
                    files.remove(path)

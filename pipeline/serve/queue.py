"""The queue of uploaded photographs: accepts them within limits, colours one at a time, and deletes them."""

import contextlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.images.formats import MAX_MEGAPIXELS
from pipeline.serve.photograph import Photograph, Result, Settings, plain_name
from pipeline.serve.worker import Coloured, Job, Report

PAUSE = 5.0  # seconds between two checks for photographs whose page is gone


@dataclass(frozen=True)
class Limits:
    """What the server accepts.

    Attributes:
        photographs: how many at once, over all pages.
        upload_bytes: size of one photograph's file.
        max_megapixels: size of one photograph.
        total_bytes: size of all files including results; an attempt that has started may exceed it.
        seconds: how long a photograph is kept after its page last asked about it.
    """

    photographs: int = 20
    upload_bytes: int = 500_000_000
    max_megapixels: float = MAX_MEGAPIXELS
    total_bytes: int = 8_000_000_000
    seconds: float = 1800.0


class Gone(InputError):
    """There is no such photograph, or no longer."""

    def __init__(self) -> None:
        super().__init__("the program no longer has this photograph; drop it again")


class Queue:
    """Accepts photographs, colours them one after the other in a thread, and deletes them when their page is gone."""

    def __init__(
        self, folder: Path, colour: Callable[[Job, Report], Coloured], runs: list[Path], limits: Limits
    ) -> None:
        """Start the thread.

        Args:
            folder: for all files; must contain nothing else.
            colour: see `pipeline.serve.worker.Worker.colour`.
            runs: the folders that `Settings.run` counts.
            limits: what to accept.
        """
        self.limits = limits
        self._folder, self._colour, self._runs = folder, colour, runs
        self._photographs: dict[str, Photograph] = {}
        self._waiting: dict[str, Photograph] = {}  # in the order of their turns
        self._current: Photograph | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="queue", daemon=True)
        self._thread.start()

    def add(self, name: str) -> Photograph:
        """Make room for a photograph; the caller then writes its `source`, and sets `received`.

        Raises:
            InputError: there are too many photographs, or they take too much space.
        """
        with self._changed:
            self._expire()
            if len(self._photographs) >= self.limits.photographs:
                raise InputError(f"at most {self.limits.photographs} photographs at once; remove some first")
            self._refuse_full()
            key = secrets.token_urlsafe(16)
            photograph = Photograph(key, plain_name(name), self._folder / key)
            photograph.folder.mkdir(parents=True)
            self._photographs[key] = photograph
            return photograph

    def request(self, key: str, settings: Settings) -> None:
        """Queue a photograph for colouring. If it is being coloured with other settings, it is coloured again.

        Raises:
            Gone: there is no such photograph.
            InputError: the settings are out of range, or the upload is not complete.
        """
        if not 0 <= settings.run < len(self._runs):
            raise InputError(f"expected the number of a run below {len(self._runs)}, received {settings.run}")
        if not 0 <= settings.saturation <= 10:
            raise InputError(f"expected a saturation in 0..10, received {settings.saturation}")
        with self._changed:
            photograph = self.get(key)
            if not photograph.received:
                raise InputError("the photograph is still being uploaded")
            photograph.requested = settings
            if photograph.result and photograph.result.settings == settings and photograph is not self._current:
                self._waiting.pop(key, None)
            else:
                self._waiting.setdefault(key, photograph)
                self._changed.notify_all()

    def get(self, key: str) -> Photograph:
        """Return a photograph, or raise `Gone`."""
        try:
            return self._photographs[key]
        except KeyError:
            raise Gone from None

    def remove(self, keys: Iterable[str]) -> None:
        """Delete photographs and their results; one that is being coloured is deleted when that ends."""
        with self._changed:
            for key in keys:
                self._delete(key)

    def states(self, keys: Iterable[str]) -> list[dict[str, Any]]:
        """Return the states of those photographs that exist, as JSON values; asking keeps them."""
        with self._changed:
            photographs = [self._photographs[key] for key in keys if key in self._photographs]
            for photograph in photographs:
                photograph.touch()
            self._expire()
            return [self._state(photograph) for photograph in photographs]

    def close(self) -> None:
        """Start no more work; the thread ends after the current photograph."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(10)

    def _state(self, photograph: Photograph) -> dict[str, Any]:
        result, seconds, ahead = photograph.result, 0.0, 0
        if photograph is self._current:
            state, seconds = "working", time.monotonic() - photograph.started
        elif photograph.key in self._waiting:
            state, ahead = "waiting", list(self._waiting).index(photograph.key) + (self._current is not None)
        else:
            state = "done" if result else "failed"
        return {
            "key": photograph.key,
            "state": state,
            "step": photograph.step,
            "seconds": seconds,
            "ahead": ahead,
            **photograph.requested._asdict(),
            "problem": photograph.problem,
            "before": photograph.before.exists(),
            "result": result and {"number": result.number, "seconds": result.seconds, **result.coloured._asdict()},
        }

    def _expire(self) -> None:
        oldest = time.monotonic() - self.limits.seconds
        for photograph in list(self._photographs.values()):
            if photograph.seen < oldest:
                self._delete(photograph.key)

    def _delete(self, key: str) -> None:
        photograph = self._photographs.pop(key, None)
        self._waiting.pop(key, None)
        if photograph and photograph is not self._current:
            shutil.rmtree(photograph.folder, ignore_errors=True)

    def _refuse_full(self) -> None:
        size = 0
        for folder, _, names in os.walk(self._folder):
            for name in names:
                with contextlib.suppress(OSError):  # deleted meanwhile
                    size += (Path(folder) / name).stat().st_size
        if size >= self.limits.total_bytes:
            raise InputError(f"the photographs take more than {self.limits.total_bytes / 1e9:g} GB; remove some first")

    def _work(self) -> None:
        while photograph := self._next():
            settings, result, problem = photograph.requested, None, ""
            job = Job(
                source=photograph.source,
                before=photograph.before,
                target=photograph.folder / f"{photograph.attempts}",
                after=photograph.folder / f"{photograph.attempts}.jpg",
                run=self._runs[settings.run],
                saturation=settings.saturation,
            )
            try:
                self._refuse_full()
                coloured = self._colour(job, photograph.report)
                seconds = time.monotonic() - photograph.started
                result = Result(photograph.attempts, settings, job, coloured, seconds)
            except InputError as error:
                problem = str(error)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
            with self._changed:
                self._current = None
                self._finish(photograph, result, problem)

    def _next(self) -> Photograph | None:
        with self._changed:
            while not self._waiting and not self._closed:
                self._expire()
                self._changed.wait(PAUSE)
            if self._closed:
                return None
            photograph = self._current = self._waiting.pop(next(iter(self._waiting)))
            photograph.attempts += 1
            photograph.step, photograph.started = "", time.monotonic()
            return photograph

    def _finish(self, photograph: Photograph, result: Result | None, problem: str) -> None:
        if photograph.key not in self._photographs:
            shutil.rmtree(photograph.folder, ignore_errors=True)
            return
        if photograph.key not in self._waiting:  # otherwise other settings were requested meanwhile
            photograph.result, photograph.problem = result, problem
        needed = {photograph.source, photograph.before}
        if photograph.result:
            needed |= {photograph.result.job.target, photograph.result.job.after}
        with contextlib.suppress(OSError):
            for path in photograph.folder.iterdir():
                if path not in needed:
                    files.remove(path)

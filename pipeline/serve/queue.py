"""The queue of uploaded photographs: accepts them within limits, colours one at a time, and deletes them."""

import contextlib
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pipeline.colorize.hints import refuse_outside
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.serve.jobs import Coloured, Job, Place, Preview, Strip, Whole
from pipeline.serve.limits import Limits, refuse_full, refuse_too_many
from pipeline.serve.photograph import Photograph, Result, Settings, plain_path
from pipeline.serve.refusal import Gone, not_stored
from pipeline.serve.turns import Turns
from pipeline.serve.worker import Report

PAUSE = 5.0  # seconds between two checks for photographs whose page is gone


class Queue:
    """Accepts photographs, colours them one after the other in a thread, and deletes them when their page is gone."""

    def __init__(
        self,
        folder: Path,
        colour: Callable[[Job, Report], Coloured],
        show: Callable[[Whole], None],
        preview: Callable[[Preview | Place | Strip], Any],
        runs: list[Path],
        limits: Limits,
    ) -> None:
        """Start the thread.

        Args:
            folder: for all files; must contain nothing else.
            colour: see `pipeline.serve.worker.Worker.colour`.
            show: see `pipeline.serve.worker.Worker.show`; it is called from several threads, one at a time.
            preview: see `pipeline.serve.worker.Worker.preview`; it is never called while `colour` runs.
            runs: the folders that `Settings.run` counts.
            limits: what to accept.
        """
        self.limits = limits
        self.folder, self._colour, self._show, self._preview = folder, colour, show, preview
        self._runs = runs
        self._photographs: dict[str, Photograph] = {}
        self._waiting: dict[str, Photograph] = {}  # in the order of their turns
        self._current: Photograph | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._showing = threading.Lock()
        self._turns = Turns()
        self._thread = threading.Thread(target=self._work, name="queue", daemon=True)
        self._thread.start()

    def add(self, page: str, path: str) -> Photograph:
        """Make room for a photograph of a page; the caller then writes its `source`, and sets `received`.

        Raises:
            Refusal: there are too many photographs, or they take too much space.
        """
        with self._changed:
            self._expire()
            waiting = sum(not photograph.attempts for photograph in self._photographs.values())
            refuse_too_many(len(self._photographs), waiting, self.limits)
            refuse_full(self._size(), self.limits)
            key = secrets.token_urlsafe(16)
            photograph = Photograph(key, page, plain_path(path), self.folder / key)
            try:
                photograph.folder.mkdir(parents=True)
            except OSError as error:
                raise not_stored(self.folder, error) from None
            self._photographs[key] = photograph
            return photograph

    def request(self, key: str, settings: Settings) -> None:
        """Queue a photograph for colouring. If it is being coloured with other settings, it is coloured again.

        Raises:
            Gone: there is no such photograph.
            InputError: the settings are out of range, or the upload is not complete.
        """
        settings.refuse_out_of_range(len(self._runs))
        with self._changed:
            photograph = self.get(key)
            if not photograph.received:
                raise InputError("the photograph is still being uploaded")
            photograph.measure()
            if photograph.result:
                size = photograph.result.coloured
                refuse_outside(settings.hints, size.height, size.width)
            photograph.requested = settings
            self._turns.hurry()
            if photograph.result and photograph.result.settings == settings and photograph is not self._current:
                self._waiting.pop(key, None)
            else:
                self._waiting.setdefault(key, photograph)
                self._changed.notify_all()

    def preview(self, key: str, settings: Settings) -> bytes:
        """Return a JPEG of a photograph at a reduced size, coloured at once.

        Raises:
            Gone: there is no such photograph.
            Refusal: another photograph is still being coloured.
            InputError: the settings are out of range, or the network takes no hints.
        """
        jpeg: bytes = self._asked(key, self._previewed(key, settings))
        return jpeg

    def strip(self, key: str, settings: Settings) -> bytes:
        """Return a JPEG of the first variants, see `pipeline.serve.previews`; for errors see `preview`."""
        jpeg: bytes = self._asked(key, Strip(self._previewed(key, settings)))
        return jpeg

    def likely(self, key: str, settings: Settings, x: int, y: int) -> list[str]:
        """Return the colours, "#rrggbb", that the network finds likely at a pixel; for errors see `preview`."""
        colours: list[str] = self._asked(key, Place(self._previewed(key, settings), x, y))
        return colours

    def _previewed(self, key: str, settings: Settings) -> Preview:
        settings.refuse_out_of_range(len(self._runs))
        return Preview(self.get(key).source, self._runs[settings.run], *settings[1:])

    def _asked(self, key: str, request: Preview | Place | Strip) -> Any:
        """Ask the worker before it begins with the next photograph."""
        try:
            with self._turns.preview():
                return self._preview(request)
        finally:
            self.get(key)  # or it is gone, which says more than an unreadable file

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

    def remove_page(self, page: str) -> None:
        """Delete all photographs of a page."""
        self.remove([photograph.key for photograph in self._of(page)])

    def states(self, page: str) -> list[dict[str, Any]]:
        """Return the states of a page's photographs, as JSON values; asking keeps them."""
        with self._changed:
            photographs = self._of(page)
            for photograph in photographs:
                photograph.touch()
            self._expire()
            return [self._state(photograph) for photograph in photographs]

    def results(self, page: str) -> list[tuple[str, Path]]:
        """Return the name of each coloured photograph of a page, with folders, and its file, and those of its hints."""
        return [each for photograph in self._of(page) for each in photograph.results()]

    def whole(self, key: str, number: int) -> Path:
        """Return a JPEG of a photograph (number 0) or its result in full size, or as large as browsers show well.

        Raises:
            Gone: there is no such photograph or result.
            InputError: it cannot be shown.
        """
        source, target = self._whole(key, number)
        try:
            with self._showing:
                if not target.exists():
                    self._show(Whole(source, target))
        finally:
            try:
                self._whole(key, number)
            except Gone:  # deleted meanwhile, and its folder may have been made again for this file
                with contextlib.suppress(OSError):
                    files.remove(target.parent)
                    target.parent.parent.rmdir()
                raise
        self.get(key).measure()
        return target

    def _whole(self, key: str, number: int) -> tuple[Path, Path]:
        photograph = self.get(key)
        if number == 0:
            return photograph.source, photograph.whole
        if photograph.result is None or photograph.result.number != number:
            raise Gone
        return photograph.result.file, photograph.result.job.target / "whole.jpg"

    def _size(self) -> int:
        with self._changed:
            return sum(photograph.size for photograph in self._photographs.values())

    def _of(self, page: str) -> list[Photograph]:
        with self._changed:
            return [photograph for photograph in self._photographs.values() if photograph.page == page]

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
            **photograph.requested.as_json(),
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

    def _work(self) -> None:
        while self._due():
            with self._turns.photograph():
                if photograph := self._next():
                    self._attempt(photograph)

    def _attempt(self, photograph: Photograph) -> None:
        settings, result, problem = photograph.requested, None, ""
        job = photograph.job(settings, self._runs[settings.run])
        try:
            refuse_full(self._size(), self.limits)
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

    def _due(self) -> bool:
        """Wait for a photograph; return whether to go on."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._expire()
                self._changed.wait(PAUSE)
            return not self._closed

    def _next(self) -> Photograph | None:
        with self._changed:
            if self._closed or not self._waiting:  # removed meanwhile
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
        needed = {photograph.source, photograph.before, photograph.whole.parent}
        if photograph.result:
            needed |= {photograph.result.job.target, photograph.result.job.after}
        with contextlib.suppress(OSError):
            for path in photograph.folder.iterdir():
                if path not in needed:
                    files.remove(path)
        photograph.measure()

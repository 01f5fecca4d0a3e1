"""Whose turn it is to have the worker do something: previews come before the next photograph."""

import contextlib
import threading
import time
from collections.abc import Iterator

from pipeline.serve.refusal import BUSY, Refusal

PATIENCE = 10.0  # seconds that a preview waits for the photograph that is being coloured
HELD = 2.0  # seconds after a preview in which another is expected, so that no photograph is begun


class Turns:
    """Gives turns to several threads, one at a time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._busy = False
        self._previews = 0  # that wait
        self._held = 0.0  # until when no photograph is begun, in seconds of the monotonic clock

    @contextlib.contextmanager
    def preview(self) -> Iterator[None]:
        """Hold the turn of a preview for the block.

        Raises:
            Refusal: the turn of a photograph lasts.
        """
        with self._changed:
            self._previews += 1
            try:
                if not self._changed.wait_for(lambda: not self._busy, PATIENCE):
                    raise Refusal(BUSY, "the program is colouring another photograph; try again soon")
                self._busy = True
            finally:
                self._previews -= 1
                self._held = time.monotonic() + HELD
        try:
            yield
        finally:
            self._end(HELD)

    @contextlib.contextmanager
    def photograph(self) -> Iterator[None]:
        """Hold the turn of a photograph for the block, once no preview is expected."""
        with self._changed:
            while self._busy or self._previews or time.monotonic() < self._held:
                self._changed.wait(max(0.01, self._held - time.monotonic()))
            self._busy = True
        try:
            yield
        finally:
            self._end(0)

    def hurry(self) -> None:
        """Expect no more previews."""
        with self._changed:
            self._held = 0.0
            self._changed.notify_all()

    def _end(self, held: float) -> None:
        with self._changed:
            self._busy = False
            self._held = max(self._held, time.monotonic() + held)
            self._changed.notify_all()

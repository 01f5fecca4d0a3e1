"""Ctrl-C and SIGTERM: a process stops where that does no harm, and soon."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

GRACE = 5.0  # seconds in which a process that is told to stop ends by itself, not counting what `held_back` defers
RETRY = 0.05  # seconds until a signal that arrived during an import is looked at again
CHECK = 0.5  # seconds between looks at the clock and at whether the caller has ended
# SIGALRM repeats one of the others.
_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)

_held = 0  # blocks of `held_back` that are open


class Stopped(KeyboardInterrupt):
    """SIGTERM was received, or the process that started this one has ended."""


@contextlib.contextmanager
def stopping(last_words: Callable[[int], str], orphaned: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Raise KeyboardInterrupt in the block at Ctrl-C, and `Stopped` at SIGTERM or once `orphaned` is true.

    An exception that is raised while Python imports a module can leave locks taken for which other threads wait for
    ever, so it is raised after the import. In a callback of the interpreter or of TensorFlow it can get lost. A process
    that is not at its end `GRACE` seconds after a signal therefore ends like one that is killed, without cleaning up,
    but not while `held_back` defers signals. Only for the main thread.

    Args:
        last_words: what to print then, by the number of the signal.
    """
    stop = _Stop()
    before = {number: signal.signal(number, stop) for number in _NUMBERS}
    over = threading.Event()
    threading.Thread(target=_watch, args=(stop, over, last_words, orphaned), daemon=True).start()
    try:
        yield
    finally:
        over.set()
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stop:
    """Handles signals.

    Attributes:
        number: the first signal, or 0.
        since: when it was last seen, in seconds of `time.monotonic`.
    """

    def __init__(self) -> None:
        self.number, self.since = 0, 0.0
        self._raised = False

    def ask(self, number: int) -> None:
        """Note a signal."""
        self.number = self.number or number
        self.since = self.since or time.monotonic()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.ask(number)
        if self._raised:  # it must not interrupt what ends the process
            return
        if _would_be_lost(frame):
            signal.setitimer(signal.ITIMER_REAL, RETRY)
            return
        self._raised, self.since = True, time.monotonic()
        raise self._exception()

    def refuse_to_go_on(self) -> None:
        """Raise the exception again if it was raised before and got lost."""
        if self._raised:
            raise self._exception()

    def _exception(self) -> KeyboardInterrupt:
        return KeyboardInterrupt() if self.number == signal.SIGINT else Stopped()


def _would_be_lost(frame: FrameType | None) -> bool:
    """Whether Python imports a module, or is in a callback of the garbage collector, JAX's."""
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib") or frame.f_code.co_name == "_xla_gc_callback":
            return True
        frame = frame.f_back
    return False


def _watch(stop: _Stop, over: threading.Event, last_words: Callable[[int], str], orphaned: Callable[[], bool]) -> None:
    while not over.wait(CHECK):
        if not stop.number and orphaned():
            stop.ask(signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        if stop.number and not _held and time.monotonic() - stop.since > GRACE:
            with contextlib.suppress(OSError):
                os.write(2, f"{last_words(stop.number)}\n".encode())
            os._exit(128 + stop.number)


@contextlib.contextmanager
def held_back() -> Iterator[Sequence[int]]:
    """Defer Ctrl-C and SIGTERM until the block ends. Has no effect outside the main thread, which receives signals.

    Yields:
        The signals received so far, so that the block can end early.

    Raises:
        KeyboardInterrupt: a signal was received before, but its exception got lost in a callback.
    """
    global _held
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    handler, handled = signal.getsignal(signal.SIGINT), sys.exc_info()[1]
    if isinstance(handler, _Stop) and not isinstance(handled, KeyboardInterrupt):
        handler.refuse_to_go_on()

    def note(number: int, frame: Any) -> None:
        received.append(number)

    handlers = {number: signal.signal(number, note) for number in _NUMBERS}
    _held += 1
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        try:
            if received:
                signal.raise_signal(received[0])
        finally:
            _held -= 1

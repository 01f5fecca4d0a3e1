"""Moments at which Ctrl-C and SIGTERM have to wait."""

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def held_back() -> Iterator[Sequence[int]]:
    """Let Ctrl-C and SIGTERM take effect after the block only; in the main thread, which alone receives them.

    Yields:
        The signals that came, for a block that ends early then.
    """
    waiting: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield waiting
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.signal(number, lambda came, frame: waiting.append(came)) for number in numbers}
    try:
        yield waiting
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if waiting:
            signal.raise_signal(waiting[0])

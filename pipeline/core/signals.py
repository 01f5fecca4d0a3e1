"""Deferring Ctrl-C and SIGTERM."""

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def held_back() -> Iterator[Sequence[int]]:
    """Defer Ctrl-C and SIGTERM until the block ends, in the main thread, the only one that receives them.

    Yields:
        The signals received so far, so that the block can end early.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.signal(number, lambda came, frame: received.append(came)) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])

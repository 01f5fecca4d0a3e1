"""Deferring Ctrl-C and SIGTERM."""

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def held_back() -> Iterator[Sequence[int]]:
    """Defer Ctrl-C and SIGTERM until the block ends. Has no effect outside the main thread, which receives signals.

    Yields:
        The signals received so far, so that the block can end early.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = {
        number: signal.signal(number, lambda signal_number, frame: received.append(signal_number)) for number in numbers
    }
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])

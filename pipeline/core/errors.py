"""The exception for input that cannot be used."""

import contextlib
from collections.abc import Iterator

from pipeline.core.text import printable


class InputError(Exception):
    """Bad input, explained in one line.

    The message says what was expected, what was received, where, and what to do. Stages print it and exit with
    status 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(" ".join(message.split())))


@contextlib.contextmanager
def about(key: str) -> Iterator[None]:
    """Put a configuration key before the message of any InputError in the block; an empty key changes nothing."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{key}: {error}" if key else str(error)) from None

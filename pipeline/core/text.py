"""Text for messages."""

import re
import reprlib
from typing import Any


def counted(number: int, noun: str) -> str:
    """Return, for example, "1 shard" or "2 shards"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def brief(value: Any) -> Any:
    """Return a digest's first characters, which tell digests apart, and any other value as it is."""
    is_digest = isinstance(value, str) and re.fullmatch("(sha256:)?([0-9a-f]{32}|[0-9a-f]{64})", value)
    return f"{value.removeprefix('sha256:')[:8]}…" if is_digest else value


def escaped(path: str) -> str:
    """Return a path as printable text, unique even for names with newlines or bytes that are not UTF-8."""
    return "".join(
        c if c.isprintable() and c != "\\" else "\\\\" if c == "\\" else c.encode("unicode_escape").decode("ascii")
        for c in path
    )


def printable(text: str) -> str:
    """Return text with terminal control characters and bytes that are not UTF-8, as names may have them, escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shortened(error: Exception) -> str:
    """Return a library's error message, printable and at most 200 characters long."""
    text = "".join(c if c.isprintable() else "?" for c in " ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]} …"


def shown(value: Any) -> str:
    """Return a value in short form, for error messages."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 120
    try:
        return short.repr(value)
    except ValueError:  # Python prints integers of at most 4300 digits
        return f"a {type(value).__name__} too long to show"

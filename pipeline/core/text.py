"""Text for messages."""


def counted(number: int, noun: str) -> str:
    """Return, for example, "1 shard" or "2 shards"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def escaped(path: str) -> str:
    """Return a path as printable text, unique even for names with newlines or bytes that are not UTF-8."""
    return "".join(
        c if c.isprintable() and c != "\\" else "\\\\" if c == "\\" else c.encode("unicode_escape").decode("ascii")
        for c in path
    )


def shortened(error: Exception) -> str:
    """Return a library's error message, printable and at most 200 characters long."""
    text = "".join(c if c.isprintable() else "?" for c in " ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]} …"

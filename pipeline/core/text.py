"""Text of others, made fit to print."""


def escaped(path: str) -> str:
    """A path as printable text: equal texts mean equal paths, even where names are not UTF-8 or hold newlines."""
    return "".join(
        c if c.isprintable() and c != "\\" else "\\\\" if c == "\\" else c.encode("unicode_escape").decode("ascii")
        for c in path
    )


def shortened(error: Exception) -> str:
    """What a library says of a file: printable, and short even where it quotes the file."""
    text = "".join(c if c.isprintable() else "?" for c in " ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]} …"

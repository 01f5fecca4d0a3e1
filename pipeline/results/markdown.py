"""Markdown from templates: summary.md and model-card.md."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).with_name("templates")


def environment() -> Environment:
    """Return the environment of the templates; values are inserted as `literal` text."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701 - not HTML; `literal` escapes Markdown
        finalize=literal,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(code=code, plain=plain, count=lambda number: f"{int(number):,}")
    return made


def literal(value: object) -> object:
    """Escape text so that Markdown shows it unchanged, in one line; return `Markup` and other types as they are."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return re.sub(r"([\\`*_\[\]<>|~&$#])", r"\\\1", _line(value))


def code(value: object) -> Markup:
    """Make text a code span that no text can end, so nothing in it is a link or markup. Not for tables."""
    text = _line(str(value))
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    edge = " " if text.startswith("`") or text.endswith("`") or text != text.strip() else ""
    return Markup(f"{fence}{edge}{text}{edge}{fence}") if text else Markup("(empty)")  # noqa: S704 - of Markdown


def plain(value: object) -> Markup:
    """Make trusted text, or text that must stay readable outside Markdown, fit for a table's cell."""
    return Markup(" ".join(str(value).split()).replace("|", "\\|"))  # noqa: S704 - of Markdown


def table(headings: Sequence[object], alignments: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """Return a table of `plain` cells, or empty text without rows; alignments are ":--" or "--:"."""
    body = [[plain(cell) for cell in row] for row in rows]
    lines = [[plain(cell) for cell in headings], alignments, *body] if body else []
    return Markup("\n".join(f"| {' | '.join(line)} |" for line in lines))  # noqa: S704 - of Markdown


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)

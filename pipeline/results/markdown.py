"""Markdown from templates: summary.md and model-card.md."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).with_name("templates")


def environment() -> Environment:
    """The templates' environment; text that is filled in is shown as it is, see `literal`."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701 - it is no HTML; `literal` does it for Markdown
        finalize=literal,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals["table"] = table
    made.filters.update(code=code, plain=plain, count=lambda number: f"{int(number):,}")
    return made


def literal(value: object) -> object:
    """Text that Markdown shows as it is, in one line, whatever it holds; `Markup` and what is no text stay."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return re.sub(r"([\\`*_\[\]<>|~&$#])", r"\\\1", _line(value))


def code(value: object) -> Markup:
    """Text as a code span, in which nothing is a link or markup, and which no text can end. Not for tables."""
    text = _line(str(value))
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    edge = " " if text.startswith("`") or text.endswith("`") or text != text.strip() else ""
    return Markup(f"{fence}{edge}{text}{edge}{fence}") if text else Markup("(empty)")  # noqa: S704 - of Markdown


def plain(value: object) -> Markup:
    """Text of our own, or one that stays readable outside of Markdown, for a cell of a table."""
    return Markup(" ".join(str(value).split()).replace("|", "\\|"))  # noqa: S704 - of Markdown


def table(headings: Sequence[object], alignments: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table of `plain` cells; alignments as ":--" or "--:"."""
    lines = [[plain(cell) for cell in headings], alignments, *([plain(cell) for cell in row] for row in rows)]
    return Markup("\n".join(f"| {' | '.join(line)} |" for line in lines))  # noqa: S704 - of Markdown


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)

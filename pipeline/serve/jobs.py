"""What the server asks the worker for, and what it answers."""

from pathlib import Path
from typing import NamedTuple

from pipeline.colorize.hints import Hint

HINTS = "hints.json"  # beside a coloured photograph
STRIP = 6  # colourings in a strip, with the network's answer


class Job(NamedTuple):
    """A photograph to colour.

    Attributes:
        source: its file.
        before: where to write a reduced JPEG of it, unless that exists.
        target: the folder for the coloured photograph and the report of `stages colorize`.
        after: where to write a reduced JPEG of the coloured photograph.
        run: ``results/<run>/``.
        saturation: the factor for a and b.
        hints: colours that are wanted at places.
        variant: the number of the colouring; 0 for the network's answer.
        name: the photograph's name in the file of hints, which is written to `target` if there are any.
    """

    source: Path
    before: Path
    target: Path
    after: Path
    run: Path
    saturation: float
    hints: tuple[Hint, ...] = ()
    variant: int = 0
    name: str = ""


class Coloured(NamedTuple):
    """The written file, relative to the job's `target`; remarks; the size in pixels."""

    file: str
    remarks: str
    width: int
    height: int


class Whole(NamedTuple):
    """A photograph, `source`, to be written to `target` as a JPEG in full size, up to `worker.MOST_SHOWN` pixels."""

    source: Path
    target: Path


class Preview(NamedTuple):
    """A photograph whose colours are wanted at once, at a reduced size; the fields are those of `Job`."""

    source: Path
    run: Path
    saturation: float
    hints: tuple[Hint, ...] = ()
    variant: int = 0


class Place(NamedTuple):
    """A pixel of the photograph of a preview for which likely colours are wanted."""

    preview: Preview
    x: int
    y: int


class Strip(NamedTuple):
    """A preview of the first `STRIP` variants, as thumbnails one below the other; its own variant does not matter."""

    preview: Preview

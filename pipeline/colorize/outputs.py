"""The names of outputs, as POSIX paths below the output folder."""

import os
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from pipeline.colorize.variants import MOST
from pipeline.core import files
from pipeline.core.text import escaped
from pipeline.images import xmp

NAME = "{name}"  # in a template, the photograph's name without its extension
_LONGEST = 255  # bytes in a file's name


def templated(template: str, photograph: str) -> str:
    """Return the output's name in the photograph's format: "sub/a_colour.jpg" for "{name}_colour" and "sub/a.jpg"."""
    path = PurePosixPath(photograph)
    return with_ending(_beside(photograph, template.replace(NAME, path.stem)), path.suffix)


def as_png(output: str) -> str:
    """Return the name with the extension of PNG in place of its own."""
    return with_ending(_beside(output, PurePosixPath(output).stem), ".png")


def comparison_of(output: str) -> str:
    """Return the name of the before-and-after picture."""
    return with_ending(output, ".compare.jpg")


def original_of(output: str, photograph: str) -> str:
    """Return the name of the copy of a photograph, as in "a.original.tif" for "a.png" and "a.tif"."""
    return with_ending(_beside(output, PurePosixPath(output).stem), f".original{PurePosixPath(photograph).suffix}")


def variant_of(output: str, number: int) -> str:
    """Return the name of another colouring, as in "a.variant-2.jpg", from 2 on."""
    path = PurePosixPath(output)
    return with_ending(_beside(output, path.stem), f".variant-{number}{path.suffix}")


def numbered(output: str, number: int) -> str:
    """Return the name with a number, as in "a (2).jpg", from 2 on."""
    path = PurePosixPath(output)
    return output if number == 1 else with_ending(_beside(output, path.stem), f" ({number}){path.suffix}")


def with_ending(name: str, ending: str) -> str:
    """Append an ending; a name that is too long for a file is cut off and ends with its digest."""
    last = os.fsencode(PurePosixPath(name).name)
    room = _LONGEST - len(os.fsencode(ending))
    if len(last) > room:
        name = _beside(name, f"{last[: room - 9].decode(errors='ignore')}~{files.digest_bytes(last)[:8]}")
    return name + ending


def made_before(names: Collection[str], reported: Collection[str]) -> set[str]:
    """Return which of the files beside photographs are outputs, given those in the report, escaped."""
    made = {name for name in names if escaped(name) in reported}
    more = {variant_of(each, number) for each in made for number in range(2, MOST + 1)}
    return made | ((more | {*map(comparison_of, made)}) & {*names})


def is_ours(path: Path) -> bool:
    """Whether a file is an output of DeepColor."""
    content = path.read_bytes()
    return xmp.is_coloured(content) or content.startswith(b"\x93NUMPY")


def _beside(name: str, other: str) -> str:
    folder, slash, _ = name.rpartition("/")
    return f"{folder}{slash}{other}"

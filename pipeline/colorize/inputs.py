"""Which photographs a call colours: files, and those below folders, each once."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pipeline.core.errors import InputError
from pipeline.core.text import escaped
from pipeline.dataset.sources.base import files_below
from pipeline.images.formats import EXTENSIONS


class Inputs(NamedTuple):
    """Photographs, each with its name below the output folder; and what is none, each with the reason."""

    photographs: list[tuple[Path, str]]
    others: list[tuple[Path, str]]


def listed(inputs: Iterable[Path], out: Path) -> Inputs:
    """List the photographs for an output folder.

    Raises:
        InputError: an input does not exist, or `out` lies in a folder of inputs or they in it.
    """
    found = Inputs([], [])
    target = out.resolve()
    seen = set()

    def add(photograph: Path, name: str) -> None:
        if (place := os.path.normpath(photograph.absolute())) not in seen:
            seen.add(place)
            found.photographs.append((photograph, name))

    for given in inputs:
        place = given.resolve()
        if not given.exists():
            raise InputError(
                f"{escaped(str(given))}: expected a photograph or a folder of them, received nothing there"
            )
        if place.is_relative_to(target) or (given.is_dir() and target.is_relative_to(place)):
            raise InputError(
                f"--out {escaped(str(out))}: expected a folder apart from the photographs, received one that "
                f"{escaped(str(given))} lies in or that lies in it; name another"
            )
        if not given.is_dir():
            add(given, given.name)
            continue
        names, remarks = files_below(given)
        found.others.extend((given / remark.file, f"{remark.reason}: {remark.detail}") for remark in remarks)
        for name in names:
            if (given / name).resolve().is_relative_to(target):
                raise InputError(
                    f"--out {escaped(str(out))}: expected a folder apart from the photographs, received one that the "
                    f"link {escaped(str(given / name))} leads to; name another, or take the link away"
                )
            if Path(name).suffix.lower() in EXTENSIONS:
                add(given / name, name)
            else:
                found.others.append((given / name, f"not a photograph: expected one of {', '.join(EXTENSIONS)}"))
    return found

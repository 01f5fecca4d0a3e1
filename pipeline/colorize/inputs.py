"""List the photographs that a call colours: files, and those in folders, each once."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pipeline.core.errors import InputError
from pipeline.core.text import escaped
from pipeline.dataset.sources.base import files_below
from pipeline.images.formats import EXTENSIONS


class Inputs(NamedTuple):
    """Photographs with their names below the output folder, and other files with the reason they are left out."""

    photographs: list[tuple[Path, str]]
    others: list[tuple[Path, str]]


def listed(inputs: Iterable[Path], out: Path) -> Inputs:
    """List the photographs.

    Raises:
        InputError: an input does not exist, or one of inputs and `out` contains the other.
    """
    photographs: dict[str, tuple[Path, str]] = {}  # by path without ".."
    others: list[tuple[Path, str]] = []
    target = out.resolve()

    def add(photograph: Path, name: str) -> None:
        photographs.setdefault(os.path.normpath(photograph.absolute()), (photograph, name))

    def refuse(reason: str) -> None:
        raise InputError(f"--out {escaped(str(out))}: expected a separate folder, received {reason}")

    for path in inputs:
        shown = escaped(str(path))
        if not path.exists():
            raise InputError(f"{shown}: expected a photograph or a folder of photographs, but it does not exist")
        if path.resolve().is_relative_to(target) or (path.is_dir() and target.is_relative_to(path.resolve())):
            refuse(f"one that contains {shown} or is inside it; name another folder")
        if not path.is_dir():
            add(path, path.name)
            continue
        names, remarks = files_below(path)
        others.extend((path / remark.file, f"{remark.reason}: {remark.detail}") for remark in remarks)
        for name in names:
            if (path / name).resolve().is_relative_to(target):
                refuse(f"the target of the link {escaped(str(path / name))}; name another folder, or remove the link")
            if Path(name).suffix.lower() in EXTENSIONS:
                add(path / name, name)
            else:
                others.append((path / name, f"not a photograph: expected one of {', '.join(EXTENSIONS)}"))
    return Inputs(list(photographs.values()), others)

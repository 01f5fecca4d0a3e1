"""List the photographs that a call colours: files, and those in folders, each once."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pipeline.colorize.protection import Identity, Protected, identities_above, identity
from pipeline.core.errors import InputError
from pipeline.core.text import escaped
from pipeline.dataset.sources.base import files_below
from pipeline.images.formats import EXTENSIONS


class Inputs(NamedTuple):
    """Photographs with their names below the output folder, and other files with the reason they are left out."""

    photographs: list[tuple[Path, str]]
    others: list[tuple[Path, str]]
    protected: Protected


def listed(inputs: Iterable[Path], out: Path) -> Inputs:
    """List the photographs.

    Raises:
        InputError: an input does not exist, or one of inputs and `out` contains the other.
    """
    photographs: dict[str, tuple[Path, str]] = {}  # by path without ".."
    others: list[tuple[Path, str]] = []
    folders: set[Identity] = set()
    target, above = identity(out), identities_above(out)

    def add(photograph: Path, name: str) -> None:
        photographs.setdefault(os.path.normpath(photograph.absolute()), (photograph, name))

    def refuse(reason: str) -> None:
        raise InputError(f"--out {escaped(str(out))}: expected a separate folder, received {reason}")

    for path in inputs:
        shown = escaped(str(path))
        if not path.exists():
            raise InputError(f"{shown}: expected a photograph or a folder of photographs, but it does not exist")
        if target in identities_above(path) or (path.is_dir() and identity(path) in above):
            refuse(f"one that contains {shown} or is inside it; name another folder")
        if not path.is_dir():
            add(path, path.name)
            folders |= _identities([path.parent])
            continue
        names, remarks = files_below(path)
        others.extend((path / remark.file, f"{remark.reason}: {remark.detail}") for remark in remarks)
        files = [path / name for name in names]
        by_folder = {file.parent: file for file in reversed(files)}  # the first one of each
        for file in [*by_folder.values(), *filter(Path.is_symlink, files)]:
            # A folder may also be the target of a mount, which is no link.
            if target in identities_above(file) or identity(file.parent) in above:
                refuse(f"the target of the link {escaped(str(file))}; name another folder, or remove the link")
        folders |= _identities(by_folder)
        for name, file in zip(names, files, strict=True):
            if Path(name).suffix.lower() in EXTENSIONS:
                add(file, name)
            else:
                others.append((file, f"not a photograph: expected one of {', '.join(EXTENSIONS)}"))
    everything = [path for path, _ in (*photographs.values(), *others)]
    return Inputs(list(photographs.values()), others, Protected(_identities(everything), frozenset(folders)))


def _identities(paths: Iterable[Path]) -> frozenset[Identity]:
    return frozenset(found for path in paths if (found := identity(path)))

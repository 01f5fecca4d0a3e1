"""List the photographs that a call colours: files, and those in folders, each once."""

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.colorize.outputs import is_ours, made_before
from pipeline.colorize.protection import Identity, Protected, identities_above, identity
from pipeline.colorize.report import REPORT
from pipeline.core.errors import InputError
from pipeline.core.text import escaped
from pipeline.dataset.sources.base import NOT_LISTED, files_below
from pipeline.images import formats


@dataclass
class Inputs:
    """What a call was given.

    Attributes:
        photographs: each with its name below the output folder, a POSIX path.
        others: other files with the reason they are left out.
        formats: number of `others` by the format that is not read.
        unreadable: folders that cannot be listed, with the reason.
        named: paths without ".." of the photographs that were not found in a folder alone.
        protected: what outputs must not replace.
    """

    photographs: list[tuple[Path, str]]
    others: list[tuple[Path, str]] = field(default_factory=list)
    formats: dict[str, int] = field(default_factory=dict)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    protected: Protected = field(default_factory=lambda: Protected(frozenset(), frozenset()))


def listed(inputs: Iterable[Path], out: Path, beside: bool = False) -> Inputs:
    """List the photographs.

    Args:
        inputs: files and folders.
        out: the output folder.
        beside: whether outputs belong beside the photographs; `out` then contains all inputs.

    Raises:
        InputError: an input does not exist, or one of inputs and `out` contains the other.
    """
    photographs: dict[str, tuple[Path, str]] = {}  # by path without ".."
    found = Inputs([])
    folders: set[Identity] = set()
    target, above = (None, set[Identity]()) if beside else (identity(out), identities_above(out))

    def add(photograph: Path, name: str) -> None:
        shown = os.path.relpath(photograph.absolute(), out.absolute()) if beside else name
        photographs.setdefault(os.path.normpath(photograph.absolute()), (photograph, shown))

    def refuse(reason: str) -> None:
        raise InputError(f"--out {escaped(str(out))}: expected a separate folder, received {reason}")

    for path in inputs:
        shown = escaped(str(path))
        if not os.path.lexists(path):
            raise InputError(
                f"{shown}: expected a photograph or a folder of photographs, but it does not exist or is out of reach"
            )
        if target in identities_above(path) or (path.is_dir() and identity(path) in above):
            refuse(f"one that contains {shown} or is inside it; name another folder")
        if not path.is_dir():
            add(path, path.name)
            found.named.add(os.path.normpath(path.absolute()))
            folders |= _identities([path.parent])
            continue
        names, remarks = files_below(path)
        for remark in remarks:
            place = found.unreadable if remark.detail.startswith(NOT_LISTED) else found.others
            place.append((path / remark.file, f"{remark.reason}: {remark.detail}"))
        files = [path / name for name in names]
        by_folder: dict[Path, Path] = {}
        for file in files:
            by_folder.setdefault(file.parent, file)
        for file in [*by_folder.values(), *filter(os.path.islink, files)]:
            # A folder may also be the target of a mount, which is no link.
            if target in identities_above(file) or identity(file.parent) in above:
                refuse(f"the target of the link {escaped(str(file))}; name another folder, or remove the link")
        folders |= _identities(by_folder)
        for name, file in zip(names, files, strict=True):
            if formats.is_photograph(name):
                add(file, name)
            else:
                _leave_out(file, found)
    found.photographs = list(photographs.values())
    found.protected = _protected(found, frozenset() if beside else frozenset(folders))
    return found


def roots(inputs: Iterable[Path]) -> dict[Path, list[Path]]:
    """Return the folders beside whose photographs outputs belong, with the inputs in each.

    They are the folders that were given, and those of files, except folders inside another that was given.
    """
    grouped: dict[Path, list[Path]] = {}
    for path in sorted(inputs, key=lambda path: (not path.is_dir(), len(path.absolute().parts))):
        own = Path(os.path.normpath(path.absolute() if path.is_dir() else path.absolute().parent))
        root = next((known for known in (own, *own.parents) if known in grouped and grouped[known][0].is_dir()), own)
        grouped.setdefault(root, []).append(path)
    return grouped


def without_outputs(found: Inputs, reported: Collection[str]) -> None:
    """Remove what earlier calls wrote beside the photographs, also with other names or into other reports."""
    names = [name for _, name in found.photographs]
    made = made_before(names, reported)
    stems: dict[str, set[str]] = {}
    for name in names:
        stems.setdefault(str(PurePosixPath(name).parent), set()).add(PurePosixPath(name).stem)
    for path, name in found.photographs:
        stem, others = PurePosixPath(name).stem, stems[str(PurePosixPath(name).parent)]
        # An output's name contains that of its photograph.
        if name not in made and any(other != stem and other in stem for other in others):
            with suppress(OSError):
                made |= {name} if is_ours(path) else set()
    found.photographs = [(path, name) for path, name in found.photographs if name not in made]
    found.others = [(path, reason) for path, reason in found.others if REPORT not in path.name]
    found.protected = _protected(found, frozenset())


def _leave_out(file: Path, found: Inputs) -> None:
    reason, name = formats.why_no_photograph(file)
    if name:
        found.formats[name] = found.formats.get(name, 0) + 1
    found.others.append((file, reason if name else f"not a photograph: {reason}"))


def _protected(found: Inputs, folders: frozenset[Identity]) -> Protected:
    return Protected(_identities(path for path, _ in (*found.photographs, *found.others)), folders)


def _identities(paths: Iterable[Path]) -> frozenset[Identity]:
    return frozenset(found for path in paths if (found := identity(path)))

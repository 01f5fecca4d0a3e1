"""Keep outputs away from the photographs, also where links and mounts hide that two paths lead to the same place."""

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.text import escaped

Identity = tuple[int, int]  # device and inode


class Refused(Exception):
    """A photograph whose output cannot be written; the message gives the reason."""


def identity(path: Path, *, follow_links: bool = True) -> Identity | None:
    """Return what identifies a file or folder under all its names; None if it cannot be found."""
    try:
        status = path.stat(follow_symlinks=follow_links)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def identities_above(path: Path) -> set[Identity]:
    """Return the identities of a file or folder, after links, and of all folders that contain it."""
    real = Path(os.path.realpath(path))
    return {found for each in (real, *real.parents) if (found := identity(each))}


@dataclass(frozen=True)
class Protected:
    """The photographs of a call, and the folders in which they are, unless outputs belong there."""

    files: frozenset[Identity]
    folders: frozenset[Identity]

    def refuse(self, out: Path, output: str) -> None:
        """Refuse an output that is a photograph, is among photographs, or is reached through a link below `out`.

        Raises:
            Refused: see above.
        """
        path = out / output
        for folder in [out / parent for parent in Path(output).parents][:-1]:
            if folder.is_symlink():
                raise Refused(f"{escaped(str(folder))} is a link, through which nothing is written; remove the link")
        if identity(path.parent) in self.folders:
            raise Refused(f"{escaped(str(path.parent))} is a folder of the photographs; change --out")
        if identity(path, follow_links=False) in self.files:
            raise Refused(f"{escaped(str(path))} is one of the photographs, which are never replaced")

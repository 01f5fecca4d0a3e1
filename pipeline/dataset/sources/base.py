"""What every source of images offers, and the listing of folders."""

import heapq
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pipeline.core.errors import InputError
from pipeline.core.text import escaped
from pipeline.images.lab import UInt8


@dataclass(frozen=True)
class ImageInfo:
    """One image: its name, the group that must stay in one partition, and where it came from."""

    id: str
    group: str
    source: str


@dataclass(frozen=True)
class Remark:
    """One file that was left out: `reason` is a word or two to count by, `detail` a sentence."""

    file: str
    reason: str
    detail: str


class Source(Protocol):
    """Images in a fixed order, read in slices. Picklable, small, without open handles."""

    @property
    def n(self) -> int:
        """How many images there are."""

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """The files that were left out."""

    def describe(self) -> dict[str, Any]:
        """Kind, file names and counts, as JSON; nothing that depends on where or when."""

    def info(self, start: int, stop: int) -> list[ImageInfo]:
        """Names of the images start..stop."""

    def input_digest(self, start: int, stop: int) -> str | None:
        """SHA-256, in hexadecimal, of all that the images start..stop are made from.

        None where the source holds the images' own bytes: their digests then tell whether they have changed.
        """

    def read(self, start: int, stop: int) -> tuple[UInt8, UInt8]:
        """Images start..stop: L (k, 224, 224) and ab (k, 224, 224, 2) uint8, encoded as in `pipeline.images.lab`."""

    def close(self) -> None:
        """Remove scratch files; `read` still works, more slowly."""


def existing_folder(path: Path, what: str) -> Path:
    """`path`, if it is a folder.

    Raises:
        InputError: it is none; `what` says what the folder should hold.
    """
    effective = os.access in os.supports_effective_ids
    barred = path.is_dir() and not os.access(path, os.R_OK | os.X_OK, effective_ids=effective)
    if barred or not path.is_dir():
        received = "a folder that you may not read" if barred else "a file" if path.exists() else "nothing there"
        raise InputError(
            f"{escaped(str(path))}: expected a folder with {what}, received {received}; set the dataset's `path`"
        )
    return path


def files_below(root: Path) -> tuple[list[str], list[Remark]]:
    """The files below a folder as relative POSIX paths, sorted by code point; hidden ones give a remark.

    Links to folders are followed, in the order of their paths, except to a folder that was listed before: of links that
    lead to each other there would be no end. They give a remark, as folders do that cannot be listed.
    """
    files: list[str] = []
    remarks: list[Remark] = []
    listed: set[tuple[int, int]] = set()
    waiting, links = [""], list[str]()
    while waiting or links:
        prefix = waiting.pop() if waiting else heapq.heappop(links)
        try:
            folder = root / prefix
            status = folder.stat()
            place = (status.st_dev, status.st_ino)
            if place in listed:
                remarks.append(Remark(escaped(prefix), "unreadable", "a link to a folder that is listed already"))
                continue
            listed.add(place)
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        remarks.append(Remark(escaped(f"{prefix}{entry.name}"), "hidden", "the name starts with a dot"))
                    elif not _is_folder(entry):
                        files.append(prefix + entry.name)
                    elif entry.is_symlink():
                        heapq.heappush(links, f"{prefix}{entry.name}/")
                    else:
                        waiting.append(f"{prefix}{entry.name}/")
        except OSError as error:
            remarks.append(Remark(escaped(prefix) or ".", "unreadable", f"cannot be listed: {error.strerror}"))
    return sorted(files), remarks


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, say; reading it will tell
        return False

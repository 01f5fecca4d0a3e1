"""The interface of a source of images, and the listing of folders."""

import heapq
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError
from pipeline.core.text import escaped
from pipeline.images.lab import UInt8

NOT_LISTED = "cannot be listed"  # start of the remark on an unreadable folder


@dataclass(frozen=True)
class ImageInfo:
    """The name of an image, the group that must stay in one partition, and its origin."""

    id: str
    group: str
    source: str


@dataclass(frozen=True)
class Remark:
    """A file that was left out: `reason` is one of a few fixed texts, `detail` a sentence."""

    file: str
    reason: str
    detail: str


class Source(ABC):
    """Images in a fixed order, read in slices. Picklable, small, without open handles."""

    n: int  # number of images

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """The files that were left out."""
        return ()

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return kind, file names and counts as JSON values that do not depend on time or folder."""

    @abstractmethod
    def info(self, start: int, stop: int) -> list[ImageInfo]:
        """Return the names of the images start..stop."""

    def input_digest(self, start: int, stop: int) -> str | None:
        """Return the SHA-256 of everything that the images start..stop are made from, in hexadecimal.

        None if the source contains the images' own bytes; the digests of the images then show changes.
        """
        return None

    @abstractmethod
    def read(self, start: int, stop: int) -> tuple[UInt8, UInt8]:
        """Read the images start..stop: L (k, 224, 224) and ab (k, 224, 224, 2) uint8; see `pipeline.images.lab`.

        Raises:
            InputError: the input has changed or become unreadable since it was opened.
        """

    def close(self) -> None:  # noqa: B027 - most sources have nothing to remove
        """Remove scratch files; `read` still works, but more slowly."""


def parts_of(counts: Sequence[int], start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yield (part, first row, last row + 1) for each part of `counts` rows that the joined rows start..stop touch."""
    before = 0
    for part, count in enumerate(counts):
        first, last = max(start - before, 0), min(stop - before, count)
        if last <= 0:
            break
        if first < last:
            yield part, first, last
        before += count


def existing_folder(path: Path, what: str) -> Path:
    """Return `path`, or raise an InputError that says it should be a folder with `what`."""
    effective = os.access in os.supports_effective_ids
    if path.is_dir() and os.access(path, os.R_OK | os.X_OK, effective_ids=effective):
        return path
    received = "a folder without read permission" if path.is_dir() else "a file" if path.exists() else "no such folder"
    raise InputError(
        f"{escaped(str(path))}: expected a folder with {what}, received {received}; set the dataset's `path`"
    )


def files_below(root: Path) -> tuple[list[str], list[Remark]]:
    """List the files below a folder as relative POSIX paths, sorted by code point.

    Links to folders are followed, in the order of their paths, but each folder is listed once, so cycles end. Hidden
    files, folders listed already and unreadable folders become remarks.
    """
    files: list[str] = []
    remarks: list[Remark] = []
    listed: set[tuple[int, int]] = set()
    waiting, links = [""], list[str]()
    while waiting or links:
        prefix = waiting.pop() if waiting else heapq.heappop(links)
        try:
            status = (root / prefix).stat()
            if (status.st_dev, status.st_ino) in listed:
                remarks.append(Remark(escaped(prefix), "unreadable", "a link to a folder that is listed already"))
                continue
            listed.add((status.st_dev, status.st_ino))
            with os.scandir(root / prefix) as entries:
                for entry in entries:
                    name = prefix + entry.name
                    if entry.name.startswith("."):
                        remarks.append(Remark(escaped(name), "hidden", "the name starts with a dot"))
                    elif not _is_folder(entry):
                        files.append(name)
                    elif entry.is_symlink():
                        heapq.heappush(links, f"{name}/")
                    else:
                        waiting.append(f"{name}/")
        except OSError as error:
            remarks.append(Remark(escaped(prefix) or ".", "unreadable", f"{NOT_LISTED}: {error.strerror}"))
    return sorted(files), remarks


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link to itself; reading it fails later, with a reason
        return False

"""Several files as one ZIP file, which is made while it is sent and takes no room on the disk."""

import re
import time
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from pipeline.colorize.outputs import numbered

CHUNK = 1 << 20  # bytes
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*]')


class _Pipe:
    """What `ZipFile` writes to; `taken` returns it and forgets it."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, content: bytes) -> int:
        self._written += content
        return len(content)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        written, self._written = bytes(self._written), bytearray()
        return written


def zipped(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """Yield the bytes of a ZIP file of uncompressed files, each given with its name, which may contain folders.

    Names that every system can unpack and that are unique, also where case does not matter, replace others.

    Raises:
        OSError: a file was deleted meanwhile.
    """
    pipe, taken = _Pipe(), set[str]()
    now = time.localtime()[:6]
    with ZipFile(pipe, "w", ZIP_STORED) as archive:  # type: ignore[call-overload]  # needs no close
        for name, path in files:
            entry = ZipInfo(_unique(_NOT_ON_WINDOWS.sub("_", name), taken), now)
            entry.external_attr = 0o644 << 16
            entry.file_size = path.stat().st_size
            with archive.open(entry, "w") as target, path.open("rb") as source:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
                    yield pipe.taken()
    yield pipe.taken()


def _unique(name: str, taken: set[str]) -> str:
    number = 1
    while (same := unicodedata.normalize("NFC", numbered(name, number)).casefold()) in taken:
        number += 1
    taken.add(same)
    return numbered(name, number)

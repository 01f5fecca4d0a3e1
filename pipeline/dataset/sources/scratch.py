"""What is known of the photographs of a folder, and their pixels from when they were decoded until they are stored."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.schema import FolderSource as Settings
from pipeline.core import versions
from pipeline.core.errors import InputError
from pipeline.core.files import digest_bytes, digest_file, npy, read_json, write_json, written_whole
from pipeline.core.text import escaped
from pipeline.images.formats import SIZE
from pipeline.images.lab import ENCODING, UInt8


@dataclass(frozen=True)
class Verdict:
    """What is known about one file: `digest` of its bytes, or why they are not read; no `reason` means it is used."""

    path: str
    digest: str
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Scratch:
    """A folder with a JSON file of verdicts for each chunk of files, and beside it the pixels of those that are used.

    The JSON file, which is written last, has the digest of the pixels: others than its own are never taken for them.
    """

    folder: Path
    settings: Settings

    def write(self, chunk: int, verdicts: Sequence[Verdict], pixels: UInt8) -> None:
        """Keep the verdicts on a chunk of files, and Lab (n, 224, 224, 3) of the n that are used."""
        content = npy(pixels)
        with written_whole(self._pixels(chunk)) as temporary:
            temporary.write_bytes(content)
        # Rows as ASCII, for names that are not UTF-8.
        rows = [json.dumps([v.path, v.digest, v.reason, v.detail]) for v in verdicts]
        write_json(
            self._verdicts(chunk), {"judged_by": self._judged_by(), "files": rows, "pixels": digest_bytes(content)}
        )

    def verdicts(self, chunk: int) -> list[Verdict]:
        """The verdicts on a chunk of files."""
        return _read(self._verdicts(chunk))[0]

    def known(self, chunk: int) -> list[Verdict] | None:
        """The same; None where there are none, damaged ones, or ones by other settings or versions."""
        with contextlib.suppress(InputError):
            verdicts, value = _read(self._verdicts(chunk))
            return verdicts if value["judged_by"] == self._judged_by() else None
        return None

    def pixels(self, chunk: int) -> UInt8 | None:
        """What was written, mapped; None where it is gone or damaged."""
        path = self._pixels(chunk)
        with contextlib.suppress(OSError):
            if digest_file(path) == _read(self._verdicts(chunk))[1]["pixels"]:
                return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        return None

    def remove_pixels(self) -> None:
        """Remove them all; the verdicts stay."""
        for pattern in ("*.npy", ".*.tmp.*"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    def _judged_by(self) -> dict[str, Any]:
        # Other versions may read more, or otherwise.
        return {
            "gray_below": self.settings.gray_below,
            "max_megapixels": self.settings.max_megapixels,
            "size": SIZE,
            "encoding": ENCODING,
            **{name: versions.versions()[name] for name in versions.DECODED_BY},
        }

    def _verdicts(self, chunk: int) -> Path:
        return self.folder / f"{chunk:06d}.json"

    def _pixels(self, chunk: int) -> Path:
        return self.folder / f"{chunk:06d}.npy"


def known_files(folder: Path) -> dict[str, str]:
    """The digest of each photograph's file by its id, as far as a `Scratch` still tells; see `folder.input_digest`."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(InputError):
            found.update({escaped(known.path): known.digest for known in _read(path)[0] if not known.reason})
    return found


def _read(path: Path) -> tuple[list[Verdict], dict[str, Any]]:
    value = read_json(path)
    return [Verdict(*json.loads(row)) for row in value["files"]], value

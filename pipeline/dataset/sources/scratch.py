"""The verdicts on the files of a folder, and the decoded pixels until they are stored."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.sources import FolderSource as Settings
from pipeline.core import versions
from pipeline.core.arrays import memory_mapped
from pipeline.core.files import digest_bytes, digest_file, npy, read_if_whole, read_json, write_bytes, write_json
from pipeline.core.text import escaped
from pipeline.images.formats import SIZE
from pipeline.images.lab import ENCODING, UInt8

JUDGING = 3  # raised if verdicts on the same file may differ


@dataclass(frozen=True)
class Verdict:
    """The digest of a file, or why it is not read, and why it is left out; an empty `reason` means it is used."""

    path: str
    digest: str
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Scratch:
    """A folder with a JSON file of verdicts per chunk of files and, beside it, the pixels of the files that are used.

    The JSON file is written last and contains the digest of the pixels, so pixels of another scan are never used.
    Photographs whose verdicts were known before have no pixels.
    """

    folder: Path
    settings: Settings

    def write(self, chunk: int, judged: Sequence[tuple[Verdict, UInt8 | None]]) -> None:
        """Write the verdicts on a chunk of files, and Lab (224, 224, 3) uint8 of the used ones that were decoded."""
        used = [image for verdict, image in judged if not verdict.reason]
        decoded = [row for row, image in enumerate(used) if image is not None]
        content = npy(np.array([used[row] for row in decoded], np.uint8).reshape(-1, SIZE, SIZE, 3))
        write_bytes(self._pixels(chunk), content)
        rows = [json.dumps(astuple(verdict)) for verdict, _ in judged]  # ASCII, for names that are not UTF-8
        value = {"judged_by": self._judged_by(), "files": rows, "pixels": digest_bytes(content)}
        write_json(self._verdicts(chunk), value if len(decoded) == len(used) else {**value, "decoded": decoded})

    def verdicts(self, chunk: int) -> list[Verdict]:
        """Read the verdicts on a chunk of files."""
        return _verdicts(read_json(self._verdicts(chunk)))

    def known(self, chunk: int) -> list[Verdict] | None:
        """Read the verdicts; None if they are missing, damaged, or made with other settings or versions."""
        value = read_if_whole(self._verdicts(chunk))
        return _verdicts(value) if value.get("judged_by") == self._judged_by() else None

    def judged_before(self) -> dict[str, Verdict]:
        """Read all verdicts that are intact and were made with these settings and versions, by path."""
        values = map(read_if_whole, sorted(self.folder.glob("*.json")))
        known = (value for value in values if value.get("judged_by") == self._judged_by())
        return {verdict.path: verdict for value in known for verdict in _verdicts(value)}

    def pixels(self, chunk: int) -> Mapping[int, UInt8]:
        """Memory-map the pixels, by row among the chunk's used photographs; none if they are missing or damaged."""
        path = self._pixels(chunk)
        with contextlib.suppress(OSError):
            value = read_json(self._verdicts(chunk))
            if digest_file(path) == value["pixels"]:
                pixels = np.asarray(memory_mapped(path))
                return dict(zip(value.get("decoded", range(len(pixels))), pixels, strict=True))
        return {}

    def remove_beyond(self, chunks: int) -> None:
        """Remove verdicts beyond the first `chunks` chunks, as of a larger folder: files may have changed since."""
        for path in self.folder.glob("*.json"):
            if int(path.stem) >= chunks:
                path.unlink(missing_ok=True)

    def remove_pixels(self) -> None:
        """Remove all pixels, and keep the verdicts."""
        for pattern in ("*.npy", ".*.tmp.*"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    def _judged_by(self) -> dict[str, Any]:
        # Other versions may read more files, or decode them differently.
        return {
            "version": JUDGING,
            "gray_below": self.settings.gray_below,
            "toned_below": self.settings.toned_below,
            "max_megapixels": self.settings.max_megapixels,
            "size": SIZE,
            "encoding": ENCODING,
            **{name: versions.versions()[name] for name in versions.DECODED_BY},
            **self.settings.model_dump(include={"crop"}),
        }

    def _verdicts(self, chunk: int) -> Path:
        return self.folder / f"{chunk:06d}.json"

    def _pixels(self, chunk: int) -> Path:
        return self.folder / f"{chunk:06d}.npy"


def known_files(folder: Path) -> dict[str, str]:
    """Return the digest of each used file by its id, from the verdicts that are intact; see `folder.input_digest`."""
    verdicts = (verdict for path in sorted(folder.glob("*.json")) for verdict in _verdicts(read_if_whole(path)))
    return {escaped(verdict.path): verdict.digest for verdict in verdicts if not verdict.reason}


def _verdicts(value: dict[str, Any]) -> list[Verdict]:
    return [Verdict(*json.loads(row)) for row in value.get("files", ())]

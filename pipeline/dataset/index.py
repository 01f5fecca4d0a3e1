"""index.csv: one row for each image of a store."""

import contextlib
import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.config.paths import DatasetFiles
from pipeline.core import csv_files, files
from pipeline.core.errors import InputError
from pipeline.images.lab import UInt8
from pipeline.storage.store import Store

INDEX_COLUMNS = ("id", "group", "source", "digest", "flags")
REPORT_COLUMNS = ("file", "reason", "detail")
DUPLICATE = "duplicate"
EARLIER = ".earlier"  # folder of what a dataset was before


def image_digest(lightness: UInt8, ab: UInt8) -> str:
    """Return the digest of an image in index.csv: SHA-256 of L (224, 224) and ab (224, 224, 2) uint8."""
    return files.digest_bytes(np.ascontiguousarray(lightness).data, np.ascontiguousarray(ab).data)


def merge_duplicates(rows: Sequence[dict[str, str]]) -> list[tuple[dict[str, str], str]]:
    """Merge the groups of images with equal digests, and flag all of these images but the first.

    Returns:
        The row of each duplicate and the id of the first image that it equals.
    """
    parent: dict[str, str] = {}

    def root(group: str) -> str:
        while parent.setdefault(group, group) != group:
            group = parent[group]
        return group

    first: dict[str, dict[str, str]] = {}
    found = []
    for row in rows:
        original = first.setdefault(row["digest"], row)
        if original is not row:
            row["flags"] = DUPLICATE
            found.append((row, original["id"]))
            parent[root(row["group"])] = root(original["group"])
    for row in rows:
        row["group"] = root(row["group"])
    return found


def read_index(store: Store) -> list[dict[str, str]]:
    """Return the rows of index.csv in the order of the store.

    Raises:
        InputError: the file is missing or does not match the store's manifest.
    """
    path = DatasetFiles.beside(store).index
    files.refuse_damaged(path.parent, {path.name: store.manifest()["files"][path.name]})
    return csv_files.read(path, INDEX_COLUMNS)


@dataclass(frozen=True)
class Earlier:
    """The index that a store had before it is ingested again; empty if it had none.

    A copy is kept in `.earlier/`. From `note` to `settle`, a note there leads to it, also after a kill.
    """

    fingerprint: str = ""
    content: bytes = b""

    @classmethod
    def of(cls, store: Store) -> "Earlier":
        """Read the index of a complete store, or the one before an ingest that was killed."""
        path, manifest = DatasetFiles.beside(store).index, files.read_if_whole(store.manifest_path)
        fingerprint, digest = manifest.get("fingerprint", ""), manifest.get("files", {}).get(path.name)
        if not manifest and (noted := files.read_if_whole(_note(store))):
            fingerprint, digest = noted["fingerprint"], noted["sha256"]
            path = kept_index(store.path.parent, fingerprint)
        with contextlib.suppress(OSError):
            content = path.read_bytes()
            if digest == files.digest_bytes(content):
                return cls(fingerprint, content)
        return cls()

    @property
    def ids(self) -> list[str]:
        """The ids of the images, in the order of the store."""
        return [row["id"] for row in csv.DictReader(io.StringIO(self.content.decode("utf-8"), newline=""))]

    def note(self, store: Store) -> None:
        """Keep it while the store is written."""
        if self.content:
            files.write_bytes(kept_index(store.path.parent, self.fingerprint), self.content)
            noted = {"fingerprint": self.fingerprint, "sha256": files.digest_bytes(self.content)}
            files.write_json(_note(store), noted)

    def settle(self, store: Store) -> str:
        """Keep it only if the complete store has other images now, and return what `changes` says."""
        if self.fingerprint == store.manifest()["fingerprint"]:
            kept_index(store.path.parent, self.fingerprint).unlink(missing_ok=True)
        _note(store).unlink(missing_ok=True)
        return changes(store, self.fingerprint)


def changes(store: Store, before: str) -> str:
    """Say how the images of a store differ from those that it had at the fingerprint `before`.

    Returns:
        For example "1 added; 30 before, now 31". Nothing if they have not changed, or the earlier index was not kept.
    """
    if before == files.read_if_whole(store.manifest_path).get("fingerprint"):
        return ""
    try:
        old, new = (
            Counter(row["digest"] for row in csv_files.read(path, ["digest"]))
            for path in (kept_index(store.path.parent, before), DatasetFiles.beside(store).index)
        )
    except InputError:
        return ""
    counts = {"added": (new - old).total(), "removed": (old - new).total()}
    said = [f"{count} {what}" for what, count in counts.items() if count] or ["in another order or other groups"]
    return f"{', '.join(said)}; {old.total()} before, now {new.total()}"


def kept_index(folder: Path, fingerprint: str) -> Path:
    """Return the copy of the index that the images in a dataset's folder had at that fingerprint of their store."""
    return folder / EARLIER / f"{fingerprint}.csv"


def _note(store: Store) -> Path:
    return store.path.parent / EARLIER / "ingest.json"

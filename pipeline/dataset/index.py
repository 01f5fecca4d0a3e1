"""index.csv: one row for each image of a store."""

import contextlib
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
    """The index of a complete store before it is ingested again; empty if there is none."""

    fingerprint: str = ""
    index: bytes = b""

    @classmethod
    def of(cls, store: Store) -> "Earlier":
        """Read the index of a store."""
        beside = DatasetFiles.beside(store)
        manifest = files.read_if_whole(store.manifest_path)
        with contextlib.suppress(OSError):
            content = beside.index.read_bytes()
            if manifest.get("files", {}).get(beside.index.name) == files.digest_bytes(content):
                return cls(manifest["fingerprint"], content)
        return cls()

    def keep(self, store: Store) -> str:
        """Keep it if the store has other images now, and return what `changes` says."""
        if self.index and self.fingerprint != store.manifest()["fingerprint"]:
            files.write_bytes(_kept(store, self.fingerprint), self.index)
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
            for path in (_kept(store, before), DatasetFiles.beside(store).index)
        )
    except InputError:
        return ""
    counts = {"added": (new - old).total(), "removed": (old - new).total()}
    said = [f"{count} {what}" for what, count in counts.items() if count] or ["in another order or other groups"]
    return f"{', '.join(said)}; {old.total()} before, now {new.total()}"


def _kept(store: Store, fingerprint: str) -> Path:
    return DatasetFiles.beside(store).directory / ".earlier" / f"{fingerprint}.csv"

"""index.csv: one row for each image of a store."""

from collections.abc import Sequence

import numpy as np

from pipeline.config.paths import DatasetFiles
from pipeline.core import csv_files, files
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

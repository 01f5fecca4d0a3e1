"""index.csv: a row for each image of a store."""

from collections.abc import Sequence

import numpy as np

from pipeline.config.paths import DatasetFiles
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.images import lab
from pipeline.storage.store import Store

INDEX_COLUMNS = ("id", "group", "source", "digest", "flags")


REPORT_COLUMNS = ("file", "reason", "detail")


DUPLICATE = "duplicate"


def image_digest(lightness: lab.UInt8, ab: lab.UInt8) -> str:
    """What index.csv has as the digest of an image: SHA-256 of L (224, 224) and ab (224, 224, 2) uint8."""
    return files.digest_bytes(np.ascontiguousarray(lightness).data, np.ascontiguousarray(ab).data)


def merge_duplicates(rows: Sequence[dict[str, str]]) -> list[tuple[dict[str, str], str]]:
    """Put images of equal digest into one group and flag all but the first; whole groups are joined with them.

    Returns:
        Each duplicate's row, with the id of the first image that it equals.
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
    """The rows of index.csv, one per image of the store, in its order.

    Raises:
        InputError: the file is missing or does not fit the store.
    """
    path = DatasetFiles.beside(store).index
    files.refuse_damaged(path.parent, {path.name: store.manifest()["files"][path.name]})
    rows = files.read_csv(path, INDEX_COLUMNS)
    if len(rows) != store.rows():
        raise InputError(
            f"{path}: expected {store.rows()} rows as in {store.path}, received {len(rows)}; run ingest again"
        )
    return rows

"""Ingest: a source of colour images becomes `images.zarr` and `index.csv`."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import config, files, lab, provenance
from pipeline.errors import InputError
from pipeline.progress import Progress
from pipeline.sources import open_source
from pipeline.sources.base import Source
from pipeline.stores import Store
from pipeline.tasks import run_tasks

INDEX_COLUMNS = ("id", "group", "source", "digest", "flags")
REPORT_COLUMNS = ("file", "reason", "detail")
DUPLICATE = "duplicate"

log = logging.getLogger("deepcolor")


def settings(source: config.Section, images_per_shard: int) -> dict[str, Any]:
    """What decides the store's bytes besides the input's own: JSON values."""
    return {"source": source.model_dump(), "encoding": lab.ENCODING, "images_per_shard": images_per_shard}


def ingest(
    source_settings: config.SampleSource | config.KaggleSource | config.HDF5Source | config.FolderSource,
    store: Store,
    *,
    limit: int | None = None,
    images_per_shard: int = 64,
    replace: bool = False,
    scheduler: str = "threads",
    workers: int = 2,
    progress: Progress | None = None,
) -> int:
    """Bring `store` to the images of a source, shard by shard; shards that are finished and unchanged stay.

    Beside the store: `index.csv` (a row per image), `report.csv` (what was left out or occurs twice, and why) and,
    last, the manifest.

    Args:
        limit: take the first `limit` images only.
        replace: whether a store made with other settings may be replaced.

    Returns:
        How many shards were written.

    Raises:
        InputError: the source cannot be used, or the store is another one.
    """
    made_with = settings(source_settings, images_per_shard)
    store.keeps(None, made_with, replace=replace)  # before anything is written
    scratch = store.path.with_suffix(".scratch")
    source = open_source(
        source_settings, limit=limit, scratch=scratch, scheduler=scheduler, workers=workers, progress=progress
    )
    attributes = {"settings": made_with, "source": source.describe(), "versions": provenance.versions()}
    store.create(source.n, images_per_shard, attributes, replace=replace)
    identity = files.fingerprint(made_with)
    arguments = [(source, store, shard, identity) for shard in range(store.shard_count())]
    written = run_tasks(
        _ingest_shard, arguments, what="ingest, shards", scheduler=scheduler, workers=workers, target=store.path,
        progress=progress,
    )  # fmt: skip
    duplicates = _write_index(source, store)
    inputs = [(store.record(shard) or {})["input"] for shard in range(store.shard_count())]
    store.complete(
        {"input": files.fingerprint(inputs), "limit": limit},
        files={name: files.digest_file(store.path.with_name(name)) for name in ("index.csv", "report.csv")},
    )
    source.close()
    log.info(
        "ingest: %d images in %d shards (%d written, %d unchanged); %d left out, %d duplicates, see %s",
        source.n, len(written), sum(written), len(written) - sum(written), len(source.remarks), duplicates,
        store.path.with_name("report.csv"),
    )  # fmt: skip
    return sum(written)


def _ingest_shard(source: Source, store: Store, shard: int, identity: str) -> bool:
    start, stop = store.span(shard)
    made_from = source.input_digest(start, stop)
    if made_from and store.finished(shard, settings=identity, input=made_from):
        return False
    lightness, ab = source.read(start, stop)
    digests = [image_digest(row_l, row_ab) for row_l, row_ab in zip(lightness, ab, strict=True)]
    facts = {"settings": identity, "input": made_from or files.fingerprint(digests), "digests": digests}
    if not made_from and store.finished(shard, **facts):
        return False
    store.write_shard(shard, {"L": lightness, "ab": ab}, **facts)
    return True


def image_digest(lightness: lab.UInt8, ab: lab.UInt8) -> str:
    """What index.csv has as the digest of an image: SHA-256 of L (224, 224) and ab (224, 224, 2) uint8."""
    return files.digest_bytes(np.ascontiguousarray(lightness).data, np.ascontiguousarray(ab).data)


def _write_index(source: Source, store: Store) -> int:
    """Write index.csv and report.csv; images of equal bytes, and what is grouped with them, become one group."""
    rows: list[dict[str, str]] = []
    for shard in range(store.shard_count()):
        start, stop = store.span(shard)
        record = store.record(shard)
        if record is None:
            raise InputError(f"{store.path}: shard {shard} is not finished; run ingest again")
        for info, digest in zip(source.info(start, stop), record["digests"], strict=True):
            rows.append({"id": info.id, "group": info.group, "source": info.source, "digest": digest, "flags": ""})
    remarks = [{"file": r.file, "reason": r.reason, "detail": r.detail} for r in source.remarks]
    duplicates = merge_duplicates(rows)
    remarks += [
        {"file": row["id"], "reason": DUPLICATE, "detail": f"same image as {first}"} for row, first in duplicates
    ]
    files.write_csv(store.path.with_name("index.csv"), INDEX_COLUMNS, rows)
    files.write_csv(store.path.with_name("report.csv"), REPORT_COLUMNS, remarks)
    return len(duplicates)


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
    path: Path = store.path.with_name("index.csv")
    files.refuse_damaged(path.parent, {path.name: store.manifest()["files"][path.name]})
    rows = files.read_csv(path, INDEX_COLUMNS)
    if len(rows) != store.rows():
        raise InputError(
            f"{path}: expected {store.rows()} rows as in {store.path}, received {len(rows)}; run ingest again"
        )
    return rows

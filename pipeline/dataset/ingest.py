"""Ingest: a source of colour images becomes `images.zarr` and `index.csv`."""

import logging
from typing import Any

from pipeline.config import schema
from pipeline.config.paths import DatasetFiles, scratch_of
from pipeline.core import files, versions
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress
from pipeline.core.tasks import run_tasks
from pipeline.dataset.index import DUPLICATE, INDEX_COLUMNS, REPORT_COLUMNS, image_digest, merge_duplicates
from pipeline.dataset.sources.base import Source
from pipeline.dataset.sources.open import open_source
from pipeline.images import lab
from pipeline.storage.store import Store

log = logging.getLogger("deepcolor")


def settings(source: schema.Section, images_per_shard: int) -> dict[str, Any]:
    """What decides the store's bytes besides the input's own: JSON values."""
    return {"source": source.model_dump(), "encoding": lab.ENCODING, "images_per_shard": images_per_shard}


def ingest(
    source_settings: schema.SampleSource | schema.KaggleSource | schema.HDF5Source | schema.FolderSource,
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
    scratch = scratch_of(store)
    source = open_source(
        source_settings, limit=limit, scratch=scratch, scheduler=scheduler, workers=workers, progress=progress
    )
    attributes = {"settings": made_with, "source": source.describe(), "versions": versions.versions()}
    store.create(source.n, images_per_shard, attributes, replace=replace)
    identity = files.fingerprint(made_with)
    arguments = [(source, store, shard, identity) for shard in range(store.shard_count())]
    written = run_tasks(
        _ingest_shard, arguments, what="ingest, shards", scheduler=scheduler, workers=workers,
        progress=progress,
    )  # fmt: skip
    beside = DatasetFiles.beside(store)
    duplicates = _write_index(source, store, beside)
    inputs = [(store.record(shard) or {})["input"] for shard in range(store.shard_count())]
    store.complete(
        {"input": files.fingerprint(inputs), "limit": limit},
        files={path.name: files.digest_file(path) for path in (beside.index, beside.report)},
    )
    source.close()
    log.info(
        "ingest: %d images in %d shards (%d written, %d unchanged); %d left out, %d duplicates, see %s",
        source.n, len(written), sum(written), len(written) - sum(written), len(source.remarks), duplicates,
        beside.report,
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


def _write_index(source: Source, store: Store, beside: DatasetFiles) -> int:
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
    files.write_csv(beside.index, INDEX_COLUMNS, rows)
    files.write_csv(beside.report, REPORT_COLUMNS, remarks)
    return len(duplicates)

"""Ingest: write a source of colour images to `images.zarr` and `index.csv`."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config.paths import DatasetFiles, scratch_of
from pipeline.config.sources import FolderSource
from pipeline.config.sources import Source as Settings
from pipeline.core import csv_files, files, versions
from pipeline.core.conflicts import differing, kept
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress
from pipeline.core.tasks import run_tasks
from pipeline.core.text import counted, escaped
from pipeline.dataset import moved
from pipeline.dataset.index import DUPLICATE, INDEX_COLUMNS, REPORT_COLUMNS, Earlier, image_digest, merge_duplicates
from pipeline.dataset.sources.base import Source
from pipeline.dataset.sources.open import open_source
from pipeline.dataset.sources.outputs import refuse_output_inside
from pipeline.dataset.sources.table import PARTITION, read_partitions, table_digest
from pipeline.images import lab
from pipeline.storage.store import Store

log = logging.getLogger("deepcolor")


def settings(source: Settings, images_per_shard: int) -> dict[str, Any]:
    """Return the settings that decide the store's bytes and the groups of the images, as JSON values.

    Raises:
        InputError: the table of a folder's photographs cannot be read.
    """
    made_with = {"source": source.model_dump(), "encoding": lab.ENCODING, "images_per_shard": images_per_shard}
    if isinstance(source, FolderSource) and source.table is not None:
        made_with["table"] = table_digest(source)
    return made_with


def recorded_settings(source: Settings, images_per_shard: int, store: Store) -> dict[str, Any]:
    """Return the settings of the store if those wanted differ at most in where the source is; else as `settings`.

    Raises:
        InputError: as `settings`, unless the source is gone and the store has the digest of its table.
    """
    old: Mapping[str, Any] = store.attributes().get("settings", {})
    table = getattr(source, "table", None)
    if table and "table" in old and not Path(table).exists():
        made_with = {**settings(source.model_copy(update={"table": None}), images_per_shard), "table": old["table"]}
    else:
        made_with = settings(source, images_per_shard)
    return kept(old, made_with) if old else made_with


def ingest(
    source_settings: Settings,
    store: Store,
    *,
    limit: int | None = None,
    images_per_shard: int = 64,
    outputs: Sequence[Path] = (),
    replace: bool = False,
    scheduler: str = "threads",
    workers: int = 2,
    progress: Progress | None = None,
) -> int:
    """Write the images of a source to `store`, and beside it `index.csv`, `report.csv` and, last, the manifest.

    Shards that are complete and whose input has not changed are skipped. Photographs that the store has keep their
    order, and new ones come last.

    Args:
        limit: use the first `limit` images only.
        outputs: other folders of DeepColor's output, which must be apart from a folder of photographs.
        replace: whether a store made with other settings may be replaced.

    Returns:
        The number of shards written.

    Raises:
        InputError: the source cannot be used or is not apart from the output, or the store has other settings.
    """
    refuse_output_inside(source_settings, [store.path, *outputs])
    made_with = settings(source_settings, images_per_shard)
    store.keeps(None, made_with, replace=replace)  # before anything is written
    earlier = Earlier.of(store)
    source = open_source(
        source_settings, limit=limit, scratch=scratch_of(store), scheduler=scheduler, workers=workers,
        progress=progress, stored=earlier.ids,
    )  # fmt: skip
    old = store.attributes().get("settings")
    if old and not differing(old, made_with):
        has_moved = moved.has_moved(source_settings, store)
        if has_moved and not replace:
            moved.refuse_other_images(source_settings, source, store)
        made_with = made_with if has_moved and replace else old
    attributes = {"settings": made_with, "source": source.describe(), "versions": versions.versions()}
    store.keeps(source.n, made_with, replace=replace)
    earlier.note(store)
    store.create(source.n, images_per_shard, attributes, replace=replace)
    identity = files.fingerprint(made_with)
    arguments = [(source, store, shard, identity) for shard in range(store.shard_count())]
    written = run_tasks(
        _ingest_shard, arguments, what="ingest, shards", scheduler=scheduler, workers=workers, progress=progress
    )
    records = [store.record(shard) or {} for shard in range(store.shard_count())]
    if missing := [shard for shard, record in enumerate(records) if not record]:
        raise InputError(f"{store.path}: shards {missing} are unfinished; run ingest again")
    remarks = [vars(remark) for remark in source.remarks]
    rows = [
        {"id": info.id, "group": info.group, "source": info.source, "digest": digest, "flags": ""}
        for record in records
        for info, digest in zip(source.info(*record["rows"]), record["digests"], strict=True)
    ]
    duplicates = [
        {"file": row["id"], "reason": DUPLICATE, "detail": f"same image as {first}"}
        for row, first in merge_duplicates(rows)
    ]
    beside = DatasetFiles.beside(store)
    columns = [*INDEX_COLUMNS]
    if isinstance(source_settings, FolderSource) and (given := read_partitions(source_settings)):
        by_id = {escaped(path): partition for path, partition in given.items()}
        rows = [{**row, PARTITION: by_id.get(row["id"], "")} for row in rows]
        columns.append(PARTITION)
    csv_files.write(beside.index, columns, rows)
    csv_files.write(beside.report, REPORT_COLUMNS, remarks + duplicates)
    store.complete(
        {"input": files.fingerprint([record["input"] for record in records]), "limit": limit},
        files={path.name: files.digest_file(path) for path in (beside.index, beside.report)},
    )
    source.close()
    if changed := earlier.settle(store):
        log.info("ingest: the images have changed: %s", changed)
    log.info(
        "ingest: %s in %s (%d written, %d unchanged); %s left out, %s; see %s",
        counted(source.n, "image"), counted(len(written), "shard"), sum(written), len(written) - sum(written),
        counted(len(remarks), "file"), counted(len(duplicates), "duplicate"), beside.report,
    )  # fmt: skip
    return sum(written)


def _ingest_shard(source: Source, store: Store, shard: int, identity: str) -> bool:
    """Write a shard unless it is complete and unchanged; return whether it was written."""
    start, stop = store.span(shard)
    made_from = source.input_digest(start, stop)
    if made_from and store.finished(shard, settings=identity, input=made_from):
        return False
    lightness, ab = source.read(start, stop)
    digests = [image_digest(*image) for image in zip(lightness, ab, strict=True)]
    facts = {"settings": identity, "input": made_from or files.fingerprint(digests), "digests": digests}
    if not made_from and store.finished(shard, **facts):
        return False
    store.write_shard(shard, {"L": lightness, "ab": ab}, **facts)
    return True

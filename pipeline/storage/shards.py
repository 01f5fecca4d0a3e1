"""Encoding a shard with zarr, the checksums of its chunks, and writing it completely or not at all."""

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import google_crc32c
import numpy as np
import numpy.typing as npt
import zarr
from zarr.abc.store import Store as ZarrStore
from zarr.codecs import ZstdCodec
from zarr.storage import MemoryStore

from pipeline.core import files
from pipeline.storage.layouts import ArrayLayout

ROWS_PER_CHUNK = 4
ZSTD_LEVEL = 3
PARTIAL = ".partial"  # suffix of a file that is being written
ABSENT = 2**64 - 1  # offset and length of a chunk beyond the array's end
# zarr's configuration is shared by all threads. Readers select another codec in it, which would encode other bytes.
configuring = threading.Lock()


def create_array(store: ZarrStore, path: str, array: ArrayLayout, rows: int, rows_per_shard: int) -> "zarr.Array[Any]":
    """Create a zarr array that stores every chunk, even those equal to the fill value."""
    return zarr.create_array(
        store,
        name=path,
        shape=(rows, *array.row),
        dtype=array.dtype,
        chunks=(ROWS_PER_CHUNK, *array.row),
        shards=(rows_per_shard, *array.row),
        compressors=ZstdCodec(level=ZSTD_LEVEL, checksum=True),
        fill_value=array.fill,
        dimension_names=array.dimensions,
        config={"write_empty_chunks": True},
    )


def encode_shard(rows: npt.NDArray[Any], rows_per_shard: int, array: ArrayLayout) -> bytes:
    """Return the bytes that zarr stores for the `rows` of one shard.

    This happens in memory, because zarr would merge a short last shard into an existing file, even a damaged one.
    """
    made: dict[str, Any] = {}
    with configuring:
        create_array(MemoryStore(made), "", array, len(rows), rows_per_shard)[:] = rows
    return bytes(made["/".join(["c", *"0" * rows.ndim])].to_bytes())


def chunk_checksums(shard: BinaryIO, rows_per_shard: int, chunks: Iterable[int]) -> list[int | None]:
    """Return the crc32c of stored chunks of a shard; None if the index is damaged or the chunk is not stored.

    Args:
        shard: the open file, which ends with the index: 64-bit offset and length of each chunk, and a crc32c.
        rows_per_shard: rows of a full shard.
        chunks: numbers of the chunks.
    """
    size = 16 * -(-rows_per_shard // ROWS_PER_CHUNK) + 4
    shard.seek(max(0, shard.seek(0, os.SEEK_END) - size))
    index = shard.read(size)
    if len(index) < size or google_crc32c.value(index[:-4]) != int.from_bytes(index[-4:], "little"):
        return [None for _ in chunks]
    checksums: list[int | None] = []
    for offset, length in np.frombuffer(index[:-4], "<u8").reshape(-1, 2)[[*chunks]].tolist():
        shard.seek(0 if offset == ABSENT else offset)
        checksums.append(None if offset == ABSENT else google_crc32c.value(shard.read(length)))
    return checksums


def write_shard_file(path: Path, content: bytes) -> None:
    """Write a shard's file completely or not at all, even while another process writes the same shard.

    On a cluster, a worker that the scheduler has given up on may still be writing it, with the same bytes.
    """
    partial = path.with_suffix(f".{uuid4().hex}{PARTIAL}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        files.fill(partial, content)
        files.sync(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

"""One shard's file, and its bytes, as zarr's sharding codec writes them, made by the calling thread alone.

zarr itself hands every chunk to a thread and back, which took more than a quarter of an ingest of arrays. The format is
that of the zarr specification: the chunks one after the other, then an index, 64-bit offset and length of each, and its
crc32c.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import google_crc32c
import numpy as np
import numpy.typing as npt
from numcodecs.zstd import Zstd

ZSTD_LEVEL = 3
PARTIAL = ".partial"  # suffix of a file that is being written
ABSENT = 2**64 - 1  # offset and length of a chunk beyond the array's end


def encode_shard(rows: npt.NDArray[Any], chunks: int, rows_per_chunk: int, fill: float) -> tuple[bytes, list[int]]:
    """A shard of so many chunks along the first axis, of which `rows` are the first ones.

    Args:
        rows: (k, ...), k at most ``chunks * rows_per_chunk``; their bytes are stored as they are.
        chunks: of the whole shard.
        rows_per_chunk: the last chunk is filled up to as many.
        fill: with this value.

    Returns:
        The shard, and the crc32c of each chunk that is there, as it is stored.
    """
    compressor = Zstd(level=ZSTD_LEVEL, checksum=True)
    index = np.full((chunks, 2), ABSENT, "<u8")
    parts = []
    end = 0
    for number, start in enumerate(range(0, len(rows), rows_per_chunk)):
        chunk = np.ascontiguousarray(rows[start : start + rows_per_chunk])
        if missing := rows_per_chunk - len(chunk):
            chunk = np.concatenate([chunk, np.full((missing, *chunk.shape[1:]), fill, chunk.dtype)])
        parts.append(compressor.encode(chunk))
        index[number] = end, len(parts[-1])
        end += len(parts[-1])
    checksums = [google_crc32c.value(part) for part in parts]
    parts.append(index.tobytes())
    parts.append(google_crc32c.value(parts[-1]).to_bytes(4, "little"))
    return b"".join(parts), checksums


def chunk_checksums(path: Path, chunks: int, wanted: Iterable[int]) -> list[int | None]:
    """The crc32c of some chunks of a shard's file, as they are stored; None where its index or the chunk is not whole.

    Args:
        path: the file.
        chunks: of the whole shard.
        wanted: numbers of chunks.

    Raises:
        OSError: there is no such file.
    """
    size = 16 * chunks + 4
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - size))
        index = file.read(size)
        if len(index) < size or google_crc32c.value(index[:-4]) != int.from_bytes(index[-4:], "little"):
            return [None for _ in wanted]
        found: list[int | None] = []
        for offset, length in np.frombuffer(index, "<u8", 2 * chunks).reshape(-1, 2)[[*wanted]].tolist():
            if offset == ABSENT:
                found.append(None)
            else:
                file.seek(offset)
                found.append(google_crc32c.value(file.read(length)))
    return found


def write_shard_file(path: Path, content: bytes) -> None:
    """Write a shard's file, whole or not at all, beside others that write the same one.

    On a cluster, a worker that was given up may do so, to the same bytes.
    """
    partial = path.with_suffix(f".{uuid4().hex}{PARTIAL}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

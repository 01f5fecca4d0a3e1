"""Reading zarr stores of one row per image, with a check of every byte that is used.

A record holds the origin and the digests of a shard. A shard without a matching record is unfinished, whatever lies in
the store: zarr itself would read a missing shard as fill values.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.storage.layouts import EMBEDDINGS, IMAGES, ArrayLayout, StoreLayout, on_disk
from pipeline.storage.shards import ROWS_PER_CHUNK, chunk_checksums, configuring

FORMAT = 2
ATTRIBUTE = "deepcolor"
# zarrs decodes faster than zarr itself.
READING = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class StoreReader:
    """A store on disk: ``<name>.zarr``, the records ``<name>.shards/`` and the manifest ``<name>.json`` beside it."""

    path: Path
    layout: StoreLayout
    # Successful checks: of the manifest, by its fingerprint, and one bit per chunk of each shard.
    _checked: dict[object, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def arrays(self) -> tuple[ArrayLayout, ...]:
        """The arrays of the layout, or those on disk if it names none."""
        return self.layout.arrays or _on_disk(self.path, self.layout.kind, _stamp(self.path))

    @property
    def _stage(self) -> str:
        """The stage that writes the store, which has the name of its kind if no other."""
        return {IMAGES.kind: "ingest", EMBEDDINGS.kind: "embed"}.get(self.layout.kind, self.layout.kind)

    @property
    def manifest_path(self) -> Path:
        """The manifest, which exists only if the store is complete."""
        return self.path.with_suffix(".json")

    @property
    def records(self) -> Path:
        """The directory of the shards' records."""
        return self.path.with_suffix(".shards")

    def attributes(self) -> dict[str, Any]:
        """Return what made the store (see `Store.create`) and its `rows`; empty if it is missing or damaged.

        Raises:
            InputError: something else lies at its path.
        """
        ours = self.records.is_dir()
        if not (self.path / "zarr.json").exists():
            if ours or not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
                return {}
            raise InputError(
                f"{self.path}: expected a DeepColor store, received other files; delete them, or choose another path"
            )
        kind = self.layout.kind
        try:
            value = open_group(self.path).attrs.asdict().get(ATTRIBUTE)
            if not isinstance(value, dict) or value.pop(files.CHECKSUM, None) != files.fingerprint(value):
                raise InputError(
                    f"{self.path}: expected a DeepColor store of {kind}, received another zarr group; name another path"
                )
        except InputError:
            if ours:
                return {}
            raise
        if value.get("kind") != kind:
            raise InputError(
                f"{self.path}: expected a store of {kind}, received one of {value.get('kind')}; name another path"
            )
        if value.get("format") != FORMAT:
            raise InputError(
                f"{self.path}: expected store format {FORMAT}, received {value.get('format')}; "
                f"move it away and run `{self._stage}` again, or use the version of DeepColor that wrote it"
            )
        return value

    def array(self, name: str) -> "zarr.Array[Any]":
        """Open one of the store's arrays for reading."""
        return _opened(self, name, tuple(map(_stamp, self._metadata_files())))

    def rows(self) -> int:
        """The number of images."""
        return int(self._first().shape[0])

    def rows_per_shard(self) -> int:
        """The number of images in a shard."""
        array = self._first()
        return int((array.shards or array.chunks)[0])

    def _first(self) -> "zarr.Array[Any]":
        if not self.arrays:
            raise InputError(f"{self.path}: expected a store with arrays, received none; {files.REPAIR}")
        return self.array(self.arrays[0].name)

    def shard_count(self) -> int:
        """The number of shards of each array."""
        return -(-self.rows() // self.rows_per_shard())

    def span(self, shard: int) -> tuple[int, int]:
        """Return the first row of a shard and the row after its last one."""
        size = self.rows_per_shard()
        return shard * size, min((shard + 1) * size, self.rows())

    def record(self, shard: int) -> dict[str, Any] | None:
        """Return the shard's record, or None if it is missing or damaged."""
        with contextlib.suppress(InputError):
            return files.read_json(self.record_path(shard))
        return None

    def intact(self, shard: int) -> bool:
        """Whether the shard's files match the digests in its record."""
        record = self.record(shard)
        with contextlib.suppress(FileNotFoundError):
            return record is not None and record.get("files") == self._shard_digests(shard)
        return False

    def missing_shards(self) -> list[int]:
        """Return the shards with a missing file or record, without reading any file."""
        if not all(path.exists() for path in self._metadata_files()):
            return [0]

        def exists(shard: int) -> bool:
            paths = [self.record_path(shard), *(self.shard_file(array.name, shard) for array in self.arrays)]
            return all(path.exists() for path in paths)

        return [shard for shard in range(self.shard_count()) if not exists(shard)]

    def manifest(self) -> dict[str, Any]:
        """Return the manifest of a complete store, after checking its metadata and records.

        Raises:
            InputError: the store is incomplete, or one of these files is damaged.
        """
        if not self.manifest_path.exists():
            raise InputError(
                f"{self.path}: expected a complete store, but {self.manifest_path.name} is missing; run `{self._stage}`"
            )
        manifest = files.read_json(self.manifest_path)
        if manifest["fingerprint"] not in self._checked:
            files.refuse_damaged(self.path, manifest["metadata"])
            records = [self.record(shard) for shard in range(manifest["shards"])]
            for shard, record in enumerate(records):
                if record is None:
                    raise InputError(f"{self.record_path(shard)} is missing or damaged; {files.REPAIR}")
            if self.fingerprint(records) != manifest["fingerprint"]:
                raise InputError(
                    f"{self.records}: expected the records listed in {self.manifest_path.name}, received others; "
                    f"{files.REPAIR}"
                )
            self._checked[manifest["fingerprint"]] = 1
        return manifest

    def read_spans(self, name: str) -> Iterator[tuple[int, int, Array]]:
        """Yield one array shard by shard: first row, row after the last, values.

        Raises:
            InputError: a shard is missing or damaged.
        """
        array = self.array(name)
        for shard in range(self.shard_count()):
            start, stop = self.span(shard)
            yield start, stop, self.read(name, start, stop, array)

    def read(self, name: str, start: int, stop: int, array: "zarr.Array[Any] | None" = None) -> Array:
        """Return rows of one array.

        Raises:
            InputError: a shard is missing or damaged.
        """
        array = array or self.array(name)
        size = (array.shards or array.chunks)[0]
        for shard in range(start // size, -(-stop // size)):
            self._check(name, shard, start, stop)
        return np.asarray(array[start:stop])

    def _check(self, name: str, shard: int, start: int, stop: int) -> None:
        """Raise InputError if the part of a shard that holds rows `start` to `stop` is missing or damaged.

        zarr reads a missing or empty file as fill values, and its checksums do not cover every byte of a file. For part
        of a shard, only the index and the chunks concerned are checked, which is faster than the file's SHA-256.
        """
        first, end = self.span(shard)
        chunks = range(-(-(end - first) // ROWS_PER_CHUNK))
        needed = chunks[(max(start, first) - first) // ROWS_PER_CHUNK : -(-(min(stop, end) - first) // ROWS_PER_CHUNK)]
        checked = self._checked.get((name, shard), 0)
        if all(checked >> chunk & 1 for chunk in needed):
            return
        path, record = self.shard_file(name, shard), self.record(shard)
        checksums = (record or {}).get("chunks", {}).get(name)
        if checksums is None:  # written by an earlier version
            needed = chunks
        if record is None or not path.exists():
            intact = False
        elif needed == chunks:
            intact = files.digest_file(path) == record["files"][name]
        else:
            with path.open("rb") as file:
                actual = chunk_checksums(file, self.rows_per_shard(), needed)
            intact = actual == [checksums[chunk] for chunk in needed]
        if not intact:
            problem = "damaged, or has no record" if path.exists() else "missing"
            raise InputError(f"{path} ({name} of images {first} to {end - 1}) is {problem}; {files.REPAIR}")
        self._checked[name, shard] = checked | sum(1 << chunk for chunk in needed)

    def read_rows(self, name: str, rows: Sequence[int] | npt.NDArray[np.intp]) -> Array:
        """Return single rows of one array, in the given order.

        Raises:
            InputError: a shard is missing or damaged.
        """
        array = self.array(name)
        return np.concatenate([self.read(name, int(row), int(row) + 1, array) for row in rows])

    @staticmethod
    def fingerprint(records: Iterable[Mapping[str, Any] | None]) -> str:
        """Return the fingerprint of a store, from its shards' digests in order."""
        return files.fingerprint([record["files"] for record in records if record])

    def shard_file(self, name: str, shard: int) -> Path:
        """Return the file of one shard of one array."""
        layout = next(array for array in self.arrays if array.name == name)
        return self.path / name / "c" / str(shard) / "/".join("0" for _ in layout.dimensions[1:])

    def _shard_digests(self, shard: int) -> dict[str, str]:
        return {array.name: files.digest_file(self.shard_file(array.name, shard)) for array in self.arrays}

    def record_path(self, shard: int) -> Path:
        """Return the file of a shard's record."""
        return self.records / f"{shard:06d}.json"

    def _metadata_files(self) -> list[Path]:
        return [self.path / "zarr.json", *(self.path / array.name / "zarr.json" for array in self.arrays)]


def open_group(path: Path) -> zarr.Group:
    """Open a zarr group for reading.

    Raises:
        InputError: it is missing or unreadable.
    """
    try:
        return zarr.open_group(path, mode="r", zarr_format=3)
    except FileNotFoundError:
        raise InputError(
            f"{path}: expected a zarr store of DeepColor, received none; run the stage that writes it"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path}: expected a zarr store of DeepColor, received {error}; run the stage that writes it again"
        ) from None


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=16)
def _on_disk(path: Path, kind: str, stamp: tuple[int, ...]) -> tuple[ArrayLayout, ...]:
    records = (files.read_if_whole(record) for record in sorted(path.with_suffix(".shards").glob("*.json")))
    return on_disk(path, kind, next(filter(None, records), {}).get("files", ()))


@lru_cache(maxsize=16)
def _opened(store: StoreReader, name: str, stamps: tuple[tuple[int, ...], ...]) -> "zarr.Array[Any]":
    """Open an array, once while its metadata files keep their `stamps`: opening takes longer than reading an image."""
    try:
        with configuring, zarr.config.set(READING):
            array = open_group(store.path)[name]
    except (KeyError, ValueError, TypeError):
        array = None
    if not isinstance(array, zarr.Array):
        raise InputError(f"{store.path}: expected a readable array {name!r}, received none; {files.REPAIR}")
    return array

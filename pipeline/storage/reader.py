"""Zarr stores of one row per image: paths, metadata, and reading rows after a check of their bytes.

A record says what a shard was made from and what bytes it became. A shard whose record is missing or does not match is
not finished, whatever lies in the store: zarr itself would read a missing shard as fill values.
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
from pipeline.storage.layouts import ArrayLayout, StoreLayout, on_disk
from pipeline.storage.shards import ROWS_PER_CHUNK, chunk_checksums, configuring

FORMAT = 2
ATTRIBUTE = "deepcolor"
# zarrs reads faster than zarr itself.
READING = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class StoreReader:
    """A store on disk: ``<name>.zarr``, the records ``<name>.shards/`` and the manifest ``<name>.json`` beside it."""

    path: Path
    layout: StoreLayout
    # What was found to be whole: the manifest, by its fingerprint, and of each shard a bit per chunk.
    _checked: dict[object, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def arrays(self) -> tuple[ArrayLayout, ...]:
        """The arrays of the layout; where it names none, those that are on disk."""
        return self.layout.arrays or _on_disk(self.path, _stamp(self.path))

    @property
    def manifest_path(self) -> Path:
        """The file that says that the store is complete, and of what it is made."""
        return self.path.with_suffix(".json")

    @property
    def records(self) -> Path:
        """The directory of the shards' records."""
        return self.path.with_suffix(".shards")

    def attributes(self) -> dict[str, Any]:
        """What made the store (see `create`), and its number of `rows`; empty if there is none, or they are damaged."""
        ours = self.records.is_dir()
        if not (self.path / "zarr.json").exists():
            if not ours and self.path.exists() and not (self.path.is_dir() and not any(self.path.iterdir())):
                raise InputError(
                    f"{self.path}: expected a DeepColor store, received other files; delete it, or name another path"
                )
            return {}
        try:
            value = self.open().attrs.asdict().get(ATTRIBUTE)
        except InputError:
            if ours:
                return {}
            raise
        if not isinstance(value, dict) or value.pop(files.CHECKSUM, None) != files.fingerprint(value):
            if ours:
                return {}
            raise InputError(
                f"{self.path}: expected a DeepColor store of {self.layout.kind}, received another zarr group; "
                "name another path"
            )
        if value.get("kind") != self.layout.kind:
            raise InputError(
                f"{self.path}: expected a store of {self.layout.kind}, received one of {value.get('kind')}; "
                "name another path"
            )
        if value.get("format") != FORMAT:
            raise InputError(
                f"{self.path}: expected store format {FORMAT}, received {value.get('format')}; "
                "move it away and make it again, or use the version that made it"
            )
        return value

    def open(self) -> zarr.Group:
        """The zarr group, for reading.

        Raises:
            InputError: there is none, or it cannot be read.
        """
        try:
            return zarr.open_group(self.path, mode="r", zarr_format=3)
        except FileNotFoundError:
            raise InputError(f"{self.path}: there is no zarr store here; run the stage that makes it") from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{self.path}: this zarr store cannot be read ({error}); make it again") from None

    def array(self, name: str) -> "zarr.Array[Any]":
        """One of the store's arrays, for reading."""
        return _opened(self, name, tuple(map(_stamp, self._metadata_files())))

    def rows(self) -> int:
        """The number of images."""
        return int(self.array(self.arrays[0].name).shape[0])

    def rows_per_shard(self) -> int:
        """The number of images in a shard."""
        array = self.array(self.arrays[0].name)
        return int((array.shards or array.chunks)[0])

    def shard_count(self) -> int:
        """The number of shards of each array."""
        return -(-self.rows() // self.rows_per_shard())

    def span(self, shard: int) -> tuple[int, int]:
        """First row of a shard, and the row after its last one."""
        size = self.rows_per_shard()
        return shard * size, min((shard + 1) * size, self.rows())

    def record(self, shard: int) -> dict[str, Any] | None:
        """The shard's record, or None if it has none that can be read."""
        with contextlib.suppress(InputError):
            return files.read_json(self.record_path(shard))
        return None

    def intact(self, shard: int) -> bool:
        """Whether the shard's files hold the bytes that its record tells."""
        record = self.record(shard)
        with contextlib.suppress(FileNotFoundError):
            return record is not None and record.get("files") == self._shard_digests(shard)
        return False

    def missing_shards(self) -> list[int]:
        """Shards of which a file or the record is not there; does not look into those that are."""
        if not all(path.exists() for path in self._metadata_files()):
            return [0]
        found = []
        for shard in range(self.shard_count()):
            paths = [self.record_path(shard), *(self.shard_file(array.name, shard) for array in self.arrays)]
            if not all(path.exists() for path in paths):
                found.append(shard)
        return found

    def manifest(self) -> dict[str, Any]:
        """The manifest of a complete store, whose metadata and records are those that it tells.

        Raises:
            InputError: the store is not complete, or one of these files is damaged.
        """
        if not self.manifest_path.exists():
            raise InputError(
                f"{self.manifest_path} does not exist: the store {self.path} is not complete; run its stage"
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
                    f"{self.records}: expected the records that {self.manifest_path.name} tells, received others; "
                    f"{files.REPAIR}"
                )
            self._checked[manifest["fingerprint"]] = 1
        return manifest

    def read_spans(self, name: str) -> Iterator[tuple[int, int, Array]]:
        """One array shard by shard: first row, row after the last, values.

        Raises:
            InputError: a shard is missing or damaged.
        """
        array = self.array(name)
        for shard in range(self.shard_count()):
            start, stop = self.span(shard)
            yield start, stop, self.read(name, start, stop, array)

    def read(self, name: str, start: int, stop: int, array: "zarr.Array[Any] | None" = None) -> Array:
        """Rows of one array.

        Raises:
            InputError: a shard is missing or damaged.
        """
        array = array or self.array(name)
        size = (array.shards or array.chunks)[0]
        for shard in range(start // size, -(-stop // size)):
            self._check(name, shard, start, stop)
        return np.asarray(array[start:stop])

    def _check(self, name: str, shard: int, start: int, stop: int) -> None:
        """Refuse rows `start` to `stop`, as far as they lie in the shard, if it is missing, or damaged where they are.

        zarr reads a missing or empty file as fill values, and its checksums do not cover all of a file's bytes. Of a
        part of a shard, its chunks and the index are looked at, which takes less time than the whole file's SHA-256.
        """
        first, end = self.span(shard)
        every = range(-(-(end - first) // ROWS_PER_CHUNK))
        here = every[(max(start, first) - first) // ROWS_PER_CHUNK : -(-(min(stop, end) - first) // ROWS_PER_CHUNK)]
        checked = self._checked.get((name, shard), 0)
        if all(checked >> chunk & 1 for chunk in here):
            return
        path, record = self.shard_file(name, shard), self.record(shard)
        known = (record or {}).get("chunks", {}).get(name)
        if known is None:  # of an earlier version
            here = every
        if record is None or not path.exists():
            whole = False
        elif here == every:
            whole = files.digest_file(path) == record["files"][name]
        else:
            with path.open("rb") as file:
                found = chunk_checksums(file, self.rows_per_shard(), here)
            whole = found == [known[chunk] for chunk in here]
        if not whole:
            wrong = "missing" if not path.exists() else "damaged, or has no record of its bytes"
            raise InputError(f"{path} ({name} of images {first} to {end - 1}) is {wrong}; {files.REPAIR}")
        self._checked[name, shard] = checked | sum(1 << chunk for chunk in here)

    def read_rows(self, name: str, rows: Sequence[int] | npt.NDArray[np.intp]) -> Array:
        """Single rows of one array, in the order asked for.

        Raises:
            InputError: a shard is missing or damaged.
        """
        array = self.array(name)
        return np.concatenate([self.read(name, int(row), int(row) + 1, array) for row in rows])

    @staticmethod
    def fingerprint(records: Iterable[Mapping[str, Any] | None]) -> str:
        """The fingerprint of a whole store: that of all its shards' digests, in their order."""
        return files.fingerprint([record["files"] for record in records if record])

    def shard_file(self, name: str, shard: int) -> Path:
        """The file that holds one shard of one array."""
        layout = next(array for array in self.arrays if array.name == name)
        return self.path / name / "c" / str(shard) / "/".join("0" for _ in layout.dimensions[1:])

    def _shard_digests(self, shard: int) -> dict[str, str]:
        return {array.name: files.digest_file(self.shard_file(array.name, shard)) for array in self.arrays}

    def record_path(self, shard: int) -> Path:
        """The file of a shard's record."""
        return self.records / f"{shard:06d}.json"

    def _metadata_files(self) -> list[Path]:
        return [self.path / "zarr.json", *(self.path / array.name / "zarr.json" for array in self.arrays)]


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=16)
def _on_disk(path: Path, stamp: tuple[int, ...]) -> tuple[ArrayLayout, ...]:
    return on_disk(path)


@lru_cache(maxsize=16)
def _opened(store: StoreReader, name: str, stamps: tuple[tuple[int, ...], ...]) -> "zarr.Array[Any]":
    """An array of a store, opened once for as long as its metadata's `stamps` stay: that takes longer than an image."""
    try:
        with configuring, zarr.config.set(READING):
            found = store.open()[name]
    except (KeyError, ValueError, TypeError):
        found = None
    if not isinstance(found, zarr.Array):
        raise InputError(f"{store.path}: expected an array {name!r}, received none that can be read; {files.REPAIR}")
    return found

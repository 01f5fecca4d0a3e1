"""Zarr stores of one row per image, written by whole shards, each shard with a record of its own.

A record says what a shard was made from and what bytes it became. A shard whose record is missing or does not match is
not finished, whatever lies in the store: zarr itself would read a missing shard as fill values.
"""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.storage import MemoryStore

from pipeline.core import files
from pipeline.core.conflicts import differing, refuse_other
from pipeline.core.errors import InputError
from pipeline.storage.layouts import StoreLayout
from pipeline.storage.shards import (
    PARTIAL,
    ROWS_PER_CHUNK,
    chunk_checksums,
    configuring,
    create_array,
    encode_shard,
    write_shard_file,
)

FORMAT = 2
ATTRIBUTE = "deepcolor"
# zarrs reads faster than zarr itself.
READING = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}

log = logging.getLogger("deepcolor")

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Store:
    """A store on disk: ``<name>.zarr``, the records ``<name>.shards/`` and the manifest ``<name>.json`` beside it."""

    path: Path
    layout: StoreLayout
    # What was found to be whole: the manifest, by its fingerprint, and of each shard a bit per chunk.
    _checked: dict[object, int] = field(default_factory=dict, compare=False, repr=False)

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

    def keeps(self, rows: int | None, settings: Mapping[str, Any], *, replace: bool = False) -> bool:
        """Whether what is there can stay; arguments and errors as of `create`, `rows` None where not known yet."""
        old = self.attributes()
        made_with = old.get("settings", {})
        if not replace:
            fewer = [f"images: {old['rows']}, now {rows}"] if old and rows is not None and old["rows"] > rows else []
            refuse_other(self.path, made_with, settings, more=fewer)
        return not old or not differing(made_with, settings)

    def create(self, rows: int, rows_per_shard: int, attributes: Mapping[str, Any], *, replace: bool = False) -> None:
        """Make the store's metadata, or bring it to `rows` rows and keep the shards that are there.

        The store is not complete until `complete`.

        Args:
            attributes: what makes the store, as JSON values; shards are kept only under equal ``settings``.
            replace: whether a store of other settings, or of more rows, may be replaced.

        Raises:
            InputError: there is such a store, and `replace` is false.
        """
        described = {"kind": self.layout.kind, "format": FORMAT, "rows": rows, **attributes}
        if not self.keeps(rows, described["settings"], replace=replace):
            files.remove(self.path)
            files.remove(self.records)
        self.manifest_path.unlink(missing_ok=True)
        # The records' folder comes first: a store whose making was cut off is known again.
        if self.records.is_dir() and self.path.is_dir() and not self.attributes():
            log.warning("%s: its metadata were not whole; they are made again", self.path)
        self.records.mkdir(parents=True, exist_ok=True)
        self._write_metadata(rows_per_shard, described)
        shards = -(-rows // rows_per_shard)
        # What is beyond the last shard, and what was half-written when the process was killed.
        for folder in (self.records, *(self.path / array.name / "c" for array in self.layout.arrays)):
            for path in folder.glob("*"):
                if not path.stem.isdecimal() or int(path.stem) >= shards:
                    files.remove(path)
        for path in self.path.rglob(f"*{PARTIAL}"):
            files.remove(path)

    def _write_metadata(self, rows_per_shard: int, described: Mapping[str, Any]) -> None:
        """Write the zarr.json files where they are not there, or not as they should be; the group's own comes last."""
        made: dict[str, Any] = {}
        sealed = {**described, files.CHECKSUM: files.fingerprint(described)}
        memory = MemoryStore(made)
        zarr.open_group(memory, mode="w", zarr_format=3, attributes={ATTRIBUTE: sealed})
        for array in self.layout.arrays:
            create_array(memory, array.name, array, described["rows"], rows_per_shard)
        for path in reversed(self._metadata_files()):
            content = made[path.relative_to(self.path).as_posix()].to_bytes()
            if not path.exists() or path.read_bytes() != content:
                with files.written_whole(path) as temporary:
                    temporary.write_bytes(content)

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
        return int(self.array(self.layout.arrays[0].name).shape[0])

    def rows_per_shard(self) -> int:
        """The number of images in a shard."""
        array = self.array(self.layout.arrays[0].name)
        return int((array.shards or array.chunks)[0])

    def shard_count(self) -> int:
        """The number of shards of each array."""
        return -(-self.rows() // self.rows_per_shard())

    def span(self, shard: int) -> tuple[int, int]:
        """First row of a shard, and the row after its last one."""
        size = self.rows_per_shard()
        return shard * size, min((shard + 1) * size, self.rows())

    def write_shard(self, shard: int, values: Mapping[str, Array], **facts: Any) -> dict[str, Any]:
        """Write one whole shard of every array, then its record.

        Args:
            values: the shard's rows by array name.
            facts: JSON values that the record keeps, and that `finished` compares.

        Returns:
            The record.

        Raises:
            ValueError, TypeError: `values` are not as many rows, or not of the array's shape or kind of number.
        """
        start, stop = self.span(shard)
        size = self.rows_per_shard()
        self.record_path(shard).unlink(missing_ok=True)
        self._checked.clear()
        digests, checksums = {}, {}
        for array in self.layout.arrays:
            dtype = np.dtype(array.dtype).newbyteorder("<")
            rows = values[array.name].astype(dtype, casting="same_kind", copy=False)
            if rows.shape != (expected := (stop - start, *array.row)):
                raise ValueError(f"{array.name}: expected rows of the shape {expected}, received {rows.shape}")
            content = encode_shard(rows, size, array)
            checksums[array.name] = chunk_checksums(BytesIO(content), size, range(-(-len(rows) // ROWS_PER_CHUNK)))
            with files.naming(self.path / array.name):
                write_shard_file(self.shard_file(array.name, shard), content)
            digests[array.name] = files.digest_bytes(content)
        record = {"rows": [start, stop], **facts, "files": digests, "chunks": checksums}
        files.write_json(self.record_path(shard), record)
        return record

    def record(self, shard: int) -> dict[str, Any] | None:
        """The shard's record, or None if it has none that can be read."""
        with contextlib.suppress(InputError):
            return files.read_json(self.record_path(shard))
        return None

    def finished(self, shard: int, **facts: Any) -> bool:
        """Whether the shard's record matches `facts`, and its bytes match its record."""
        record = self.record(shard)
        if record is None or record.get("rows") != list(self.span(shard)):
            return False
        return all(record.get(key) == value for key, value in facts.items()) and self.intact(shard)

    def intact(self, shard: int) -> bool:
        """Whether the shard's files hold the bytes that its record tells."""
        record = self.record(shard)
        with contextlib.suppress(FileNotFoundError):
            return record is not None and record.get("files") == self._shard_digests(shard)
        return False

    def complete(self, attributes: Mapping[str, Any], **facts: Any) -> None:
        """Add what is known only now to the store's attributes, and write the manifest: the store is complete.

        Args:
            attributes: JSON values, added to those of `create`.
            facts: JSON values for the manifest alone.

        Raises:
            InputError: a shard has no record.
        """
        records = [self.record(shard) for shard in range(self.shard_count())]
        if missing := [shard for shard, record in enumerate(records) if record is None]:
            raise InputError(f"{self.path}: shards {missing} are not finished; run the stage again")
        described = {**self.attributes(), **attributes}
        ours = files.fingerprint(described["settings"])
        if other := [shard for shard, record in enumerate(records) if record and record.get("settings", ours) != ours]:
            raise InputError(f"{self.path}: shards {other} were written with other settings meanwhile; run it again")
        self._write_metadata(self.rows_per_shard(), described)
        metadata = {path.relative_to(self.path).as_posix(): files.digest_file(path) for path in self._metadata_files()}
        manifest = {
            **described,
            "shards": len(records),
            "fingerprint": self.fingerprint(records),
            "metadata": metadata,
            **facts,
        }
        files.write_json(self.manifest_path, manifest)

    def missing_shards(self) -> list[int]:
        """Shards of which a file or the record is not there; does not look into those that are."""
        if not all(path.exists() for path in self._metadata_files()):
            return [0]
        found = []
        for shard in range(self.shard_count()):
            paths = [self.record_path(shard), *(self.shard_file(array.name, shard) for array in self.layout.arrays)]
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
        layout = next(array for array in self.layout.arrays if array.name == name)
        return self.path / name / "c" / str(shard) / "/".join("0" for _ in layout.row)

    def _shard_digests(self, shard: int) -> dict[str, str]:
        return {array.name: files.digest_file(self.shard_file(array.name, shard)) for array in self.layout.arrays}

    def record_path(self, shard: int) -> Path:
        """The file of a shard's record."""
        return self.records / f"{shard:06d}.json"

    def _metadata_files(self) -> list[Path]:
        return [self.path / "zarr.json", *(self.path / array.name / "zarr.json" for array in self.layout.arrays)]


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=16)
def _opened(store: Store, name: str, stamps: tuple[tuple[int, ...], ...]) -> "zarr.Array[Any]":
    """An array of a store, opened once for as long as its metadata's `stamps` stay: that takes longer than an image."""
    try:
        with configuring, zarr.config.set(READING):
            found = store.open()[name]
    except (KeyError, ValueError, TypeError):
        found = None
    if not isinstance(found, zarr.Array):
        raise InputError(f"{store.path}: expected an array {name!r}, received none that can be read; {files.REPAIR}")
    return found

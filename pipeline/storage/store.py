"""Writing zarr stores of one row per image, shard by shard, with a record per shard."""

import logging
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import zarr
from zarr.storage import MemoryStore

from pipeline.core import files
from pipeline.core.conflicts import differing, refuse_other
from pipeline.core.errors import InputError
from pipeline.storage.reader import ATTRIBUTE, FORMAT, Array, StoreReader
from pipeline.storage.shards import (
    PARTIAL,
    ROWS_PER_CHUNK,
    chunk_checksums,
    create_array,
    encode_shard,
    write_shard_file,
)

log = logging.getLogger("deepcolor")


class Store(StoreReader):
    """A store that can be written: `create`, then `write_shard` for each shard in any order, then `complete`."""

    def keeps(self, rows: int | None, settings: Mapping[str, Any], *, replace: bool = False) -> bool:
        """Whether an existing store can be kept; arguments and errors as in `create`, `rows` None if unknown."""
        old = self.attributes()
        old_settings = old.get("settings", {})
        if not replace:
            fewer = [f"images: {old['rows']}, now {rows}"] if old and rows is not None and old["rows"] > rows else []
            refuse_other(self.path, old_settings, settings, more=fewer)
        return not old or not differing(old_settings, settings)

    def create(self, rows: int, rows_per_shard: int, attributes: Mapping[str, Any], *, replace: bool = False) -> None:
        """Write the store's metadata, or resize an existing store and keep its shards; `complete` completes it.

        Args:
            attributes: settings, versions and the like, as JSON values; shards are kept only if ``settings`` are equal.
            replace: whether a store with other settings or more rows may be replaced.

        Raises:
            InputError: such a store exists and `replace` is false.
        """
        described = {"kind": self.layout.kind, "format": FORMAT, "rows": rows, **attributes}
        if not self.keeps(rows, described["settings"], replace=replace):
            files.remove(self.path)
            files.remove(self.records)
        self.manifest_path.unlink(missing_ok=True)
        # The records' folder comes first, so that a half-created store is recognised as ours.
        if self.records.is_dir() and self.path.is_dir() and not self.attributes():
            log.warning("%s: damaged metadata are written again", self.path)
        self.records.mkdir(parents=True, exist_ok=True)
        self._write_metadata(rows_per_shard, described)
        shards = -(-rows // rows_per_shard)
        # Remove shards beyond the last one, and files that a killed process left half-written.
        for folder in (self.records, *(self.path / array.name / "c" for array in self.arrays)):
            for path in folder.glob("*"):
                if not path.stem.isdecimal() or int(path.stem) >= shards:
                    files.remove(path)
        for path in self.path.rglob(f"*{PARTIAL}"):
            files.remove(path)
        for folder in self.path.glob("*/"):  # arrays of other settings whose removal was killed
            if folder.name not in [array.name for array in self.arrays]:
                files.remove(folder)

    def _write_metadata(self, rows_per_shard: int, described: Mapping[str, Any]) -> None:
        """Write the zarr.json files that are missing or differ; the group's own comes last."""
        made: dict[str, Any] = {}
        sealed = {**described, files.CHECKSUM: files.fingerprint(described)}
        memory = MemoryStore(made)
        zarr.open_group(memory, mode="w", zarr_format=3, attributes={ATTRIBUTE: sealed})
        for array in self.arrays:
            create_array(memory, array.name, array, described["rows"], rows_per_shard)
        for path in reversed(self._metadata_files()):
            content = made[path.relative_to(self.path).as_posix()].to_bytes()
            if not path.exists() or path.read_bytes() != content:
                files.write_bytes(path, content)

    def write_shard(self, shard: int, values: Mapping[str, Array], **facts: Any) -> dict[str, Any]:
        """Write one shard of every array, then its record.

        Args:
            values: the shard's rows by array name.
            facts: JSON values for the record, which `finished` compares.

        Returns:
            The record.

        Raises:
            ValueError, TypeError: `values` have the wrong number of rows, shape or kind of number.
        """
        start, stop = self.span(shard)
        size = self.rows_per_shard()
        self.record_path(shard).unlink(missing_ok=True)
        self._checked.clear()
        digests, checksums = {}, {}
        for array in self.arrays:
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

    def finished(self, shard: int, **facts: Any) -> bool:
        """Whether the shard's record matches `facts` and its bytes match the record."""
        record = self.record(shard)
        if record is None or record.get("rows") != list(self.span(shard)):
            return False
        return all(record.get(key) == value for key, value in facts.items()) and self.intact(shard)

    def complete(self, attributes: Mapping[str, Any], **facts: Any) -> None:
        """Complete the store: add attributes that were unknown at `create`, and write the manifest.

        Args:
            attributes: JSON values to add.
            facts: JSON values for the manifest only.

        Raises:
            InputError: a shard has no record.
        """
        records = [self.record(shard) for shard in range(self.shard_count())]
        if missing := [shard for shard, record in enumerate(records) if record is None]:
            raise InputError(f"{self.path}: shards {missing} are unfinished; run the stage again")
        described = {**self.attributes(), **attributes}
        ours = files.fingerprint(described["settings"])
        if other := [shard for shard, record in enumerate(records) if record and record.get("settings", ours) != ours]:
            raise InputError(
                f"{self.path}: another process wrote shards {other} with other settings; run the stage again"
            )
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

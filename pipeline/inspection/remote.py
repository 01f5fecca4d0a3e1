"""Stores over a network: any URL that fsspec reads, such as http://host/images.zarr or s3://bucket/images.zarr.

Only zarr's own files are relied on. Records are not asked, so what is read is checked by zarr's checksums alone.
"""

import contextlib
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import zarr
from zarr.abc.store import ByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, WrapperStore

from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.core.text import shortened
from pipeline.storage.layouts import LAYOUTS
from pipeline.storage.reader import ATTRIBUTE, FORMAT, Array
from pipeline.storage.store import Store


def is_url(path: str) -> bool:
    """Whether this is a URL, not a path."""
    return "://" in path


def join(url: str, name: str) -> str:
    """The URL of what lies beside another one."""
    return f"{url.rstrip('/').rpartition('/')[0]}/{name}"


@dataclass(frozen=True)
class RemoteStore(Store):
    """A store at `url`, for reading; see the module."""

    url: str = ""
    _arrays: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def _group(self) -> zarr.Group:
        with _explained(self.url):
            remote = _WholeAnswers(FsspecStore.from_url(self.url, read_only=True))
            return zarr.open_group(remote, mode="r", zarr_format=3)

    def open(self) -> zarr.Group:
        """The zarr group, for reading."""
        return self._group

    def array(self, name: str) -> "zarr.Array[Any]":
        """One of the store's arrays."""
        if name not in self._arrays:
            with _explained(self.url):
                self._arrays[name] = self._group[name]
        found = self._arrays[name]
        if not isinstance(found, zarr.Array):
            raise InputError(f"{self.url}: expected an array {name!r}, received a group; make the store again")
        return found

    def attributes(self) -> dict[str, Any]:
        """What made the store."""
        value = self._group.attrs.asdict().get(ATTRIBUTE)
        if not isinstance(value, dict) or value.pop(files.CHECKSUM, None) != files.fingerprint(value):
            raise InputError(f"{self.url}: expected a store made by DeepColor, received another zarr group")
        if value.get("format") != FORMAT:
            raise InputError(
                f"{self.url}: expected store format {FORMAT}, received {value.get('format')}; "
                "use the version that made it"
            )
        return value

    def manifest(self) -> dict[str, Any]:
        """The manifest beside the store; empty where it cannot be read. It is not held against the store."""
        with contextlib.suppress(ValueError, TypeError):
            return dict(json.loads(self.beside(f"{self.path.stem}.json") or "{}"))
        return {}

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a CSV file beside the store; empty where it cannot be read."""
        return list(csv.DictReader((self.beside(name) or "").splitlines()))

    def beside(self, name: str) -> str | None:
        """The text of a file beside the store; None where it cannot be read."""
        try:
            system, path = fsspec.url_to_fs(join(self.url, name))
            return str(system.cat_file(path).decode("utf-8"))
        except Exception:  # each kind of server has its own; the file is not needed
            return None

    def shard_size(self, name: str, shard: int) -> int | None:
        """Bytes of a shard's file; None where there is none."""
        key = self.shard_file(name, shard).relative_to(self.path).as_posix()
        with _explained(self.url):
            system, path = fsspec.url_to_fs(f"{self.url.rstrip('/')}/{key}")
            try:
                return int(system.info(path)["size"] or 0)
            except FileNotFoundError:
                return None

    def intact(self, shard: int) -> bool:
        """Whether the shard's files are there; their bytes are not compared with any record."""
        return all(self.shard_size(array.name, shard) is not None for array in self.arrays)

    def read(self, name: str, start: int, stop: int, array: "zarr.Array[Any] | None" = None) -> Array:
        """Rows of one array.

        Raises:
            InputError: a shard is missing or cannot be read.
        """
        with _explained(self.url):
            return super().read(name, start, stop, array)

    def _check(self, name: str, shard: int, start: int, stop: int) -> None:
        # zarr reads a missing file as fill values.
        if (name, shard) not in self._checked:
            if self.shard_size(name, shard) is None:
                first, stop = self.span(shard)
                raise InputError(f"{self.url}: {name} of images {first} to {stop - 1} is missing; copy the store again")
            self._checked[name, shard] = 1


def open_remote(url: str) -> RemoteStore:
    """The DeepColor store at a URL.

    Raises:
        InputError: there is none, or it cannot be reached.
    """
    path = Path(url)  # for names and messages only
    found = RemoteStore(path, LAYOUTS["images"], url=url).attributes().get("kind")
    store = RemoteStore(path, LAYOUTS.get(str(found), LAYOUTS["images"]), url=url)
    if store.layout.kind != found:
        raise InputError(f"{url}: expected a store of {' or '.join(LAYOUTS)}, received one of {found}")
    return store


class _WholeAnswers(WrapperStore[FsspecStore]):
    """A store that may get the whole file where it asked for a part: plain servers, as Python's own, know no parts."""

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        value = await super().get(key, prototype, byte_range)
        if value is not None and isinstance(byte_range, SuffixByteRequest) and len(value) > byte_range.suffix:
            return value[len(value) - byte_range.suffix :]
        if isinstance(byte_range, RangeByteRequest) and value is not None:
            length = byte_range.end - byte_range.start
            return value[byte_range.start : byte_range.end] if len(value) > length else value
        return value


@contextlib.contextmanager
def _explained(url: str) -> Iterator[None]:
    """One line for whatever a network, a server or a library for it answers."""
    try:
        yield
    except InputError:
        raise
    except ImportError as error:
        raise InputError(
            f"{url}: reading it needs another package: {shortened(error)}; for http, pip install '.[remote]'"
        ) from None
    except FileNotFoundError:
        raise InputError(f"{url}: expected a zarr store of DeepColor, received none; correct the address") from None
    except Exception as error:
        raise InputError(
            f"{url}: expected a zarr store that can be read, received {type(error).__name__}: {shortened(error)}; "
            "see that the address is right and the server answers"
        ) from None

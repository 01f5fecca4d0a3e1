"""Verification of every file that DeepColor wrote against its recorded digest."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.paths import DatasetFiles, ResultFiles, RunFiles, SummaryFiles, manifest_of
from pipeline.core import files, locks, lost
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress, Silent
from pipeline.results.record import read_record
from pipeline.storage.layouts import LAYOUTS
from pipeline.storage.store import Store
from pipeline.training import checkpoints

_TABLES = {manifest_of(Path(table.name)).name: table.name for table in (DatasetFiles.splits, DatasetFiles.baselines)}
_OF_ALL_RUNS = (SummaryFiles.manifest.name, SummaryFiles.page_manifest.name)
# Files and folders that show that output exists or was begun, and its manifest, which is written last.
MANIFESTS = {
    **{f"{kind}{suffix}": f"{kind}.json" for kind in LAYOUTS for suffix in (".zarr", ".shards")},
    **{table: manifest for manifest, table in _TABLES.items()},
    DatasetFiles.network.name: DatasetFiles.network_manifest.name,
    RunFiles.settings.name: RunFiles.summary.name,
    ResultFiles.record.name: ResultFiles.listing.name,
    SummaryFiles.table.name: SummaryFiles.manifest.name,
    SummaryFiles.pages.name: SummaryFiles.page_manifest.name,
}


@dataclass(frozen=True)
class Damage:
    """A file that differs from what was written.

    Attributes:
        path: the file.
        wrong: "damaged", "missing", or another description.
        images: the first and last image whose values a store's file holds.
        discard: the file to delete so that a stage makes the damaged one again.
    """

    path: Path
    wrong: str
    images: tuple[int, int] | None = None
    discard: Path | None = None

    def __str__(self) -> str:
        where = f" (images {self.images[0]} to {self.images[1]})" if self.images else ""
        return f"{self.path}{where}: {self.wrong}"


@dataclass(frozen=True)
class Part:
    """The output of one rule, identified by the manifest that lists its files."""

    manifest: Path

    @property
    def target(self) -> Path:
        """The path to note as lost: a store, a table or a folder."""
        manifest = self.manifest
        if self.store:
            return self.store.path
        if manifest.name in _TABLES:
            return manifest.with_name(_TABLES[manifest.name])
        if manifest.name == DatasetFiles.network_manifest.name:
            return DatasetFiles(manifest.parent).embeddings.path
        return manifest if manifest.name in _OF_ALL_RUNS else manifest.parent

    @property
    def locked(self) -> Path:
        """The path that a stage locks while it writes this output."""
        return self.target.with_suffix("") if self.target.name in _OF_ALL_RUNS else self.target

    @property
    def store(self) -> Store | None:
        """The store, if the output is one."""
        kind = self.manifest.stem
        return DatasetFiles(self.manifest.parent).store(LAYOUTS[kind]) if kind in LAYOUTS else None


def _folders(top: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield folders that may hold outputs, with the names in them. Links are followed, each folder once."""
    seen = set()
    for folder, folders, names in os.walk(top, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        yield Path(folder), [*folders, *names]
        folders[:] = [name for name in folders if not name.startswith(".") and name not in MANIFESTS]


def _dangling(top: Path) -> list[Damage]:
    """Return the links whose targets are missing."""
    links = (folder / name for folder, names in _folders(top) for name in names)
    return [Damage(link, f"a link to {link.readlink()}, which is missing") for link in links if _is_dangling(link)]


def _is_dangling(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def parts(path: Path) -> list[Part]:
    """Return the finished and unfinished outputs at or below a path.

    Raises:
        InputError: DeepColor wrote nothing there.
    """
    if not path.exists():
        raise InputError(f"{path}: expected files that DeepColor wrote, received none; name an existing folder")
    manifest_for = MANIFESTS | {manifest: manifest for manifest in MANIFESTS.values()}
    manifests = set()
    if not path.is_dir() or path.name in MANIFESTS:
        if path.name in manifest_for:
            manifests.add(path.with_name(manifest_for[path.name]))
    else:
        for folder, names in _folders(path):
            for name in names:
                if name == SummaryFiles.pages.name and not SummaryFiles(folder).has_pages:
                    continue  # a folder of that name may have nothing to do with DeepColor
                if name in manifest_for:
                    manifests.add(folder / manifest_for[name])
            if DatasetFiles(folder).embeddings.manifest_path.exists():
                manifests.add(DatasetFiles(folder).network_manifest)
    if not manifests:
        raise InputError(
            f"{path}: expected a store, a run or results of DeepColor, received none; name a folder such as data, "
            "models or results"
        )
    return [Part(manifest) for manifest in sorted(manifests)]


def verify(paths: Iterable[Path], progress: Progress | None = None) -> tuple[int, list[Damage]]:
    """Read every file that DeepColor wrote at or below the paths, and compare it with its digest.

    Damaged files are noted, and damaged shards lose their records, so that the workflow makes exactly these again.
    Intact files are not touched.

    Args:
        paths: files and folders.
        progress: advances with each file.

    Returns:
        The number of files read, and the damage.

    Raises:
        InputError: DeepColor wrote nothing at one of the paths.
    """
    chosen = {part: files.read_if_whole(part.manifest) for path in paths for part in parts(path)}
    total = sum(_count(part, manifest) for part, manifest in chosen.items())
    damages = [damage for path in paths for damage in _dangling(path)]
    with (progress or Silent()).track("verify, files", total) as advance:
        for part, manifest in chosen.items():
            writable = os.access(part.locked.parent, os.W_OK)
            try:
                with locks.held(part.locked) if writable else nullcontext():
                    new = list(_check(part, manifest, advance))
                    if new and writable:
                        for damage in new:
                            if damage.discard and damage.discard.is_file():
                                damage.discard.unlink()
                        lost.note(part.target, [str(damage) for damage in new])
            except InputError as error:  # a stage holds the lock
                new = [Damage(part.target, f"not verified: {error}")]
            damages += new
    return total, damages


def _count(part: Part, manifest: Mapping[str, Any]) -> int:
    count = 1 + len(manifest.get("files", {})) + len(_sealed(part, manifest))
    if part.store:
        count += len(manifest.get("metadata", {})) + len(_shards(part.store, manifest))
    return count


def _sealed(part: Part, manifest: Mapping[str, Any]) -> list[Path]:
    """Return the files of a run that contain their own checksums, and where they should be if they are missing."""
    if part.manifest.name != RunFiles.summary.name:
        return []
    where = RunFiles(part.manifest.parent)
    found = {path for pattern in ("checkpoint*.npz", "checkpoint.json") for path in where.directory.glob(pattern)}
    if manifest.get("epochs"):
        found |= {where.checkpoint, checkpoints.digests(where.checkpoint)}
    return sorted({*found, where.settings})


def _shards(store: Store, manifest: Mapping[str, Any]) -> list[int]:
    """Return all shards, or without an intact manifest those that have a record."""
    if manifest:
        return list(range(manifest["shards"]))
    return sorted(int(path.stem) for path in store.records.glob("*.json") if path.stem.isdecimal())


def _check(part: Part, manifest: Mapping[str, Any], advance: Callable[[], object]) -> Iterator[Damage]:
    if not part.manifest.exists():
        yield Damage(part.manifest, "missing: the output is unfinished, or was partly deleted")
    elif not manifest:
        yield Damage(part.manifest, "damaged")
    advance()
    if part.store:
        yield from _check_store(part.store, manifest, advance)
    folder = part.manifest.parent
    for name, wrong in files.damaged(folder, manifest.get("files", {}), advance):
        yield Damage(folder / name, wrong)
    for path in _sealed(part, manifest):
        if not path.exists():
            yield Damage(path, "missing")
        elif not (path.is_file() and (checkpoints.whole(path) if path.suffix == ".npz" else files.read_if_whole(path))):
            yield Damage(path, "damaged")
        advance()
    yield from _foreign(part, manifest)


def _foreign(part: Part, manifest: Mapping[str, Any]) -> Iterator[Damage]:
    """Find output that is whole, but belongs elsewhere: to another run, or to other images than those beside it."""
    folder = part.manifest.parent
    images = DatasetFiles(folder).images
    ingested = files.read_if_whole(images.manifest_path)
    if ingested and manifest.get("images", ingested["fingerprint"]) != ingested["fingerprint"]:
        yield Damage(part.target, f"made from other images than those in {images.path}")
    named: Mapping[str, Any] = {}
    if part.manifest.name == RunFiles.summary.name:
        named = manifest.get("settings", {})
    elif part.manifest.name == ResultFiles.listing.name and not ResultFiles(folder).published.exists():
        with suppress(InputError, OSError):  # reported above
            named = read_record(folder)
    if named.get("run", folder.name) != folder.name:
        yield Damage(folder, f"this is the run {named['run']} in the folder of another one")


def _check_store(store: Store, manifest: Mapping[str, Any], advance: Callable[[], object]) -> Iterator[Damage]:
    for name, wrong in files.damaged(store.path, manifest.get("metadata", {}), advance):
        yield Damage(store.path / name, wrong, discard=store.path / name)
    shards = _shards(store, manifest)
    records = {shard: store.record(shard) for shard in shards}
    size = max((record["rows"][1] - record["rows"][0] for record in records.values() if record), default=0)
    for shard, record in records.items():
        path = store.record_path(shard)
        first, stop = record["rows"] if record else (shard * size, min((shard + 1) * size, manifest.get("rows", 0)))
        images = (first, stop - 1) if first < stop else None
        if record is None:
            yield Damage(path, "damaged" if path.exists() else "missing", images, discard=path)
        for name, digest in record["files"].items() if record else ():
            file = store.shard_file(name, shard)
            for _, wrong in files.damaged(file.parent, {file.name: digest}):
                yield Damage(file, wrong, images, discard=path)
        advance()
    if manifest and all(records.values()) and store.fingerprint(records.values()) != manifest["fingerprint"]:
        yield Damage(store.records, f"records differ from those in {store.manifest_path.name}")

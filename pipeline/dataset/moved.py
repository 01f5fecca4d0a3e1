"""A source that has moved or is gone: its contents identify it, not its path, and only ingest reads it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.sources import Source as Settings
from pipeline.core import files
from pipeline.core.conflicts import PLACES, refuse_other
from pipeline.dataset.index import image_digest
from pipeline.dataset.sources.base import Source
from pipeline.storage.store import Store


def places(source: Settings) -> dict[str, str]:
    """Return the paths that the source is read from, by setting."""
    return {key: getattr(source, key) for key in PLACES if getattr(source, key, None)}


def is_gone(source: Settings) -> bool:
    """Whether a path of the source is missing, or is a folder without any file, as of a disk that is not mounted."""
    return not all(_has_content(Path(path), source.kind) for path in places(source).values())


def _has_content(path: Path, kind: str) -> bool:
    if not path.is_dir():
        return path.exists()
    try:
        return next(path.rglob("*.npy") if kind == "kaggle" else path.iterdir(), None) is not None
    except OSError:  # ingest says what is wrong
        return True


def is_elsewhere(source: Settings, store: Store) -> bool:
    """Whether the source's paths are written differently than those that the store was made from."""
    return bool(known := _recorded(store)) and known != places(source)


def has_moved(source: Settings, store: Store) -> bool:
    """Whether the source is at other paths than those that the store was made from or last compared with."""
    known, now = _recorded(store), places(source)
    if not known or known.keys() != now.keys():
        return False  # no such store, or one of another kind of source
    return not (all(_is_same(Path(known[key]), Path(path)) for key, path in now.items()) or _is_compared(source, store))


def seen(source: Settings, store: Store) -> float:
    """Return when a complete store was made from the source or compared with it, in seconds; 0 if never."""
    known = [store.manifest_path, *([_compared(store)] if _is_compared(source, store) else [])]
    return max((path.stat().st_mtime for path in known if path.exists()), default=0.0)


def _recorded(store: Store) -> dict[str, str]:
    source = store.attributes().get("settings", {}).get("source", {})
    return {key: source[key] for key in PLACES if source.get(key)}


def _is_compared(source: Settings, store: Store) -> bool:
    compared = files.read_if_whole(_compared(store))
    return compared.get("places") == places(source) and compared.get("records") == _records(store)


def _is_same(known: Path, now: Path) -> bool:
    return known == now or (known.exists() and now.exists() and known.samefile(now))


def refuse_other_images(settings: Settings, source: Source, store: Store) -> None:
    """Refuse a source that has moved unless it has the images of the store; if it has, remember that.

    Raises:
        InputError: images differ, or are missing.
    """
    records = [record for record in map(store.record, range(store.shard_count())) if record]
    if other := [record["rows"] for record in records if not _has_images(source, record)]:
        recorded, now = _recorded(store), places(settings)
        first = ", ".join(f"{start} to {stop - 1}" for start, stop in other[:3]) + (", …" if len(other) > 3 else "")
        differences = [f"source.{key}: {recorded[key]!r}, now {path!r}" for key, path in now.items()]
        refuse_other(store.path, {}, {}, more=[*differences, f"and other images than in rows {first}"])
    files.write_json(_compared(store), {"places": places(settings), "records": _records(store)})


def _has_images(source: Source, record: Mapping[str, Any]) -> bool:
    start, stop = record["rows"]
    if stop > source.n:
        return False
    made_from = source.input_digest(start, stop)
    if made_from is None:
        digests = [image_digest(*image) for image in zip(*source.read(start, stop), strict=True)]
        made_from = files.fingerprint(digests)
    return bool(made_from == record["input"])


def _records(store: Store) -> str:
    return store.fingerprint(map(store.record, range(store.shard_count())))


def _compared(store: Store) -> Path:
    """Return the file with the paths that the store was last compared with."""
    return store.path.with_name(f".{store.path.name}.compared")

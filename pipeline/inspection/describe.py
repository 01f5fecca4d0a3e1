"""What a store holds, as one wants to know it first."""

from pathlib import Path
from typing import Any

import numpy as np
import zarr

from pipeline.core.errors import InputError
from pipeline.storage.layouts import LAYOUTS
from pipeline.storage.reader import ATTRIBUTE
from pipeline.storage.store import Store


def open_store(path: Path | str) -> Store:
    """The DeepColor store at `path`, of whatever kind.

    Raises:
        InputError: there is none, or `path` is a URL.
    """
    if "://" in str(path):
        raise InputError(
            f"{path}: expected a path, received a URL; copy the store here, or open it in Python with "
            f'zarr.open_group("{path}", mode="r")'
        )
    path = Path(path)
    try:
        attributes = zarr.open_group(path, mode="r", zarr_format=3).attrs.asdict().get(ATTRIBUTE)
    except FileNotFoundError:
        raise InputError(
            f"{path}: expected a zarr store of DeepColor, received none; run the stage that makes it"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: expected a zarr store of DeepColor, received: {error}") from None
    kind = attributes.get("kind") if isinstance(attributes, dict) else None
    if not isinstance(kind, str) or kind not in LAYOUTS:
        raise InputError(f"{path}: expected a store made by DeepColor, received another zarr group")
    store = Store(path, LAYOUTS[kind])
    store.attributes()
    return store


def describe(store: Store) -> dict[str, Any]:
    """Shapes, layout, sizes, value ranges and attributes, as JSON values.

    Reads the whole store once, a shard at a time. Value ranges are those of the finished shards.
    """
    manifest = store.manifest() if store.manifest_path.exists() else {}
    shards = range(store.shard_count())
    there = [shard for shard in shards if store.intact(shard)]
    arrays = {}
    for layout in store.arrays:
        array = store.array(layout.name)
        arrays[layout.name] = {
            "shape": list(array.shape),
            "dimensions": list(layout.dimensions),
            "dtype": str(array.dtype),
            "chunks": list(array.chunks),
            "shards": list(array.shards or array.chunks),
            "codecs": _codecs(array),
            "bytes_on_disk": sum(_bytes(store, layout.name, shard) for shard in shards),
            "bytes_raw": int(array.nbytes),
            **_value_range(store, layout.name, there),
        }
    return {
        "path": str(store.path),
        "kind": store.layout.kind,
        "complete": bool(manifest),
        "shards_finished": len(there),
        "shards": len(shards),
        "arrays": arrays,
        "attributes": store.attributes(),
        **({"manifest": manifest} if manifest else {}),
    }


def _bytes(store: Store, name: str, shard: int) -> int:
    path = store.shard_file(name, shard)
    return path.stat().st_size if path.exists() else 0


def _codecs(array: "zarr.Array[Any]") -> list[str]:
    names: list[str] = []
    codecs: Any = array.metadata.to_dict()["codecs"]
    for codec in codecs:
        names.append(codec["name"])
        inner = codec.get("configuration", {}).get("codecs", [])
        names += [f"{each['name']} {each.get('configuration') or ''}".strip() for each in inner]
    return names


def _value_range(store: Store, name: str, shards: list[int]) -> dict[str, float]:
    lowest, highest, total, count, missing = np.inf, -np.inf, 0.0, 0, 0
    for shard in shards:
        values = store.read(name, *store.span(shard))
        finite = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
        missing += int((~finite).sum())
        if finite.any():
            lowest, highest = min(lowest, float(values[finite].min())), max(highest, float(values[finite].max()))
            total, count = total + float(values[finite].sum(dtype=np.float64)), count + int(finite.sum())
    if not count:
        return {}
    return {"min": lowest, "max": highest, "mean": total / count, "not_finite": missing}

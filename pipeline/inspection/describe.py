"""A summary of what a store contains."""

from pathlib import Path
from typing import Any

import numpy as np
import zarr

from pipeline.core.errors import InputError
from pipeline.storage.layouts import LAYOUTS
from pipeline.storage.reader import ATTRIBUTE, open_group
from pipeline.storage.store import Store


def open_store(path: Path | str) -> Store:
    """Open the store at `path`, whatever its kind.

    Raises:
        InputError: it is not a store of DeepColor, or `path` is a URL.
    """
    if "://" in str(path):
        raise InputError(
            f"{path}: expected a path, received a URL; copy the store here, or open it in Python with "
            f'zarr.open_group("{path}", mode="r")'
        )
    path = Path(path)
    attributes = open_group(path).attrs.asdict().get(ATTRIBUTE)
    kind = attributes.get("kind") if isinstance(attributes, dict) else None
    if kind not in list(LAYOUTS):
        raise InputError(f"{path}: expected a store made by DeepColor, received another zarr group")
    store = Store(path, LAYOUTS[kind])
    store.attributes()
    return store


def describe(store: Store) -> dict[str, Any]:
    """Return shapes, layout, sizes, value ranges and attributes as JSON values.

    This reads the store once, shard by shard. Value ranges cover the finished shards.
    """
    manifest = store.manifest() if store.manifest_path.exists() else {}
    shards = range(store.shard_count())
    finished = [shard for shard in shards if store.intact(shard)]
    arrays = {}
    for layout in store.arrays:
        array = store.array(layout.name)
        files = [store.shard_file(layout.name, shard) for shard in shards]
        arrays[layout.name] = {
            "shape": list(array.shape),
            "dimensions": list(layout.dimensions),
            "dtype": str(array.dtype),
            "chunks": list(array.chunks),
            "shards": list(array.shards or array.chunks),
            "codecs": _codecs(array),
            "bytes_on_disk": sum(path.stat().st_size for path in files if path.exists()),
            "bytes_raw": int(array.nbytes),
            **_value_range(store, layout.name, finished),
        }
    return {
        "path": str(store.path),
        "kind": store.layout.kind,
        "complete": bool(manifest),
        "shards_finished": len(finished),
        "shards": len(shards),
        "arrays": arrays,
        "attributes": store.attributes(),
        **({"manifest": manifest} if manifest else {}),
    }


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

"""Growth of a dataset: images that were split before keep their partition."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config.paths import manifest_of
from pipeline.core import csv_files, files
from pipeline.core.errors import InputError
from pipeline.dataset.index import EARLIER, kept_index

Row = Mapping[str, str]
ORIGIN = "grown_from"  # of a split's manifest: the split that it continues, and the images of that


def manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of splits.csv, or its copy if it is damaged; empty if there is none."""
    own = manifest_of(path)
    return files.read_if_whole(own) or (files.read_if_whole(_copy_of_manifest(path)) if own.exists() else {})


def keep_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Keep a copy of the manifest of a split that has grown, without which a new one would be drawn."""
    files.write_json(_copy_of_manifest(path), manifest)


def origin(path: Path, manifest: Mapping[str, Any], images: str) -> dict[str, str]:
    """Return the split that the one of these images continues, and keep a copy of it; empty if it continues none.

    Args:
        path: splits.csv, which may be of the images before, or lost.
        manifest: its manifest.
        images: fingerprint of the store of images.
    """
    if not manifest or manifest["images"] == images:
        return dict(manifest.get(ORIGIN, {}))
    split = manifest["files"][path.name]
    with contextlib.suppress(OSError):
        if files.digest_bytes(content := path.read_bytes()) == split:
            files.write_bytes(_copy(path, split), content)
    return {"split": split, "images": manifest["images"]}


def read(path: Path, came_from: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the rows of the split `came_from`, with the digests of the images as far as their index was kept.

    Raises:
        InputError: the copy of that split is missing or damaged.
    """
    copy = _copy(path, came_from["split"])
    if not copy.exists() or files.digest_file(copy) != came_from["split"]:
        raise InputError(
            f"{copy}: expected the split before images were added, whose partitions they keep, received "
            f"{'another file' if copy.exists() else 'none'}; restore it, or delete {path} and "
            f"{path.with_suffix('.json').name} to draw a new split"
        )
    rows = csv_files.read(copy, ("id", "group", "partition"))
    with contextlib.suppress(InputError):
        index = csv_files.read(kept_index(path.parent, came_from["images"]), ("id", "digest"))
        if [row["id"] for row in index] == [row["id"] for row in rows]:
            rows = [{**row, "digest": kept["digest"]} for row, kept in zip(rows, index, strict=True)]
    return rows


def _copy_of_manifest(path: Path) -> Path:
    return path.parent / EARLIER / manifest_of(path).name


def _copy(path: Path, split: str) -> Path:
    return path.parent / EARLIER / f"{split}.{path.name}"


def added(index: Iterable[Row], before: Sequence[Row]) -> list[int]:
    """Return the positions of the images that are new, by content and by id."""
    known = {row.get("digest") for row in before}, {row["id"] for row in before}
    return [at for at, row in enumerate(index) if row.get("digest") not in known[0] and row["id"] not in known[1]]


def partitions(index: Iterable[Row], before: Sequence[Row]) -> dict[str, str]:
    """Return the partition of each group in which an image was split before: one of equal content, or else of its id.

    Raises:
        InputError: a group has images of two partitions.
    """
    by_digest = {row["digest"]: row["partition"] for row in before if row.get("digest")}
    by_id = {row["id"]: row["partition"] for row in before}
    rows = [*index]
    by_content = _by_group((row, by_digest.get(row.get("digest", ""), "")) for row in rows)
    by_name = _by_group((row, by_id.get(row["id"], "")) for row in rows)
    return _agreed({**by_name, **by_content}, "from before", "draw a new split")


def given(index: Iterable[Row]) -> dict[str, str]:
    """Return the partitions that a table gives, by group.

    Raises:
        InputError: a group has images of two partitions.
    """
    found = _by_group((row, row.get("partition", "")) for row in index)
    return _agreed(found, "in the dataset's table", "")


def _by_group(rows: Iterable[tuple[Row, str]]) -> dict[str, dict[str, str]]:
    """Return an image of each partition, by group."""
    found: dict[str, dict[str, str]] = {}
    for row, partition in rows:
        if partition:
            found.setdefault(row["group"], {})[partition] = row["id"]
    return found


def _agreed(found: Mapping[str, Mapping[str, str]], which: str, instead: str) -> dict[str, str]:
    for group, images in found.items():
        if len(images) > 1:
            received = ", ".join(f"{image} ({partition})" for partition, image in images.items())
            or_else = f", or delete splits.csv and splits.json to {instead}" if instead else ""
            raise InputError(
                f"split: expected one partition {which} for the images of group {group} and their copies, received "
                f"{received}; take one out{or_else}"
            )
    return {group: partition for group, images in found.items() for partition in images}

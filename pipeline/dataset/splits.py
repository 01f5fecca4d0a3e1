"""The split into train, validation and test: by group, random with a seed."""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import schema
from pipeline.config.partitions import PARTITIONS
from pipeline.config.paths import manifest_of
from pipeline.core import files
from pipeline.core.conflicts import refuse_other
from pipeline.core.errors import InputError

COLUMNS = ("index", "id", "group", "partition")
EXHAUSTIVE_GROUPS = 10


def split(index: Sequence[Mapping[str, str]], settings: schema.Split) -> list[str]:
    """Draw each image's partition; no group stands in two.

    Groups are ordered by a hash of the seed and their name. With few groups all assignments are compared and the sizes
    nearest to the shares are taken, the first such in that order. With more, test and then validation take each group
    that still fits into their share. Where every image is its own group, partitions are thus intervals of the hash
    order: adding images moves only those near the borders. Else sizes are near: with 100 groups of random sizes, shares
    are missed by at most 1.2 % of the images; with 30, by 0.2 to 0.9 % in half of all cases; a group larger than the
    share of a partition makes more.

    Args:
        index: rows with ``id`` and ``group``, as in index.csv.

    Returns:
        One of `PARTITIONS` per row.

    Raises:
        InputError: there are fewer groups than partitions.
    """
    sizes: dict[str, int] = {}
    for row in index:
        sizes[row["group"]] = sizes.get(row["group"], 0) + 1
    if len(sizes) < len(PARTITIONS):
        raise InputError(
            f"split: expected at least 3 groups of images, one for each partition, received {len(sizes)} "
            f"({len(index)} images); add photographs"
        )
    order = sorted(sizes, key=lambda group: files.digest_bytes(f"{settings.seed}/{group}".encode()))
    counts = [sizes[group] for group in order]
    targets = {name: getattr(settings, name) * len(index) for name in PARTITIONS}
    choose = _exhaustive if len(order) <= EXHAUSTIVE_GROUPS else _first_fit
    partition = dict(zip(order, choose(counts, targets), strict=True))
    return [partition[row["group"]] for row in index]


def _exhaustive(counts: Sequence[int], targets: Mapping[str, float]) -> list[str]:
    choices = np.array(list(product(range(len(PARTITIONS)), repeat=len(counts))))
    sums = np.stack([(np.array(counts) * (choices == part)).sum(axis=1) for part in range(len(PARTITIONS))])
    distance = np.abs(sums - np.array([[targets[name]] for name in PARTITIONS])).sum(axis=0)
    distance[(sums == 0).any(axis=0)] = np.inf
    return [PARTITIONS[part] for part in choices[int(np.argmin(distance.round(6)))]]


def _first_fit(counts: Sequence[int], targets: Mapping[str, float]) -> list[str]:
    partition = ["train"] * len(counts)
    free = list(range(len(counts)))
    for name, to_come in (("test", ("train", "validation")), ("validation", ("train",))):
        # What is too much or too little for this partition is as much for those to come: half of it is each one's.
        rest = sum(counts[position] for position in free) - sum(targets[other] for other in to_come)
        target = (targets[name] + rest) / 2
        taken = _first_that_fit([counts[position] for position in free], target)
        if len(free) - len(taken) < len(to_come):  # each partition to come keeps at least one group
            taken = _first_that_fit([counts[position] for position in free[: -len(to_come)]], target)
        for place in taken:
            partition[free[place]] = name
        free = [position for place, position in enumerate(free) if place not in taken]
    return partition


def _first_that_fit(counts: Sequence[int], target: float) -> set[int]:
    """Places taken in order, each unless it exceeds the target; the smallest one where none fits.

    A target may be exceeded by less than half of the smallest group, so that sizes are rounded.
    """
    taken, total, half = set(), 0, min(counts) / 2
    for place, count in enumerate(counts):
        if total + count - target < half:
            taken.add(place)
            total += count
    return taken or {counts.index(min(counts))}


def write(
    index: Sequence[Mapping[str, str]], path: Path, settings: schema.Split, images: str, *, replace: bool = False
) -> dict[str, int]:
    """Write splits.csv, and its manifest beside it last.

    Args:
        images: fingerprint of the images' store.
        replace: whether a split made with other settings may be replaced.

    Returns:
        How many images each partition has.

    Raises:
        InputError: there are too few groups, or there is another split.
    """
    manifest_path = manifest_of(path)
    old = {} if replace else files.read_if_whole(manifest_path).get("settings", {})
    refuse_other(path, old, settings.model_dump())
    partitions = split(index, settings)
    rows = [
        {"index": number, "id": row["id"], "group": row["group"], "partition": partition}
        for number, (row, partition) in enumerate(zip(index, partitions, strict=True))
    ]
    manifest_path.unlink(missing_ok=True)
    files.write_csv(path, COLUMNS, rows)
    sizes = {name: partitions.count(name) for name in PARTITIONS}
    written = {path.name: files.digest_file(path)}
    manifest = {"settings": settings.model_dump(), "images": images, "sizes": sizes, "files": written}
    files.write_json(manifest_path, manifest)
    return sizes


def read(path: Path, images: str) -> list[dict[str, str]]:
    """The row of every image, with `COLUMNS`, in the order of the store.

    Args:
        path: splits.csv.
        images: fingerprint of the images' store.

    Raises:
        InputError: the file is missing, is not the one that its manifest tells, or splits other images.
    """
    manifest = read_manifest(path)
    files.refuse_damaged(path.parent, manifest["files"])
    rows = files.read_csv(path, COLUMNS)
    if manifest.get("images") != images:
        raise InputError(
            f"{path} splits images with fingerprint {manifest.get('images')}, not {images}; run split again"
        )
    return rows


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of splits.csv."""
    return files.read_json(manifest_of(path))


def fingerprint(path: Path) -> str:
    """The bytes of splits.csv, as its manifest tells them."""
    return str(read_manifest(path)["files"][path.name])

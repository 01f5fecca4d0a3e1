"""The split into train, validation and test: by group, random with a seed."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import schema
from pipeline.config.partitions import PARTITIONS
from pipeline.config.paths import DatasetFiles, manifest_of
from pipeline.core import csv_files, files
from pipeline.core.conflicts import refuse_other
from pipeline.core.errors import InputError
from pipeline.core.text import counted
from pipeline.dataset import growth

COLUMNS = ("index", "id", "group", "partition")
EXHAUSTIVE_GROUPS = 10

log = logging.getLogger("deepcolor")


def split(
    index: Sequence[Mapping[str, str]], settings: schema.Split, known: Mapping[str, str] | None = None
) -> list[str]:
    """Draw the partition of each image; a group never spans two partitions.

    Groups whose partition is `known` keep it. Each of the others, in the order below, then goes to the partition that
    lacks most images. Without known ones:

    Groups are ordered by a hash of seed and name. With at most `EXHAUSTIVE_GROUPS` groups, the assignment is chosen
    whose sizes are nearest to the shares, the first among equals. With more, test and then validation take each group
    that still fits into their share. If every image is its own group, partitions are intervals of the hash order, so
    adding images moves only images near the borders. With 100 groups of random sizes, shares are missed by at most 1.2
    % of the images; with 30, typically by 0.2 to 0.9 %; with a group larger than a partition's share, by more.

    Args:
        index: rows with ``id`` and ``group``, as in index.csv.
        settings: the shares and the seed.
        known: partitions by group.

    Returns:
        One of `PARTITIONS` per row.

    Raises:
        InputError: there are fewer groups than partitions, or a partition gets no image.
    """
    sizes = Counter(row["group"] for row in index)
    if len(sizes) < len(PARTITIONS):
        raise InputError(
            f"split: expected at least 3 groups of images, one for each partition, received {len(sizes)} "
            f"({len(index)} images); add photographs"
        )
    order = sorted(sizes, key=lambda group: files.digest_bytes(f"{settings.seed}/{group}".encode()))
    counts = [sizes[group] for group in order]
    targets = {name: getattr(settings, name) * len(index) for name in PARTITIONS}
    if known:
        partition = _continued(order, sizes, targets, known)
    else:
        choose = _exhaustive if len(order) <= EXHAUSTIVE_GROUPS else _first_fit
        partition = dict(zip(order, choose(counts, targets), strict=True))
    if missing := {*PARTITIONS} - {*partition.values()}:
        raise InputError(
            f"split: expected images in each partition, received none in {', '.join(sorted(missing))}, because the "
            "others keep theirs; add photographs, or delete splits.csv and splits.json to draw a new split"
        )
    return [partition[row["group"]] for row in index]


def _continued(
    order: Sequence[str], sizes: Mapping[str, int], targets: Mapping[str, float], known: Mapping[str, str]
) -> dict[str, str]:
    partition, lacking = {}, dict(targets)
    for group in sorted(order, key=lambda group: group not in known):
        name = known.get(group) or max(PARTITIONS, key=lambda name: round(lacking[name], 6))
        partition[group] = name
        lacking[name] -= sizes[group]
    return partition


def _exhaustive(counts: Sequence[int], targets: Mapping[str, float]) -> list[str]:
    choices = np.array(list(product(range(len(PARTITIONS)), repeat=len(counts))))
    sums = np.stack([(np.array(counts) * (choices == part)).sum(axis=1) for part in range(len(PARTITIONS))])
    distance = np.abs(sums - np.array([[targets[name]] for name in PARTITIONS])).sum(axis=0)
    distance[(sums == 0).any(axis=0)] = np.inf
    return [PARTITIONS[part] for part in choices[int(np.argmin(distance.round(6)))]]


def _first_fit(counts: Sequence[int], targets: Mapping[str, float]) -> list[str]:
    partition = ["train"] * len(counts)
    free = list(range(len(counts)))
    for name, later in (("test", ("train", "validation")), ("validation", ("train",))):
        # Spread the images that are too many or too few: half on this partition, half on the later ones.
        rest = sum(counts[group] for group in free) - sum(targets[other] for other in later)
        target = (targets[name] + rest) / 2
        taken = _first_that_fit(free, counts, target)
        if len(free) - len(taken) < len(later):  # leave each later partition at least one group
            taken = _first_that_fit(free[: -len(later)], counts, target)
        for group in taken:
            partition[group] = name
        free = [group for group in free if group not in taken]
    return partition


def _first_that_fit(groups: Sequence[int], counts: Sequence[int], target: float) -> set[int]:
    """Take each group, in order, that does not exceed the target; take the smallest if none fits.

    The sum may exceed the target by less than half of the smallest group, so that sizes are rounded.
    """
    smallest = min(groups, key=lambda group: counts[group])
    taken, total = set(), 0
    for group in groups:
        if total + counts[group] - target < counts[smallest] / 2:
            taken.add(group)
            total += counts[group]
    return taken or {smallest}


def write(
    index: Sequence[Mapping[str, str]], path: Path, settings: schema.Split, images: str, *, replace: bool = False
) -> dict[str, int]:
    """Write splits.csv and then its manifest. Images that were split before keep their partition; see `growth`.

    In that case, `added.csv` lists the partitions of the new ones. A partition in the index takes precedence.

    Args:
        index: rows as in index.csv.
        path: splits.csv.
        settings: of the split.
        images: fingerprint of the store of images.
        replace: whether a split made with other settings may be replaced.

    Returns:
        The number of images in each partition.

    Raises:
        InputError: there are too few groups, a split with other settings exists, or images cannot keep their partition.
    """
    manifest_path, added = manifest_of(path), path.with_name(DatasetFiles.added.name)
    made_with = settings.model_dump()
    old = growth.manifest(path)
    if not replace:
        refuse_other(path, old.get("settings", {}), made_with)
    came_from = growth.origin(path, old, images) if old.get("settings") == made_with else {}
    before = growth.read(path, came_from) if came_from else []
    if not (known := growth.partitions(index, before)):
        came_from = {}
    partitions = split(index, settings, {**known, **growth.given(index)})
    rows = [
        {"index": number, "id": row["id"], "group": row["group"], "partition": partition}
        for number, (row, partition) in enumerate(zip(index, partitions, strict=True))
    ]
    # The manifest stays until it is replaced: after a kill, it leads to the partitions that images had.
    csv_files.write(path, COLUMNS, rows)
    written = [path]
    sizes = {name: partitions.count(name) for name in PARTITIONS}
    manifest = {"settings": made_with, "images": images, "sizes": sizes}
    if came_from:
        new = [rows[at] for at in growth.added(index, before)]
        csv_files.write(added, COLUMNS, new)
        written.append(added)
        manifest[growth.ORIGIN] = came_from
        if old["images"] != images:
            counts = Counter(row["partition"] for row in new)
            log.info(
                "split: %s added: %s; the others keep their partitions; see %s", counted(len(new), "image"),
                ", ".join(f"{name} {counts[name]}" for name in PARTITIONS), added,
            )  # fmt: skip
    manifest["files"] = {each.name: files.digest_file(each) for each in written}
    if came_from:
        growth.keep_manifest(path, manifest)
    files.write_json(manifest_path, manifest)
    if not came_from:
        added.unlink(missing_ok=True)
    return sizes


def read(path: Path, images: str) -> list[dict[str, str]]:
    """Return the rows of splits.csv, with `COLUMNS`, in the order of the store.

    Args:
        path: splits.csv.
        images: fingerprint of the store of images.

    Raises:
        InputError: the file is missing, does not match its manifest, or splits other images.
    """
    manifest = read_manifest(path)
    files.refuse_damaged(path.parent, manifest["files"])
    rows = csv_files.read(path, COLUMNS)
    if manifest.get("images") != images:
        raise InputError(
            f"{path} is the split of images with fingerprint {manifest.get('images')}, but the store has {images}; run "
            "split again"
        )
    return rows


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of splits.csv."""
    return files.read_json(manifest_of(path))


def fingerprint(path: Path) -> str:
    """Return the digest of splits.csv recorded in its manifest."""
    return str(read_manifest(path)["files"][path.name])

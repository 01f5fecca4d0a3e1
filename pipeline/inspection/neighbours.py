"""Nearest neighbours among the embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.errors import InputError
from pipeline.figures import caches
from pipeline.inspection.dataset import Dataset
from pipeline.inspection.views import embeddings_of, tile, weights_of
from pipeline.storage.layouts import EMBEDDINGS

SAME_GROUP, SAME_IMAGE = "same group", "same image"
FRAMES = {SAME_GROUP: ":", SAME_IMAGE: "--"}


@dataclass(frozen=True)
class Neighbour:
    """An image with a nearby embedding.

    Attributes:
        row: its row in the stores.
        distance: 1 − cosine of the centred embeddings, 0..2.
        relation: `SAME_GROUP` or `SAME_IMAGE` if it is near for that trivial reason, else empty.
    """

    row: int
    distance: float
    relation: str


def nearest(dataset: Dataset, row: int, count: int) -> list[Neighbour]:
    """Return the images with the nearest embeddings to that of a row, nearest first.

    The distance is 1 − cosine after subtracting the mean embedding of all images: 0 is the same direction, 1 unrelated,
    2 opposite. Embeddings that are not finite are left out.

    Raises:
        InputError: the row's embedding is not finite, or equals the mean.
    """
    values, usable = embeddings_of(dataset.store(EMBEDDINGS))
    if not usable[row]:
        raise InputError(f"row {row}: expected a finite embedding, received NaN or infinity; run embed again")
    values[~usable] = 0
    mean = (values.sum(axis=0, dtype=np.float64) / usable.sum()).astype(np.float32)
    values -= mean
    norms = np.linalg.norm(values, axis=1)
    least = 1e-6 * float(np.linalg.norm(mean))  # anything smaller is rounding
    if norms[row] <= least:
        raise InputError(
            f"row {row}: expected an embedding that differs from the mean, received the mean; check that the images "
            "differ, then run embed again"
        )
    usable &= norms > least
    cosine = np.divide(values @ values[row], norms * norms[row], out=np.zeros(len(norms), np.float32), where=usable)
    usable[row] = False
    distances = np.where(usable, 1 - cosine, np.inf)
    order = np.argsort(distances, kind="stable")[: min(count, int(usable.sum()))]
    return [Neighbour(int(n), max(float(distances[n]), 0.0), _relation(dataset, row, int(n))) for n in order]


def _relation(dataset: Dataset, row: int, other: int) -> str:
    if not dataset.index:
        return ""
    one, two = dataset.index[row], dataset.index[other]
    if one["digest"] == two["digest"]:
        return SAME_IMAGE
    return SAME_GROUP if one["group"] == two["group"] else ""


def draw_neighbours(dataset: Dataset, row: int, neighbours: Sequence[Neighbour], path: Path) -> None:
    """Draw an image and its neighbours, gray and true; the trivially near ones have a dotted or dashed frame."""
    tiles = []
    for place, neighbour in enumerate([Neighbour(row, 0.0, ""), *neighbours]):
        image = dataset.index[neighbour.row] if dataset.index else {}
        group = image.get("group", "")
        first = f"row {neighbour.row}: " + (f"distance {neighbour.distance:.3f}" if place else "the query image")
        words = [f"group {group}" if group and group != image.get("id") else "", neighbour.relation]
        frame = FRAMES.get(neighbour.relation, "") if place else "-"
        tiles.append(tile(dataset, neighbour.row, [image.get("id", ""), first, ", ".join(filter(None, words))], frame))
    name = dataset.index[row]["id"] if dataset.index else f"row {row}"
    note = (
        "distance: 1 − cosine after subtracting the mean embedding (0 same direction, 1 unrelated); embedding weights: "
        f"{weights_of(dataset.store(EMBEDDINGS))}; dotted or dashed frame: near only because it shows the same "
        "photograph"
    )
    caches.sheet(path, tiles, f"{dataset.name}: the {len(neighbours)} images nearest to {name}", note)

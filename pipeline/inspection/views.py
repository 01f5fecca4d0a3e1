"""Contact sheets of images, and histograms of the stores' values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core.errors import InputError
from pipeline.embedding import recipe
from pipeline.embedding.spread import effective_rank
from pipeline.figures import caches
from pipeline.figures.caches import Tile
from pipeline.inspection.dataset import Dataset
from pipeline.storage.layouts import EMBEDDINGS, IMAGES
from pipeline.storage.store import Store

MOST_TILES = 100
BLOCK = 2048  # embeddings converted to float64 at a time


def draw_sheet(dataset: Dataset, rows: Sequence[int], path: Path) -> list[int]:
    """Draw a contact sheet, gray and true, of at most `MOST_TILES` images; from more, draw evenly spaced ones.

    Returns:
        The drawn rows.
    """
    shown = list(rows)
    if len(rows) > MOST_TILES:
        shown = [rows[place] for place in np.linspace(0, len(rows) - 1, MOST_TILES).round().astype(int)]
    tiles = []
    for row in shown:
        image = dataset.index[row] if dataset.index else {}
        words = [f"row {row}", image.get("partition", ""), image.get("flags", "")]
        tiles.append(tile(dataset, row, [image.get("id", ""), ", ".join(filter(None, words))]))
    count = f"{len(shown)} of {len(rows)} images, evenly spaced" if len(shown) < len(rows) else f"{len(shown)} images"
    note = "each gray and true" if dataset.index else "each gray and true; no names, because there is no index.csv"
    caches.sheet(path, tiles, f"{dataset.name}: {count if len(shown) > 1 else '1 image'}", note)
    return shown


def tile(dataset: Dataset, row: int, lines: Sequence[str], frame: str = "") -> Tile:
    """Return one image of a sheet with the lines of its label that are not empty."""
    images = dataset.store(IMAGES)
    return Tile(images.read_rows("L", [row])[0], images.read_rows("ab", [row])[0], [*filter(None, lines)], frame)


def draw_contents(dataset: Dataset, path: Path) -> dict[str, Any]:
    """Draw histograms of L, a and b, and the embeddings' norms and spectrum, from the stores that exist.

    Returns:
        The number of images, the number of finite embeddings and their effective rank, as JSON values.
    """
    pixels, spread = None, None
    summary: dict[str, Any] = {}
    notes = []
    if dataset.images:
        pixels = _pixels(dataset.images)
        summary["images"] = dataset.images.rows()
    else:
        notes.append("no images.zarr in this folder")
    if dataset.embeddings:
        values, usable = embeddings_of(dataset.embeddings)
        if usable.sum() < 2:
            raise InputError(f"{dataset.embeddings.path}: expected two finite embeddings, received {usable.sum()}")
        spread = _spread(values[usable])
        summary |= {"embeddings": int(usable.sum()), "effective_rank": spread[3]}
        notes.append(f"embedding weights: {weights_of(dataset.embeddings)}")
        if not usable.all():
            notes.append(f"{(~usable).sum()} embeddings with NaN or infinity are left out")
    else:
        notes.append("no embeddings.zarr in this folder")
    rows = (dataset.images or dataset.store(EMBEDDINGS)).rows()
    caches.contents(path, pixels, spread, f"{dataset.name}: {rows} images", "; ".join(notes))
    return summary


def _pixels(images: Store) -> dict[str, npt.NDArray[np.int64]]:
    counts = {name: np.zeros(256, np.int64) for name in ("L", "a", "b")}
    for _, _, lightness in images.read_spans("L"):
        counts["L"] += np.bincount(lightness.ravel(), minlength=256)
    for _, _, ab in images.read_spans("ab"):
        for channel, name in enumerate("ab"):
            counts[name] += np.bincount(ab[..., channel].ravel(), minlength=256)
    return counts


def weights_of(embeddings: Store) -> str:
    """Describe the weights of the network that made the embeddings."""
    return recipe.label(embeddings.attributes().get("settings", {}))


def embeddings_of(store: Store) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return all embeddings (n, features), and whether each is finite (n,)."""
    values = np.empty(store.array("embedding").shape, np.float32)
    for start, stop, part in store.read_spans("embedding"):
        values[start:stop] = part
    return values, np.asarray(np.isfinite(values).all(axis=1))


def _spread(values: npt.NDArray[np.float32]) -> tuple[Any, Any, Any, float]:
    """Return norms, distances from the mean, singular values of the centred embeddings, and their effective rank."""
    mean = values.mean(axis=0, dtype=np.float64)
    products = np.zeros((len(mean), len(mean)))
    norms, distances = np.empty(len(values)), np.empty(len(values))
    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK].astype(np.float64)
        norms[start : start + BLOCK] = np.linalg.norm(block, axis=1)
        block -= mean
        distances[start : start + BLOCK] = np.linalg.norm(block, axis=1)
        products += block.T @ block
    # n centred embeddings span n - 1 dimensions; the other values are rounding.
    singular = np.sqrt(np.linalg.eigvalsh(products)[::-1][: len(values) - 1].clip(0))
    return norms, distances, singular, effective_rank(singular)

"""Looking into the stores: sheets of images, spreads of values, and which images' embeddings lie near each other."""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config.paths import DatasetFiles
from pipeline.core.errors import InputError
from pipeline.dataset import splits
from pipeline.dataset.index import read_index
from pipeline.embedding import recipe
from pipeline.embedding.spread import effective_rank
from pipeline.figures import caches
from pipeline.figures.caches import Tile
from pipeline.inspection.describe import open_store
from pipeline.inspection.remote import RemoteStore, join
from pipeline.storage.layouts import EMBEDDINGS, IMAGES, StoreLayout
from pipeline.storage.store import Store

MOST_TILES = 100
SAME_GROUP, SAME_IMAGE = "same group", "same image"
FRAMES = {SAME_GROUP: ":", SAME_IMAGE: "--"}
BLOCK = 2048  # embeddings that are held as float64 at a time


@dataclass(frozen=True)
class Dataset:
    """The stores of one folder, and what is known of their images.

    Attributes:
        name: the folder's name.
        images: their store, if it is there.
        embeddings: likewise.
        index: the rows of index.csv with their partition ("" where there is no split); empty where there is none.
    """

    name: str
    images: Store | None
    embeddings: Store | None
    index: Sequence[dict[str, str]]

    def pictured(self) -> Store:
        """The images.

        Raises:
            InputError: they are not there.
        """
        if self.images is None:
            raise InputError(f"{self.name}: expected images.zarr beside the embeddings, received none; copy it there")
        return self.images

    def embedded(self) -> Store:
        """The embeddings.

        Raises:
            InputError: they are not there.
        """
        if self.embeddings is None:
            raise InputError(f"{self.name}: expected embeddings.zarr beside the images, received none; run embed")
        return self.embeddings

    def row(self, name: str) -> int:
        """The row of an image's id, or of a row's number.

        Raises:
            InputError: there is none of that name.
        """
        found = next((number for number, image in enumerate(self.index) if image["id"] == name), None)
        if found is not None:
            return found
        rows = (self.images or self.embedded()).rows()
        if re.fullmatch("[0-9]{1,12}", name, re.ASCII) and int(name) < rows:
            return int(name)
        known = f", for example {self.index[0]['id']}" if self.index else " (there is no index.csv)"
        raise InputError(f"image {name!r}: expected an id of index.csv{known}, or a row, 0 to {rows - 1}")


@dataclass(frozen=True)
class Neighbour:
    """An image whose embedding is near: 1 − cosine of the centred embeddings, and what makes it trivially near."""

    row: int
    distance: float
    relation: str


def open_dataset(place: str) -> Dataset:
    """What lies in a store's folder, from either of its stores, named by path or URL.

    Raises:
        InputError: there is no store, or those there are do not belong together.
    """
    store = open_store(place)
    other = EMBEDDINGS if store.layout is IMAGES else IMAGES
    stores = {store.layout.kind: store, other.kind: _beside(store, other)}
    images, embeddings = stores[IMAGES.kind], stores[EMBEDDINGS.kind]
    if images and embeddings:
        rows = images.rows(), embeddings.rows()
        made_of, these = _manifest(embeddings).get("images"), _manifest(images).get("fingerprint")
        if rows[0] != rows[1] or (made_of and these and made_of != these):
            raise InputError(
                f"{embeddings.path}: expected embeddings of the {rows[0]} images beside it, received {rows[1]} of "
                "others; run embed again"
            )
    return Dataset(store.path.absolute().parent.name, images, embeddings, _index(images) if images else [])


def _beside(store: Store, layout: StoreLayout) -> Store | None:
    name = f"{layout.kind}.zarr"
    if isinstance(store, RemoteStore):
        with contextlib.suppress(InputError):
            return open_store(join(store.url, name))
        return None
    path = store.path.with_name(name)
    return open_store(path) if path.exists() else None


def _manifest(store: Store) -> dict[str, Any]:
    return store.manifest() if isinstance(store, RemoteStore) or store.manifest_path.exists() else {}


def _index(images: Store) -> list[dict[str, str]]:
    if isinstance(images, RemoteStore):
        index, split = images.table(DatasetFiles.index.name), images.table(DatasetFiles.splits.name)
        complete = len(index) == images.rows() and {"id", "group", "digest", "flags"} <= set(index[0] if index else ())
        index = index if complete else []
    elif not images.manifest_path.exists():
        return []
    else:
        index, split = read_index(images), []
        with contextlib.suppress(InputError):  # a sheet needs no split
            split = splits.read(DatasetFiles.beside(images).splits, images.manifest()["fingerprint"])
    partitions = [row.get("partition") or "" for row in split] if len(split) == len(index) else [""] * len(index)
    return [{**row, "partition": partition} for row, partition in zip(index, partitions, strict=True)]


def select(dataset: Dataset, rows: str | None = None, ids: Sequence[str] = (), partition: str = "") -> list[int]:
    """Rows of the images that are asked for; all, if nothing is.

    Args:
        dataset: of which images.
        rows: numbers and ranges, such as ``0,5,10-20``.
        ids: of index.csv.
        partition: one of the split's.

    Raises:
        InputError: more than one of them is given, or they name no image.
    """
    if sum((rows is not None, bool(ids), bool(partition))) > 1:
        raise InputError("expected one of --rows, --id and --partition, received several; leave the others out")
    total = dataset.pictured().rows()
    if ids:
        return [dataset.row(name) for name in ids]
    if partition:
        found = [number for number, row in enumerate(dataset.index) if row["partition"] == partition]
        if not found:
            raise InputError(
                f"--partition {partition}: expected splits.csv of these images beside the store, received none that "
                "has such images; run split"
            )
        return found
    return list(range(total)) if rows is None else _numbers(rows, total)


def _numbers(text: str, total: int) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,12})\s*(?:-\s*([0-9]{1,12})\s*)?", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < total:
            raise InputError(f"--rows: expected numbers of 0 to {total - 1}, as 0,5,10-20, received {part.strip()!r}")
        found += range(first, last + 1)
    return found


def draw_sheet(dataset: Dataset, rows: Sequence[int], path: Path) -> list[int]:
    """Draw a contact sheet, gray and true, of at most `MOST_TILES` images, evenly chosen where there are more.

    Returns:
        The rows that are drawn.
    """
    shown = list(rows)
    if len(rows) > MOST_TILES:
        shown = [rows[place] for place in np.linspace(0, len(rows) - 1, MOST_TILES).round().astype(int)]
    tiles = []
    for row in shown:
        image = dataset.index[row] if dataset.index else {}
        words = [f"row {row}", image.get("partition", ""), image.get("flags", "")]
        tiles.append(_tile(dataset, row, [image.get("id", ""), ", ".join(filter(None, words))]))
    count = f"{len(shown)} of {len(rows)} images, evenly chosen" if len(shown) < len(rows) else f"{len(shown)} images"
    note = "each gray and true" if dataset.index else "each gray and true; no index.csv beside the store: no names"
    caches.sheet(path, tiles, f"{dataset.name}: {count if len(shown) > 1 else '1 image'}", note)
    return shown


def _tile(dataset: Dataset, row: int, lines: Sequence[str], frame: str = "") -> Tile:
    images = dataset.pictured()
    return Tile(images.read_rows("L", [row])[0], images.read_rows("ab", [row])[0], [*filter(None, lines)], frame)


def draw_contents(dataset: Dataset, path: Path) -> dict[str, Any]:
    """Draw histograms of L, a and b, and the embeddings' norms and spectrum, as far as the stores are there.

    Returns:
        Figures that say the same in short, as JSON values.
    """
    pixels, spread = None, None
    told: dict[str, Any] = {}
    notes = []
    if dataset.images:
        pixels = _pixels(dataset.images)
        told["images"] = dataset.images.rows()
    else:
        notes.append("no images beside the embeddings")
    if dataset.embeddings:
        values, usable = _embeddings(dataset.embeddings)
        if usable.sum() < 2:
            raise InputError(f"{dataset.embeddings.path}: expected two embeddings or more, received {usable.sum()}")
        spread = _spread(values[usable])
        told |= {"embeddings": int(usable.sum()), "effective_rank": spread[3]}
        notes.append(f"embedding weights: {_weights(dataset.embeddings)}")
        if not usable.all():
            notes.append(f"{(~usable).sum()} embeddings that are not finite are left out")
    else:
        notes.append("no embeddings beside the images")
    rows = (dataset.images or dataset.embedded()).rows()
    caches.contents(path, pixels, spread, f"{dataset.name}: {rows} images", "; ".join(notes))
    return told


def _pixels(images: Store) -> dict[str, npt.NDArray[np.int64]]:
    counts = {name: np.zeros(256, np.int64) for name in ("L", "a", "b")}
    for _, _, lightness in images.read_spans("L"):
        counts["L"] += np.bincount(lightness.ravel(), minlength=256)
    for _, _, ab in images.read_spans("ab"):
        for channel, name in enumerate("ab"):
            counts[name] += np.bincount(ab[..., channel].ravel(), minlength=256)
    return counts


def _weights(embeddings: Store) -> str:
    return recipe.label(embeddings.attributes().get("settings", {}))


def _embeddings(store: Store) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """All embeddings (n, features), and which of them are finite (n,)."""
    values = np.empty(store.array("embedding").shape, np.float32)
    for start, stop, part in store.read_spans("embedding"):
        values[start:stop] = part
    return values, np.asarray(np.isfinite(values).all(axis=1))


def _spread(values: npt.NDArray[np.float32]) -> tuple[Any, Any, Any, float]:
    """Norms, distances from the mean, singular values of the centred embeddings, and their effective rank."""
    mean = values.mean(axis=0, dtype=np.float64)
    products = np.zeros((len(mean), len(mean)))
    norms, distances = np.empty(len(values)), np.empty(len(values))
    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK].astype(np.float64)
        norms[start : start + BLOCK] = np.linalg.norm(block, axis=1)
        block -= mean
        distances[start : start + BLOCK] = np.linalg.norm(block, axis=1)
        products += block.T @ block
    # n centred embeddings span n - 1 dimensions; what is beyond is rounding.
    variances = np.linalg.eigvalsh(products)[::-1][: len(values) - 1].clip(0)
    singular = np.sqrt(variances)
    return norms, distances, singular, effective_rank(singular)


def nearest(dataset: Dataset, row: int, count: int) -> list[Neighbour]:
    """The images whose embeddings are nearest to that of a row, the nearest first.

    The distance is 1 − cosine, of embeddings from which the mean over all images is taken: what all have in common
    says nothing. 0 is the same direction, 1 unrelated, 2 opposite. Embeddings that are not finite are left out.

    Raises:
        InputError: the row's embedding says nothing.
    """
    values, usable = _embeddings(dataset.embedded())
    if not usable[row]:
        raise InputError(f"row {row}: expected an embedding of finite numbers, received others; run embed again")
    values[~usable] = 0
    mean = (values.sum(axis=0, dtype=np.float64) / usable.sum()).astype(np.float32)
    values -= mean
    norms = np.linalg.norm(values, axis=1)
    least = 1e-6 * float(np.linalg.norm(mean))  # what is less is rounding
    if norms[row] <= least:
        raise InputError(
            f"row {row}: expected an embedding that differs from the mean of all, received that mean; "
            "the images are all alike, or embed went wrong"
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


def draw_neighbours(dataset: Dataset, row: int, found: Sequence[Neighbour], path: Path) -> None:
    """Draw an image and its neighbours, gray and true; those that are trivially near have a broken frame."""
    asked = [Neighbour(row, 0.0, ""), *found]
    tiles = []
    for place, neighbour in enumerate(asked):
        image = dataset.index[neighbour.row] if dataset.index else {}
        group = image.get("group", "")
        first = f"row {neighbour.row}: " + (f"distance {neighbour.distance:.3f}" if place else "the image asked for")
        words = [f"group {group}" if group and group != image.get("id") else "", neighbour.relation]
        frame = FRAMES.get(neighbour.relation, "") if place else "-"
        tiles.append(_tile(dataset, neighbour.row, [image.get("id", ""), first, ", ".join(filter(None, words))], frame))
    name = dataset.index[row]["id"] if dataset.index else f"row {row}"
    note = (
        "distance: 1 − cosine of embeddings less their mean (0 same direction, 1 unrelated); embedding weights: "
        f"{_weights(dataset.embedded())}; broken frames: same photograph, near for that reason"
    )
    caches.sheet(path, tiles, f"{dataset.name}: the {len(found)} images nearest to {name}", note)

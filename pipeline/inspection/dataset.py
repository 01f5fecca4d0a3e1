"""The stores of one folder, what is known about their images, and the selection of images."""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.paths import DatasetFiles
from pipeline.core.errors import InputError
from pipeline.dataset import splits
from pipeline.dataset.index import read_index
from pipeline.inspection.describe import open_store
from pipeline.storage.layouts import EMBEDDINGS, IMAGES, StoreLayout
from pipeline.storage.store import Store


@dataclass(frozen=True)
class Dataset:
    """The stores of one folder, and what is known about their images.

    Attributes:
        name: the folder's name.
        images: the store of images, None if it is missing.
        embeddings: the store of embeddings, None if it is missing.
        index: the rows of index.csv with their partition ("" without a split); empty if the file is missing.
    """

    name: str
    images: Store | None
    embeddings: Store | None
    index: Sequence[dict[str, str]]

    def store(self, layout: StoreLayout) -> Store:
        """Return the store of a layout.

        Raises:
            InputError: it is missing.
        """
        store, remedy = (self.images, "copy it there") if layout is IMAGES else (self.embeddings, "run embed")
        if store is None:
            raise InputError(f"{self.name}: expected {layout.kind}.zarr in this folder, received none; {remedy}")
        return store

    def row(self, name: str) -> int:
        """Return the row of the image with this id or row number.

        Raises:
            InputError: there is no such image.
        """
        row = next((number for number, image in enumerate(self.index) if image["id"] == name), None)
        if row is not None:
            return row
        rows = (self.images or self.store(EMBEDDINGS)).rows()
        if re.fullmatch("[0-9]{1,12}", name, re.ASCII) and int(name) < rows:
            return int(name)
        example = f", for example {self.index[0]['id']}" if self.index else " (there is no index.csv)"
        raise InputError(f"image {name!r}: expected an id from index.csv{example}, or a row number, 0 to {rows - 1}")


def open_dataset(path: Path | str) -> Dataset:
    """Open all stores in the folder of the store at `path`.

    Raises:
        InputError: there is no store at `path`, or the stores do not belong together.
    """
    store = open_store(path)
    beside = DatasetFiles.beside(store)

    def find(expected: Store) -> Store | None:
        if store.layout == expected.layout:
            return store
        return open_store(expected.path) if expected.path.exists() else None

    images, embeddings = find(beside.images), find(beside.embeddings)
    if images and embeddings:
        rows = images.rows(), embeddings.rows()
        made_from, fingerprint = _manifest(embeddings).get("images"), _manifest(images).get("fingerprint")
        if rows[0] != rows[1] or (made_from and fingerprint and made_from != fingerprint):
            raise InputError(
                f"{embeddings.path}: expected embeddings of the {rows[0]} images in {images.path.name}, "
                f"received {rows[1]} of other images; run embed again"
            )
    return Dataset(store.path.absolute().parent.name, images, embeddings, _index(images) if images else [])


def _manifest(store: Store) -> dict[str, Any]:
    return store.manifest() if store.manifest_path.exists() else {}


def _index(images: Store) -> list[dict[str, str]]:
    manifest = _manifest(images)
    if not manifest:
        return []
    index = read_index(images)
    partitions = [""] * len(index)
    with contextlib.suppress(InputError):  # a contact sheet needs no split
        split = splits.read(DatasetFiles.beside(images).splits, manifest["fingerprint"])
        partitions = [row["partition"] for row in split]
    return [{**row, "partition": partition} for row, partition in zip(index, partitions, strict=True)]


def select(dataset: Dataset, rows: str | None = None, ids: Sequence[str] = (), partition: str = "") -> list[int]:
    """Return the rows of the selected images; all rows without a selection.

    Args:
        dataset: the images to select from.
        rows: numbers and ranges, such as ``0,5,10-20``.
        ids: ids from index.csv, or row numbers.
        partition: a partition of the split.

    Raises:
        InputError: several selections are made, or one selects no image.
    """
    if sum((rows is not None, bool(ids), bool(partition))) > 1:
        raise InputError("expected one of --rows, --id and --partition, received several; use only one")
    total = dataset.store(IMAGES).rows()
    if ids:
        return [dataset.row(name) for name in ids]
    if partition:
        selected = [number for number, row in enumerate(dataset.index) if row["partition"] == partition]
        if not selected:
            raise InputError(
                f"--partition {partition}: expected a splits.csv beside the store with images in this partition, "
                "received none; run split"
            )
        return selected
    return list(range(total)) if rows is None else _numbers(rows, total)


def _numbers(text: str, total: int) -> list[int]:
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,12})\s*(?:-\s*([0-9]{1,12})\s*)?", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < total:
            raise InputError(
                f"--rows: expected numbers from 0 to {total - 1}, such as 0,5,10-20, received {part.strip()!r}"
            )
        numbers += range(first, last + 1)
    return numbers

"""The stores of one folder together, what is known of their images, and the choice of some."""

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
from pipeline.storage.layouts import EMBEDDINGS, IMAGES
from pipeline.storage.store import Store


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


def open_dataset(path: Path | str) -> Dataset:
    """What lies in a store's folder, from either of its stores, named by its path.

    Raises:
        InputError: there is no store, or those there are do not belong together.
    """
    store = open_store(path)
    other = EMBEDDINGS if store.layout is IMAGES else IMAGES
    beside = DatasetFiles.beside(store).store(other).path
    stores = {store.layout.kind: store, other.kind: open_store(beside) if beside.exists() else None}
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


def _manifest(store: Store) -> dict[str, Any]:
    return store.manifest() if store.manifest_path.exists() else {}


def _index(images: Store) -> list[dict[str, str]]:
    if not images.manifest_path.exists():
        return []
    index, partitions = read_index(images), None
    with contextlib.suppress(InputError):  # a sheet needs no split
        split = splits.read(DatasetFiles.beside(images).splits, images.manifest()["fingerprint"])
        partitions = [row["partition"] for row in split]
    return [
        {**row, "partition": partition} for row, partition in zip(index, partitions or [""] * len(index), strict=True)
    ]


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

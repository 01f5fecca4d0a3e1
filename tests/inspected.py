"""Stores that are inspected, and what the pictures of them show."""

import numpy as np
from tiny import INCEPTION

from pipeline.inspection.dataset import open_dataset
from pipeline.storage.store import Store


def opened(dataset):
    return open_dataset(str(dataset.images.path))


def embed(dataset, values):
    """The dataset with these embeddings."""
    store = Store(dataset.embeddings.path, INCEPTION.layout())
    for shard in range(store.shard_count()):
        kept = {key: store.record(shard)[key] for key in ("settings", "input")}
        store.write_shard(shard, {"embedding": values[slice(*store.span(shard))].astype(np.float32)}, **kept)
    store.complete({"images": dataset.images.manifest()["fingerprint"]})
    return opened(dataset)


def stands_in(tile, picture):
    corners = np.argwhere((picture == tile[0, 0]).all(-1)).tolist()
    height, width = tile.shape[:2]
    return sum(np.array_equal(picture[y : y + height, x : x + width], tile) for y, x in corners)


def labels(figure):
    return [text.get_text() for text in figure.axes[0].texts]

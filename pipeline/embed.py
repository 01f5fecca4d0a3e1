"""Embed: `images.zarr` becomes `embeddings.zarr`."""

import logging
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import backend, config, files, inception, provenance, recipes
from pipeline.errors import InputError
from pipeline.progress import Progress
from pipeline.stores import Store
from pipeline.tasks import run_tasks

NETWORK_FILE = "embedding_network.weights.h5"
ROWS_OF_SANITY = 2048

log = logging.getLogger("deepcolor")
_loading = threading.Lock()


@lru_cache(maxsize=1)
def _load(embedding: config.Embedding, saved: Path) -> inception.EmbeddingNetwork:
    return inception.load(embedding, saved)


def _network(embedding: config.Embedding, saved: Path) -> inception.EmbeddingNetwork:
    with _loading:
        return _load(embedding, saved)


def embed(
    images: Store,
    store: Store,
    embedding: config.Embedding,
    *,
    replace: bool = False,
    scheduler: str = "threads",
    progress: Progress | None = None,
) -> int:
    """Bring `store` to the embeddings of `images`, shard by shard; shards that are finished and unchanged stay.

    Beside the store: the network, where its weights are random, and, last, the manifest. The shards of both stores hold
    the same images. One shard is computed at a time: the network uses all of its threads for it.

    Returns:
        How many shards were written.

    Raises:
        InputError: the images are not complete, the weights do not fit, or the store is another one.
    """
    source = images.manifest()
    made_with = recipes.settings(embedding, images.rows_per_shard())
    saved = store.path.with_name(NETWORK_FILE)
    log.info("embed: the weights of the embedding network are %s", recipes.label(made_with))
    kept = store.keeps(images.rows(), made_with, replace=replace) and store.has_arrays()
    if not kept or not inception.weights_known(embedding, saved) or _unfinished(images, store, made_with):
        # Before anything is written: the weights may not be to be had.
        _network(embedding, saved)
    attributes = {"settings": made_with, "versions": provenance.versions(networks=True), "backend": backend.facts()}
    store.create(images.rows(), images.rows_per_shard(), attributes, replace=replace)
    unfinished = _unfinished(images, store, made_with)
    arguments = [(images, store, shard, embedding, saved, facts) for shard, facts in unfinished]
    run_tasks(_embed_shard, arguments, what="embed, shards", scheduler=scheduler, workers=1, progress=progress)
    rows = np.linspace(0, store.rows() - 1, min(store.rows(), ROWS_OF_SANITY)).round().astype(int)
    sanity = inception.spread(np.asarray(store.array("embedding").oindex[rows]))
    store.complete({"images": source["fingerprint"], "weights": inception.weights_facts(saved), "spread": sanity})
    log.info(
        "embed: %d embeddings in %d shards (%d written); they differ between images by %.3g (%.0f %% of their size), "
        "effective rank %.1f",
        store.rows(), store.shard_count(), len(arguments), sanity["std"], 100 * sanity["relative"],
        sanity["effective_rank"],
    )  # fmt: skip
    if sanity["relative"] < inception.MOSTLY_CONSTANT and store.rows() > 1:
        log.warning(
            "embed: the embeddings hardly differ between images; the usual causes are gray values in 0..1 where the "
            "network wants 0..255, weights that were not loaded, or images that are all alike"
        )
    return len(arguments)


def _unfinished(images: Store, store: Store, made_with: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """The shards to compute, each with what its record will have to say."""
    identity = files.fingerprint(made_with)
    found = []
    for shard in range(images.shard_count()):
        record = images.record(shard)
        if record is None:
            raise InputError(f"{images.path}: shard {shard} is not finished; run ingest again")
        facts = {"settings": identity, "input": record["files"]["L"]}
        if store.rows() != images.rows() or not store.finished(shard, **facts):
            found.append((shard, facts))
    return found


def _embed_shard(
    images: Store, store: Store, shard: int, embedding: config.Embedding, saved: Path, facts: dict[str, Any]
) -> None:
    start, stop = store.span(shard)
    values = _network(embedding, saved)(images.read("L", start, stop))
    store.write_shard(shard, {"embedding": values}, **facts)

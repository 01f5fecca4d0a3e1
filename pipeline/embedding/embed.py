"""Embed: `images.zarr` becomes `embeddings.zarr`."""

import logging
import os
import socket
import sys
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.config import schema
from pipeline.config.paths import DatasetFiles
from pipeline.core import files, plugins, versions
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress
from pipeline.core.tasks import ending, run_tasks
from pipeline.embedding import recipe, registry
from pipeline.embedding.spread import MOSTLY_CONSTANT, spread
from pipeline.networks import backend
from pipeline.storage.layouts import VECTOR
from pipeline.storage.store import Store

if TYPE_CHECKING:
    from pipeline.embedding.network import EmbeddingNetwork

SPREAD_ROWS = 2048

log = logging.getLogger("deepcolor")
_loading = threading.Lock()
_computing = threading.Lock()
_weights: dict[str, Any] | None = None


@lru_cache(maxsize=1)
def _load(embedding: schema.Embedding, saved: Path, outputs: tuple[str, ...]) -> "EmbeddingNetwork":
    from pipeline.embedding import network

    return network.load(embedding, saved, outputs)


def _network(embedding: schema.Embedding, saved: Path, outputs: tuple[str, ...]) -> "EmbeddingNetwork":
    with _loading:
        return _load(embedding, saved, outputs)


def _start(wanted: dict[str, str | int], weights: dict[str, Any]) -> None:
    """Start Keras as `wanted` (see `backend.facts`) and forget other weights than these, as a worker has to.

    This module imports nothing that imports Keras, which must come after.

    Raises:
        InputError: Keras computes otherwise in this process, or a plugin cannot be imported.
    """
    plugins.load()
    with _loading:
        fresh = "keras" not in sys.modules
        if fresh or (found := backend.facts()) != wanted:
            # TensorFlow's number of threads stays as it was set first; the policy can be changed.
            if fresh or found["threads"] in (0, wanted["threads"]):
                backend.start(int(wanted["threads"]), wanted["precision"])  # type: ignore[arg-type]
            if (found := backend.facts()) != wanted:
                me = f"the worker with process {os.getpid()} on {socket.gethostname()}"
                raise InputError(f"{me} computes with {found}, this stage with {wanted}; start that worker again")
        global _weights
        if _weights not in (None, weights):  # a worker outlives the file that its network was loaded from
            _load.cache_clear()
        _weights = weights


def embed(
    images: Store,
    store: Store,
    embedding: schema.Embedding,
    *,
    outputs: Sequence[str] = (VECTOR,),
    replace: bool = False,
    scheduler: str = "threads",
    progress: Progress | None = None,
) -> int:
    """Bring `store` to the embeddings of `images`, shard by shard; shards that are finished and unchanged stay.

    Beside the store: the network, where its weights are random, and, last, the manifest. The shards of both stores hold
    the same images. One shard is computed at a time, on a cluster one in each worker: the network uses all of its
    threads for it. The next one is read meanwhile, and the last one written.

    Args:
        images: where L is read.
        store: where the embeddings go; its layout is that of the network's outputs.
        embedding: the network, and how it computes.
        outputs: of the network; which of them are stored.
        replace: whether embeddings made with other settings may be replaced.
        scheduler: see `run_tasks`.
        progress: told of each shard.

    Returns:
        How many shards were written.

    Raises:
        InputError: the images are not complete, the weights do not fit, or the store is another one.
    """
    from pipeline.embedding import network

    source = images.manifest()
    names = tuple(outputs)
    store = Store(store.path, registry.ENTRIES[embedding.network].layout(names))
    if embedding.weights not in ("random", "imagenet"):  # workers have another working folder
        embedding = embedding.model_copy(update={"weights": str(Path(embedding.weights).expanduser().absolute())})
    made_with = recipe.settings(embedding, images.rows_per_shard(), names)
    saved = DatasetFiles.beside(store).network
    log.info("embed: the weights of the embedding network are %s", recipe.label(made_with))
    kept = store.keeps(images.rows(), made_with, replace=replace) and bool(store.attributes())
    if not kept or not network.weights_known(embedding, saved) or _unfinished(images, store, made_with):
        # Before anything is written: the weights may not be to be had.
        _network(embedding, saved, names)
    attributes = {"settings": made_with, "versions": versions.versions(networks=True), "backend": backend.facts()}
    store.create(images.rows(), images.rows_per_shard(), attributes, replace=replace)
    unfinished = _unfinished(images, store, made_with)
    common = (embedding, saved, backend.facts(), network.weights_facts(saved))
    arguments = [(images, store, shard, facts, *common) for shard, facts in unfinished]
    run_tasks(
        _embed_shard, arguments, what="embed, shards", scheduler=scheduler, workers=2,
        networks=True, progress=progress,
    )  # fmt: skip
    rows = np.linspace(0, store.rows() - 1, min(store.rows(), SPREAD_ROWS)).round().astype(int)
    sanity = spread(np.asarray(store.array(VECTOR).oindex[rows]))
    store.complete({"images": source["fingerprint"], "weights": network.weights_facts(saved), "spread": sanity})
    log.info(
        "embed: %d embeddings in %d shards (%d written); they differ between images by %.3g (%.0f %% of their size), "
        "effective rank %.1f",
        store.rows(), store.shard_count(), len(arguments), sanity["std"], 100 * sanity["relative"],
        sanity["effective_rank"],
    )  # fmt: skip
    if sanity["relative"] < MOSTLY_CONSTANT and store.rows() > 1:
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
    images: Store,
    store: Store,
    shard: int,
    facts: dict[str, Any],
    embedding: schema.Embedding,
    saved: Path,
    computing: dict[str, str | int],
    weights: dict[str, Any],
) -> None:
    _start(computing, weights)
    start, stop = store.span(shard)
    lightness = images.read("L", start, stop)
    with _computing:
        if ending():
            return
        values = _network(embedding, saved, tuple(array.name for array in store.arrays))(lightness)
    store.write_shard(shard, values, **facts)

"""Embed: compute `embeddings.zarr` or `features.zarr` from `images.zarr`."""

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
from pipeline.core.conflicts import differing
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress
from pipeline.core.tasks import ending, run_tasks
from pipeline.core.text import counted
from pipeline.embedding import recipe, registry
from pipeline.embedding.spread import MOSTLY_CONSTANT, spread
from pipeline.networks import backend
from pipeline.storage.layouts import VECTOR
from pipeline.storage.store import Store

if TYPE_CHECKING:
    from pipeline.embedding.network import EmbeddingNetwork

SPREAD_ROWS = 2048  # images whose embeddings' spread is measured
LARGEST = float(np.finfo(np.float16).max)  # in stored feature maps

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


def _start(expected: dict[str, str | int], weights: dict[str, Any]) -> None:
    """Start Keras in a worker as in the stage (see `backend.facts`), and drop a network with other weights.

    Nothing that this module imports at its top imports Keras, so that the backend can be set up first.

    Raises:
        InputError: Keras already computes differently in this process, or a plugin cannot be imported.
    """
    plugins.load()
    with _loading:
        fresh = "keras" not in sys.modules
        if fresh or (actual := backend.facts()) != expected:
            # TensorFlow's number of threads cannot change once it is set; the precision policy can.
            if fresh or actual["threads"] in (0, expected["threads"]):
                backend.start(int(expected["threads"]), expected["precision"])  # type: ignore[arg-type]
            if (actual := backend.facts()) != expected:
                worker = f"the worker with process {os.getpid()} on {socket.gethostname()}"
                raise InputError(f"{worker} computes with {actual}, this stage with {expected}; restart that worker")
        global _weights
        if _weights not in (None, weights):  # a worker outlives the file from which it loaded its network
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
    """Compute outputs of `images` into `store`, shard by shard; finished shards that still match are kept.

    Random weights are saved beside the store, and its manifest is written last. A shard of `store` holds the same
    images as the shard of `images`. In this process, and in each worker of a cluster, one shard is computed at a time,
    because the network uses all of its threads for it; meanwhile the next shard is read and the last one written.

    Args:
        images: the store with L.
        store: where to write them; its layout follows from `outputs`.
        embedding: settings of the network.
        outputs: names of the network's outputs to store: the vector in a store of embeddings, maps in one of features.
        replace: whether a store that was made with other settings may be replaced. One that only lacks some of the
            maps is replaced in any case.
        scheduler: see `run_tasks`.
        progress: reports each shard.

    Returns:
        The number of shards that were written.

    Raises:
        InputError: the images are incomplete, the weights are not available or do not fit, or the store was made with
            other settings.
    """
    from pipeline.embedding import network

    source = images.manifest()
    names = tuple(outputs)
    store = Store(store.path, registry.ENTRIES[embedding.network].layout(names))
    if embedding.weights not in ("random", "imagenet"):  # workers have another current folder
        embedding = embedding.model_copy(update={"weights": str(Path(embedding.weights).expanduser().absolute())})
    made_with = recipe.settings(embedding, images.rows_per_shard(), names)
    beside, stage = DatasetFiles.beside(store), "embed" if VECTOR in names else "features"
    saved = beside.network
    if VECTOR not in names:
        _refuse_other_network(beside.embeddings, recipe.settings(embedding, images.rows_per_shard()))
    log.info("%s: the weights of the embedding network are %s", stage, recipe.label(made_with))
    replace = replace or _only_lacks(store.attributes().get("settings", {}), made_with)
    kept = store.keeps(images.rows(), made_with, replace=replace) and bool(store.attributes())
    known = kept and network.weights_known(embedding, saved) and not store.missing_shards()
    if not known or _unfinished(images, store, made_with):
        _network(embedding, saved, names)  # fails before anything is written if the weights are not available
    attributes = {"settings": made_with, "versions": versions.versions(networks=True), "backend": backend.facts()}
    store.create(images.rows(), images.rows_per_shard(), attributes, replace=replace)
    common = (embedding, saved, backend.facts(), network.weights_facts(saved))
    arguments = [(images, store, shard, facts, *common) for shard, facts in _unfinished(images, store, made_with)]
    run_tasks(
        _embed_shard, arguments, what=f"{stage}, shards", scheduler=scheduler, workers=2,
        networks=True, progress=progress,
    )  # fmt: skip
    facts = {"images": source["fingerprint"], "weights": network.weights_facts(saved)}
    if VECTOR in names:
        facts["spread"] = _measure_spread(store, len(arguments))
    else:
        records = [store.record(shard) or {} for shard in range(store.shard_count())]
        facts["maps"] = {name: files.fingerprint([record["files"][name] for record in records]) for name in names}
        log.info(
            "features: %s of %s in %s (%d written)", ", ".join(names), counted(store.rows(), "image"),
            counted(store.shard_count(), "shard"), len(arguments),
        )  # fmt: skip
    store.complete(facts)
    return len(arguments)


def _refuse_other_network(embeddings: Store, made_with: dict[str, Any]) -> None:
    """Raise InputError if a dataset's embeddings come from another network: its weights lie beside both stores."""
    old = embeddings.attributes().get("settings")
    if old and (different := differing(old, made_with)):
        raise InputError(
            f"{embeddings.path} was made with other settings than the feature maps ({'; '.join(different)}); run embed "
            "with these settings first, or use those of the embeddings"
        )


def _only_lacks(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether a store of feature maps was made with the same settings, but fewer maps."""
    fewer = "outputs" in old and {*old["outputs"]} < {*new.get("outputs", ())}
    return fewer and {**old, "outputs": new["outputs"]} == new


def _measure_spread(store: Store, written: int) -> dict[str, float]:
    rows = np.linspace(0, store.rows() - 1, min(store.rows(), SPREAD_ROWS)).round().astype(int)
    measured = spread(np.asarray(store.array(VECTOR).oindex[rows]))
    log.info(
        "embed: %s in %s (%d written); the embeddings differ between images by %.3g (%.0f %% of their size), "
        "effective rank %.1f",
        counted(store.rows(), "embedding"), counted(store.shard_count(), "shard"), written, measured["std"],
        100 * measured["relative"], measured["effective_rank"],
    )  # fmt: skip
    if measured["relative"] < MOSTLY_CONSTANT and store.rows() > 1:
        log.warning(
            "embed: the embeddings hardly differ between images; common causes are gray values in 0..1 instead of "
            "0..255, weights that were not loaded, and images that all look the same"
        )
    return measured


def _unfinished(images: Store, store: Store, made_with: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """Return the shards to compute, each with the facts that its record will state."""
    identity = files.fingerprint(made_with)
    unfinished = []
    for shard in range(images.shard_count()):
        record = images.record(shard)
        if record is None:
            raise InputError(f"{images.path}: shard {shard} is unfinished; run ingest again")
        facts = {"settings": identity, "input": record["files"]["L"]}
        if store.rows() != images.rows() or not store.finished(shard, **facts):
            unfinished.append((shard, facts))
    return unfinished


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
    for name, rows in values.items():
        if name != VECTOR and not -LARGEST <= rows.min() <= rows.max() <= LARGEST:  # NaN fails too
            raise InputError(
                f"{store.path}: expected values of {name} between -{LARGEST:g} and {LARGEST:g}, received others for "
                f"images {start} to {stop - 1}; choose other weights or another embedding.network"
            )
    store.write_shard(shard, values, **facts)

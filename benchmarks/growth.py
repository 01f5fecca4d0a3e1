"""How the time of a stage grows with the number of images: proportionally.

Run a stage on n, 4n and 16n images, in turn, and divide the time per image between 4n and 16n by the time per image
between n and 4n. The time that a stage takes even without images cancels out.
"""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.datasets import write_archive
from benchmarks.measure import THREADS, Line, median, quotients, seconds
from benchmarks.memory import LITTLE, SPREAD
from pipeline.config import schema
from pipeline.config.sources import KaggleSource
from pipeline.core import files
from pipeline.networks import backend
from pipeline.storage.layouts import EMBEDDINGS, IMAGES
from pipeline.storage.store import Store

REPEATS = (3, 2, 1)  # of n, 4n and 16n images, in each round
IMAGES_PER_SHARD = 8  # so that few images fill several shards


def growth() -> list[Line]:
    """Measure the time of ingest, embed, an epoch, evaluate and verify."""
    backend.start(THREADS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_archive(folder / "archive", 2048)
        return [
            _time(folder, "ingest", 128, 3, _ingest),
            _time(folder, "embed", 16, 5, _embed, "With a stub instead of the network."),
            _time(folder, "an epoch", 32, 2, _epoch, "With a small network; includes reading the stores."),
            _time(folder, "evaluate", 2, 3, _evaluate, "Only the work per image, not the figures."),
            _time(folder, "verify", 32, 15, _verify),
        ]


def _time(
    folder: Path, what: str, n: int, rounds: int, prepare: Callable[[Path, int], Callable[[], Any]], note: str = ""
) -> Line:
    """Measure a stage; `prepare` writes its input of `n` images and returns the function to measure."""
    sizes = (n, 4 * n, 16 * n)
    stages = [prepare(folder, size) for size in sizes]
    for stage in stages:
        stage()
    early, late = [], []
    for _ in range(rounds):
        one, four, sixteen = (
            median([seconds(stage) for _ in range(repeats)]) for stage, repeats in zip(stages, REPEATS, strict=True)
        )
        early.append((four - one) / (3 * n))
        late.append((sixteen - four) / (12 * n))
    return Line(
        f"time of {what}",
        f"{1e3 * median(late):.2f} ms per image from {sizes[1]} to {sizes[2]} images",
        f"{1e3 * median(early):.2f} ms per image from {sizes[0]} to {sizes[1]} images",
        quotients(late, early),
        1.1,
        at_least=False,
        note=note,
    )


def _stores(folder: Path, n: int) -> tuple[Store, Store]:
    return Store(folder / f"{n}" / "images.zarr", IMAGES), Store(folder / f"{n}" / "embeddings.zarr", EMBEDDINGS)


def _ingest(folder: Path, n: int) -> Callable[[], Any]:
    from pipeline.dataset.ingest import ingest

    images, _ = _stores(folder, n)
    source = KaggleSource(kind="kaggle", path=str(folder / "archive"))

    def run() -> None:
        files.remove(images.path.parent)
        ingest(source, images, limit=n, images_per_shard=IMAGES_PER_SHARD, workers=THREADS)

    return run


def _stub(embedding: schema.Embedding, saved: Path, outputs: tuple[str, ...]) -> Callable[[Any], Any]:
    from pipeline.embedding import recipe

    files.write_json(saved.with_name("embedding_network.json"), recipe.weights(embedding))
    draws = np.random.default_rng(0)
    return lambda lightness: {"embedding": draws.normal(size=(len(lightness), 1000)).astype(np.float32)}


def _embed(folder: Path, n: int) -> Callable[[], Any]:
    from pipeline.embedding import embed

    _ingest(folder, n)()
    images, embeddings = _stores(folder, n)

    def run() -> None:
        files.remove(embeddings.path)
        files.remove(embeddings.records)
        with mock.patch.multiple(embed, _load=_stub, SPREAD_ROWS=SPREAD):
            embed.embed(images, embeddings, schema.Embedding(network="inception_resnet_v2", weights="random"))

    return run


@cache
def _network() -> Any:
    import keras

    from pipeline.networks import builder

    model = builder.build("little", l2=0.01, architectures=LITTLE)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    return model


def _epoch(folder: Path, n: int) -> Callable[[], Any]:
    from pipeline.networks import inputs
    from pipeline.training import batches

    _embed(folder, n)()
    model = _network()

    def run() -> None:
        names, (images, embeddings) = inputs.names_of(model), _stores(folder, n)
        outputs = dict.fromkeys(inputs.stored(names), embeddings)
        examples = batches.load(images, outputs, {"train": np.arange(n)})["train"]
        model.fit(backend.stream(batches.Batches(examples, names, 5)), shuffle=False, verbose=0)

    return run


def _evaluate(folder: Path, n: int) -> Callable[[], Any]:
    from pipeline.evaluation import metrics
    from pipeline.evaluation.network import Network
    from pipeline.evaluation.scoring import Dataset, score
    from pipeline.networks import inputs

    _embed(folder, n)()
    model, table = _network(), [{"partition": "test", "group": str(row)} for row in range(n)]
    rarity = {"test": metrics.rarity(np.ones(metrics.COLOR_BINS, np.int64))}

    def run() -> None:
        images, embeddings = _stores(folder, n)
        dataset = Dataset(images, table, rarity, dict.fromkeys(inputs.stored(inputs.names_of(model)), embeddings))
        network = Network(model, dataset, 0)
        score(dataset, lambda batch: {"model": network.own(batch)}, "growth", batch_size=2, threads=THREADS)

    return run


def _verify(folder: Path, n: int) -> Callable[[], Any]:
    from pipeline.inspection.verify import verify

    _embed(folder, n)()
    return lambda: verify([folder / f"{n}"])

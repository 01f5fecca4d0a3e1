"""How time and memory grow with the number of images: in proportion, and not at all.

Time: a stage is given n, 4n and 16n images, in turn. What an image costs between 4n and 16n is divided by what it costs
between n and 4n, so that what a stage takes for no image at all drops out. Memory: each stage runs with n and with 4n
images, as its command, in a process of its own whose anonymous memory is watched (see `benchmarks.memory`); how much it
grows is compared with the size of the images that were added.
"""

import json
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.data import write_archive
from benchmarks.measure import THREADS, Line, Ratio, median, quotients, seconds
from benchmarks.memory import STUB, peak
from pipeline import WORKFLOW, backend, config, files
from pipeline.lab import SIZE
from pipeline.stores import EMBEDDINGS, IMAGES, Store

REPEATS = (3, 2, 1)  # of n, 4n and 16n images, in each round
IMAGES_PER_SHARD = 8  # in the measurements of time, so that few images are several shards
FEW, MANY = 256, 1024  # in the measurements of memory
# A network that takes little: the others would take minutes, and are in proportion to the images by themselves.
LITTLE = {"little": config.Architecture(encoder="4/2 4/2 4/2", fusion="1x1:4", decoder="4 ^ 4 ^ 2 ^")}
RUN = "little_lr1e-3"
# Embeddings whose spread embed computes at the end; else of up to 2048, which takes 0.5 s and 45 MiB at most.
SPREAD = 16
# The stages that score, with the scores of a corner of each image: those of the whole would take minutes.
CORNERS = """
import sys
from pipeline import scores
from stages.__main__ import main

whole = scores.measure

def measure(truth, predicted):
    corner = scores.Truth(truth.lightness[:, :32, :32], truth.ab[:, :32, :32], truth.rarity)
    return whole(corner, predicted[:, :32, :32])

scores.measure = measure
main(sys.argv[1:])
"""


def growth() -> list[Line]:
    """Time of ingest, embed, an epoch, evaluate and verify."""
    backend.start(THREADS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_archive(folder / "archive", 2048)
        return [
            _time(folder, "ingest", 128, 3, _ingest),
            _time(folder, "embed", 16, 5, _embed, "With a stub in the place of the network."),
            _time(folder, "an epoch", 32, 2, _epoch, "With a small network; the stores are read, too."),
            _time(folder, "evaluate", 2, 3, _evaluate, "What is done for each image; the figures are always as many."),
            _time(folder, "verify", 32, 15, _verify),
        ]


def _time(
    folder: Path, what: str, n: int, rounds: int, prepare: Callable[[Path, int], Callable[[], Any]], note: str = ""
) -> Line:
    """A line on a stage; `prepare` makes what it reads of so many images, and returns what is to be measured."""
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
    from pipeline.ingest import ingest

    images, _ = _stores(folder, n)
    source = config.KaggleSource(kind="kaggle", path=str(folder / "archive"))

    def run() -> None:
        files.remove(images.path.parent)
        ingest(source, images, limit=n, images_per_shard=IMAGES_PER_SHARD, workers=THREADS)

    return run


def _stub(embedding: config.Embedding, saved: Path) -> Callable[[Any], Any]:
    from pipeline import recipes

    files.write_json(saved.with_name("embedding_network.json"), recipes.weights(embedding))
    return lambda lightness: np.random.default_rng(0).normal(size=(len(lightness), 1000)).astype(np.float32)


def _embed(folder: Path, n: int) -> Callable[[], Any]:
    from pipeline import embed

    _ingest(folder, n)()
    images, embeddings = _stores(folder, n)

    def run() -> None:
        files.remove(embeddings.path)
        files.remove(embeddings.records)
        with mock.patch.multiple(embed, _load=_stub, ROWS_OF_SANITY=SPREAD):
            embed.embed(images, embeddings, config.Embedding())

    return run


@cache
def _network() -> Any:
    import keras

    from pipeline import architectures

    model = architectures.build("little", l2=0.01, architectures=LITTLE)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    return model


def _epoch(folder: Path, n: int) -> Callable[[], Any]:
    from pipeline import feed

    _embed(folder, n)()
    model = _network()

    def run() -> None:
        examples = feed.load(*_stores(folder, n), {"train": np.arange(n)})["train"]
        model.fit(backend.stream(feed.Batches(examples, 5)), shuffle=False, verbose=0)

    return run


def _evaluate(folder: Path, n: int) -> Callable[[], Any]:
    from pipeline import evaluation, metrics, references, scores

    _embed(folder, n)()
    model, partitions = _network(), ["test"] * n
    rarity = {"test": metrics.rarity(np.ones(metrics.COLOR_BINS, np.int64))}

    def run() -> None:
        found = scores.Scores(n)
        with ThreadPoolExecutor(THREADS) as pool:
            for batch in references.batches(*_stores(folder, n), partitions, rarity, 2):
                predicted = evaluation.predict(model, batch.truth.lightness, batch.embedding)
                found.measure(pool, batch.start, batch.truth, {scores.MODEL: predicted})

    return run


def _verify(folder: Path, n: int) -> Callable[[], Any]:
    from pipeline.verify import verify

    _embed(folder, n)()
    return lambda: verify([folder / f"{n}"])


def memory() -> list[Line]:
    """Anonymous memory of every stage, at its peak."""
    for variable in (config.VARIABLE, WORKFLOW):
        os.environ.pop(variable, None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_archive(folder / "archive", MANY)
        few, many = (_peaks(folder, n) for n in (FEW, MANY))
    told = {
        "embed": f"With a stub in the place of the network, and the spread of {SPREAD} embeddings.",
        "references": "With the scores of a corner of each image.",
        "evaluate": "With the scores of a corner of each image.",
        "train": "It holds the images to train and validate on, 80 % of them, up to memory_gib.",
        "train, memory_gib: 0": "Decoded images are mapped from a file.",
    }
    added = (MANY - FEW) * 3 * SIZE**2 / 2**20
    return [
        Line(
            f"peak memory of {stage}",
            f"{many[stage]} MiB with {MANY} images; {few[stage]} MiB with {FEW}",
            f"the images that were added, decoded: {added:.0f} MiB",
            Ratio.of([(many[stage] - few[stage]) / added]),
            0.9 if stage == "train" else 0.1,
            at_least=False,
            note=told.get(stage, ""),
        )
        for stage in few
    ]


def _peaks(folder: Path, n: int) -> dict[str, int]:
    """MiB by stage."""
    settings = {
        "dataset": "synthetic",
        "datasets": {"synthetic": {"kind": "kaggle", "path": str(folder / "archive")}},
        "limit": n,
        "architectures": {name: value.model_dump() for name, value in LITTLE.items()},
        "root": str(folder / f"{n}"),
        "data": str(folder / f"{n}" / "data"),
        "training": {"epochs": 1},
        "evaluation": {"pictures": 1},
    }
    path = folder / f"{n}.yaml"
    path.write_text(json.dumps(settings))
    stages = {
        "ingest": ("-m", "stages", "ingest"),
        "embed": ("-c", f"from pipeline import embed\nembed.ROWS_OF_SANITY = {SPREAD}\n{STUB}", "embed"),
        "split": ("-m", "stages", "split"),
        "references": ("-c", CORNERS, "references"),
        "train": ("-m", "stages", "train", RUN),
        "train, memory_gib: 0": ("-m", "stages", "train", f"{RUN}_s1", "--set", "training.memory_gib=0"),
        "evaluate": ("-c", CORNERS, "evaluate", RUN),
        "collect": ("-m", "stages", "collect", RUN),
        "verify": ("-m", "stages", "verify"),
    }
    return {stage: peak(*command, "--config", path)["peak_mib"] for stage, command in stages.items()}

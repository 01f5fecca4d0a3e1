"""Rows of training: a step, an epoch, and the gain from cached embeddings."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import THREADS, Line, in_turn, median, quotients, seconds
from pipeline.core import machine
from pipeline.networks import backend

backend.start(THREADS)

import keras  # noqa: E402

from benchmarks import datasets, networks  # noqa: E402
from pipeline.embedding import registry  # noqa: E402
from pipeline.storage.store import Store  # noqa: E402
from pipeline.training.batches import Batches, Examples, Shuffling, load  # noqa: E402

MATRIX = 2048
INPUTS = ("L", "embedding")
ROUNDS = {5: 3, 50: 2}  # by batch size
FAST = machine.fastest_precision()
NO_BFLOAT16 = (
    "This processor has no bfloat16 arithmetic but emulates it, and `precision: auto` chooses float32. Measured with "
    "one image per step."
)


def examples(n: int, seed: int = 0) -> Examples:
    """Return random examples: a step takes equally long for all values."""
    draws = np.random.default_rng(seed)
    return Examples(
        draws.integers(0, 256, (n, 224, 224), np.uint8),
        draws.integers(0, 256, (n, 224, 224, 2), np.uint8),
        {"embedding": draws.standard_normal((n, networks.EMBEDDING_SIZE), np.float32)},
    )


def product(dtype: str) -> Callable[[], Any]:
    """Return a function that computes a matrix product several times."""
    left, right = (keras.ops.cast(keras.random.normal((MATRIX, MATRIX), seed=seed), dtype) for seed in (0, 1))

    def run() -> None:
        for _ in range(4):
            result = keras.ops.matmul(left, right)
        float(result[0, 0])

    run()
    return run


def _rate(flops: float, seconds: list[float]) -> list[float]:
    return [flops / each / 1e9 for each in seconds]


def _steps(name: str, batch: int, images: int, rounds: int, precision: machine.Precision) -> tuple[Any, ...]:
    """Return the seconds of ours, of the printed network and of matrix products in `precision`."""
    ours, theirs = networks.ours(name, precision), networks.printed(name)

    def fit(data: Examples) -> list[Callable[[], Any]]:
        arrays = [data.lightness[..., None], networks.tiled(data.embedded["embedding"])]
        return [
            lambda: ours.fit(backend.stream(Batches(data, INPUTS, batch)), shuffle=False, verbose=0),
            lambda: theirs.fit(arrays, data.ab, batch_size=batch, verbose=0),
        ]

    for run in fit(examples(min(batch, 2))):  # compiles, for any number of images
        run()
    runs = [*fit(examples(images)), product("bfloat16" if precision == "mixed_bfloat16" else "float32")]
    return in_turn(*runs, rounds=rounds)


def _line(
    name: str, batch: int, images: int, rounds: int, precision: machine.Precision, target: float, **more: Any
) -> Line:
    ours, theirs, products = _steps(name, batch, images, rounds, precision)
    reached = _rate(3 * images * networks.computed_flops(name), ours)
    limit = _rate(4 * 2 * MATRIX**3, products)
    kind = "bfloat16" if precision == "mixed_bfloat16" else "float32"
    return Line(
        f"training step, {name}, batch {batch}, {kind}",
        f"{images / median(ours):.3g} images/s",
        f"the network as printed, float32: {images / median(theirs):.3g} images/s",
        quotients(theirs, ours),
        target,
        limit=f"{median(limit):.0f} GFLOP/s, a matrix product in {kind}",
        share=quotients(reached, limit),
        **more,
    )


def _share(line: Line) -> Line:
    """Return a line's share of the limit as a separate line."""
    assert line.share is not None
    reached = f"{line.share.median * float(line.limit.split()[0]):.0f} GFLOP/s"
    return Line(f"{line.what}: share of the matrix product's rate", reached, line.limit, line.share, 0.8)


def step() -> list[Line]:
    lines = [_line("base", batch, max(batch, 10), ROUNDS[batch], "float32", 1.0) for batch in ROUNDS]
    return [*lines, _share(lines[0])]


def step_bfloat16() -> list[Line]:
    if FAST == "mixed_bfloat16":
        lines = [_line("base", batch, max(batch, 10), ROUNDS[batch], FAST, 1.7) for batch in ROUNDS]
        return [*lines, _share(lines[0])]
    return [_line("base", 1, 1, 1, "mixed_bfloat16", 1.7, note=NO_BFLOAT16)]


class _Turns(keras.callbacks.Callback):
    """Run the reference after each epoch of one call of `fit`, which writes no history or checkpoints."""

    def __init__(self, load: Callable[[], Any], batches: Batches) -> None:
        super().__init__()
        self._load = load
        self._batches = [batches[index] for index in range(len(batches))]
        self.ours: list[float] = []
        self.bare: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        took = time.perf_counter() - self._began
        bare = seconds(self._steps)
        if epoch:  # the first one compiles both
            self.ours.append(took + seconds(self._load))
            self.bare.append(bare)

    def _steps(self) -> None:
        for inputs, ab in self._batches:
            self.model.train_on_batch(inputs, ab)


def epoch() -> list[Line]:
    lines = []
    for name, n, rounds in (("base", 30, 3), ("arch3", 240, 3)):
        model = networks.ours(name, FAST)
        with tempfile.TemporaryDirectory() as folder:
            images, embeddings, _ = datasets.synthetic(Path(folder), n)
            data = load(images, {"embedding": embeddings}, {"train": np.arange(n)})["train"]
            turns = _Turns(partial(_load, images, embeddings), Batches(data, INPUTS, 5))
            shuffled = Batches(data, INPUTS, 5, shuffle_seed=0)
            watchers = [Shuffling(shuffled), turns]
            model.fit(backend.stream(shuffled), shuffle=False, verbose=0, epochs=rounds + 1, callbacks=watchers)
        lines.append(
            Line(
                f"one epoch of {name}, {n} images, including reading the zarr stores",
                f"{median(turns.ours):.3g} s",
                f"the bare steps on data in memory: {median(turns.bare):.3g} s",
                quotients(turns.ours, turns.bare),
                1.03,
                at_least=False,
                note="A run reads the stores once, not once per epoch." if name == "arch3" else "",
            )
        )
    return lines


def _load(*stores: Store) -> None:
    images, embeddings = (Store(store.path, store.layout) for store in stores)  # without checked shards
    load(images, {"embedding": embeddings}, {"train": np.arange(images.rows())})


def cached() -> list[Line]:
    lines = []
    data = examples(5)
    gray = np.repeat(data.lightness[..., None], 3, axis=-1)
    entry = registry.ENTRIES["inception_resnet_v2"]
    network = entry.build(None, "logits")

    def embedded() -> Any:
        rgb = keras.ops.image.resize(gray.astype(np.float32), (entry.side, entry.side))
        return network.predict(entry.preprocess(rgb), verbose=0)

    embedded()
    for name, steps, target in (("base", 1, 1.5), ("arch3", 4, 5.0)):
        model = networks.ours(name)
        inputs = data.lightness[..., None]

        def ours(model: keras.Model = model, inputs: Any = inputs, steps: int = steps) -> None:
            for _ in range(steps):
                model.train_on_batch([inputs, data.embedded["embedding"]], data.ab)

        def theirs(model: keras.Model = model, inputs: Any = inputs, steps: int = steps) -> None:
            for _ in range(steps):
                model.train_on_batch([inputs, embedded()], data.ab)

        ours()
        with_cache, without = in_turn(ours, theirs, rounds=2)
        lines.append(
            Line(
                f"training step of {name}, batch 5, with cached embeddings",
                f"{5 * steps / median(with_cache):.3g} images/s",
                f"the embedding computed for every batch: {5 * steps / median(without):.3g} images/s",
                quotients(without, with_cache),
                target,
            )
        )
    return lines

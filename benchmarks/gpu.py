"""Training and embedding on a GPU, with Keras on JAX; needs neither TensorFlow nor zarr.

    python -m benchmarks.gpu [ROW ...] [--cpu-trial]

The dataset is on the GPU, and one call makes many of Keras' steps, as in `pipeline.training.on_device`. Results go to
benchmarks/results/<device>.json, where rows that are not named keep their last result.
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

from benchmarks import performance
from benchmarks.__main__ import write
from benchmarks.measure import RESULTS, Line, Ratio, in_turn, machine, median, quotients
from benchmarks.networks import EMBEDDING_SIZE, computed_flops, ours, printed, tiled
from pipeline.config import schema
from pipeline.core.machine import Precision
from pipeline.embedding import network, registry
from pipeline.images.formats import SIZE
from pipeline.networks import backend, builder
from pipeline.networks.heads import HEADS
from pipeline.networks.inputs import names_of
from pipeline.training import on_device
from pipeline.training.batches import Examples

BASE_TRAINED, EMBEDDED = 5200, 5000  # images/s that one H100 should reach
KINDS: dict[Precision, str] = {"float32": "float32", "mixed_bfloat16": "bfloat16"}
PRODUCTS = 20


@dataclass(frozen=True)
class Scale:
    """How much to measure.

    Attributes:
        networks: names of the architectures.
        steps: training steps by batch size.
        epoch: images of an epoch.
        embedded: images to embed.
        batches: batch sizes of the embedding network.
        matrix: rows and columns of the multiplied matrices.
        rounds: the number of repetitions, in turn.
    """

    networks: tuple[str, ...]
    steps: dict[int, int]
    epoch: int
    embedded: int
    batches: tuple[int, ...]
    matrix: int
    rounds: int


WHOLE = Scale(("base", "arch1", "arch2", "arch3"), {5: 409, 50: 41, 256: 9}, 15_000, 2048, (64, 128, 256), 8192, 5)
TRIAL = Scale(("arch3",), {2: 2}, 4, 2, (2,), 256, 1)


def random_examples(n: int) -> Examples:
    """Return random examples: a step takes equally long for all values."""
    draws = np.random.default_rng(0)
    return Examples(
        draws.integers(0, 256, (n, SIZE, SIZE), np.uint8),
        draws.integers(0, 256, (n, SIZE, SIZE, 2), np.uint8),
        {"embedding": draws.standard_normal((n, EMBEDDING_SIZE), np.float32)},
    )


def epoch_of(name: str, precision: Precision, placed: Examples, batch: int) -> Callable[[], None]:
    """Return a function that trains a network of ours for an epoch, on examples that `on_device.place` placed."""
    network = ours(name, precision)
    model = on_device.Network(network.inputs, network.outputs)
    builder.compile_to_train(model, HEADS["regression"], keras.optimizers.Adam(1e-4))
    batches = on_device.Batches(placed, names_of(model), batch, shuffle_seed=0)

    def train() -> None:
        batches.shuffle(1)
        losses = model.fit(batches, shuffle=False, verbose=0).history["loss"]
        if not np.isfinite(losses).all():
            raise FloatingPointError("the loss is not a finite number")

    return train


class Product:
    """Matrix products of random numbers, the limit of a network's rate."""

    def __init__(self, dtype: str, size: int) -> None:
        self.dtype = dtype
        self._factors = [keras.ops.cast(keras.random.normal((size, size), seed=seed), dtype) for seed in (0, 1)]
        self.flops = PRODUCTS * 2 * size**3

    def __call__(self) -> None:
        jax.block_until_ready([keras.ops.matmul(*self._factors) for _ in range(PRODUCTS)])

    def limit(self, flops: float, taken: list[float], multiplying: list[float]) -> dict[str, Any]:
        """Return `limit` and `share` of a `Line` from the operations and the seconds of both in each round."""
        products = [self.flops / each / 1e12 for each in multiplying]
        reached = [flops / each / 1e12 for each in taken]
        limit = f"{median(products):.3g} TFLOP/s, a matrix product in {self.dtype}"
        return {"limit": limit, "share": quotients(reached, products)}


def _rate(n: int, flops: float, taken: list[float]) -> str:
    return f"{n / median(taken):.4g} images/s, {flops / median(taken) / 1e12:.3g} TFLOP/s"


def steps(name: str, scale: Scale) -> list[Line]:
    """Compare training steps of one architecture with the printed network's and with the rate of a matrix product."""
    lines = []
    products = [Product(kind, scale.matrix) for kind in KINDS.values()]
    for batch, count in scale.steps.items():
        n = batch * count
        data = random_examples(n)
        placed, theirs = on_device.place(data), printed(name)
        arrays = [data.lightness[..., None], tiled(data.embedded["embedding"])]
        runs = [
            *(epoch_of(name, precision, placed, batch) for precision in KINDS),
            *products,
            partial(theirs.fit, arrays, data.ab, batch_size=batch, verbose=0),
        ]
        *times, fit = _measured(runs, scale.rounds)
        for (precision, kind), product, taken, multiplying in zip(
            KINDS.items(), products, times[: len(KINDS)], times[len(KINDS) :], strict=True
        ):
            flops = 3 * n * computed_flops(name)
            lines.append(
                Line(
                    f"training step, {name}, batch {batch}, {kind}",
                    _rate(n, flops, taken),
                    f"the network as printed, float32, `fit` on arrays: {n / median(fit):.4g} images/s",
                    quotients(fit, taken),
                    8.0 if (name, batch, precision) == ("base", 5, "mixed_bfloat16") else 1.0,
                    **product.limit(flops, taken, multiplying),
                )
            )
    return lines


def epoch(scale: Scale) -> list[Line]:
    """Compare epochs of the complete dataset with Keras' `fit`."""
    lines = []
    n, data = scale.epoch, random_examples(scale.epoch)
    product = Product("bfloat16", scale.matrix)
    placed, inputs = on_device.place(data), [data.lightness[..., None], data.embedded["embedding"]]
    for name in scale.networks[:: max(len(scale.networks) - 1, 1)]:
        for batch in scale.steps:
            theirs = ours(name, "mixed_bfloat16")
            fit = partial(theirs.fit, inputs, data.ab, batch_size=batch, verbose=0)
            train = epoch_of(name, "mixed_bfloat16", placed, batch)
            taken, fitting, multiplying = _measured([train, fit, product], scale.rounds)
            flops = 3 * n * computed_flops(name)
            what, rate = f"epoch of {name}, batch {batch}, bfloat16", _rate(n, flops, taken)
            compared = f"Keras' `fit` of the same network on arrays: {n / median(fitting):.4g} images/s"
            limit = product.limit(flops, taken, multiplying)
            lines.append(Line(what, rate, compared, quotients(fitting, taken), 1.0, **limit))
            if name == "base":
                lines.append(_against(what, rate, BASE_TRAINED, n, taken))
    return lines


def embedding(scale: Scale) -> list[Line]:
    """Compare embedding with Keras' `predict` on stacked RGB."""
    lines = []
    lightness = random_examples(scale.embedded).lightness
    entry = registry.ENTRIES["inception_resnet_v2"]
    rgb = np.asarray(network.GrayPhotograph(entry)(lightness))
    networks = {precision: _inception(precision) for precision in KINDS}
    plain = networks["float32"]
    products = [Product(kind, scale.matrix) for kind in KINDS.values()]
    flops = len(rgb) * entry.flops
    for batch in scale.batches:
        runs = [partial(network.EmbeddingNetwork(entry, built, batch), lightness) for built in networks.values()]
        predict = partial(plain.predict, rgb, batch, verbose=0)
        *times, predicting = _measured([*runs, *products, predict], scale.rounds)
        for kind, product, taken, multiplying in zip(
            KINDS.values(), products, times[: len(KINDS)], times[len(KINDS) :], strict=True
        ):
            what, rate = f"embedding, batch {batch}, {kind}", _rate(len(rgb), flops, taken)
            compared = f"Keras' `predict` on stacked RGB, float32: {len(rgb) / median(predicting):.4g} images/s"
            limit = product.limit(flops, taken, multiplying)
            lines.append(Line(what, rate, compared, quotients(predicting, taken), 1.0, **limit))
            if (batch, kind) == (max(scale.batches), "bfloat16"):
                lines.append(_against(what, rate, EMBEDDED, len(rgb), taken))
    return lines


def _inception(precision: Precision) -> keras.Model:
    with backend.policy(precision):
        return network.build_network(schema.Embedding(network="inception_resnet_v2", weights="random"), None)


def _measured(runs: list[Any], rounds: int) -> list[list[float]]:
    """Return the seconds of each in turn, after one call of each, which compiles it."""
    for run in runs:
        run()
    return in_turn(*runs, rounds=rounds)


def _against(what: str, rate: str, target: int, n: int, taken: list[float]) -> Line:
    ratio = Ratio.of([n / each / target for each in taken])
    return Line(what, rate, f"{target:,} images/s, which one H100 should reach", ratio, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu-trial", action="store_true", help="run a small version on the CPU; write no file")
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help="training-<architecture>, epoch, embedding; default: all"
    )
    arguments = parser.parse_args()
    scale = TRIAL if arguments.cpu_trial else WHOLE
    rows = {
        **{f"training-{name}": partial(steps, name, scale) for name in scale.networks},
        "epoch": partial(epoch, scale),
        "embedding": partial(embedding, scale),
    }
    if unknown := sorted(set(arguments.rows) - set(rows)):
        parser.error(f"expected rows of {', '.join(rows)}, received {', '.join(unknown)}")
    device = jax.devices("cpu" if arguments.cpu_trial else None)[0]
    if device.platform != "gpu" and not arguments.cpu_trial:
        raise SystemExit("no GPU: nothing measured")
    with jax.default_device(device):
        measure({row: rows[row] for row in arguments.rows or rows}, device.device_kind, keep=not arguments.cpu_trial)


def measure(rows: dict[str, Any], device: str, keep: bool) -> None:
    """Measure rows, and add them to the device's file or print them."""
    path = RESULTS / f"{re.sub(r'[^a-z0-9]+', '-', device.lower()).strip('-')}.json"
    results = json.loads(path.read_text(encoding="utf-8"))["rows"] if keep and path.exists() else {}
    described = {**machine(), "processor": device, "host": machine()["processor"], "arithmetic": [], **_facts()}
    for row, function in rows.items():
        began = time.monotonic()
        lines = [line.as_json() for line in function()]
        took = round(time.monotonic() - began)
        results[row] = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "seconds": took, "lines": lines}
        print(row, *map(performance.sentence, lines), sep="\n  ", file=sys.stderr, flush=True)
        if keep:
            write(path, {"machine": described, "rows": results})
    if keep:
        performance.update()
    else:
        print(json.dumps({"machine": described, "rows": results}))


def _facts() -> dict[str, str]:
    """Return versions, and the error of JAX's float32 products at its default precision."""
    factors = [np.random.default_rng(seed).standard_normal((512, 512), np.float32) for seed in (0, 1)]
    exact = np.matmul(*(factor.astype(np.float64) for factor in factors))
    error = np.linalg.norm(np.asarray(keras.ops.matmul(*factors)) - exact) / np.linalg.norm(exact)
    return {"jax": jax.__version__, "keras": keras.__version__, "relative error of a float32 product": f"{error:.1e}"}


if __name__ == "__main__":
    main()

"""Training and embedding on a GPU, through Keras on JAX; a machine without TensorFlow and zarr will do.

    python -m benchmarks.gpu [ROW ...] [--cpu-trial]

The dataset lies on the GPU, and one call makes many of Keras' training steps. Results go to
benchmarks/results/<device>.json; rows that are not asked for stay there as they were.
"""

import argparse
import json
import os
import re
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
import numpy.typing as npt

from benchmarks import performance
from benchmarks.__main__ import write
from benchmarks.measure import RESULTS, Line, Ratio, in_turn, machine, median, quotients
from benchmarks.networks import ours, printed, tiled
from pipeline import backend, config, inception
from pipeline.blueprints import ARCHITECTURES, EMBEDDING_SIZE, forward_flops
from pipeline.hardware import Precision
from pipeline.lab import SIZE

BASE_TRAINED, EMBEDDED = 5200, 5000  # images/s that one H100 should reach
KINDS: dict[Precision, str] = {"float32": "float32", "mixed_bfloat16": "bfloat16"}
PRODUCTS = 20

Data = tuple[Any, Any, Any]  # L (n, 224, 224) and ab (n, 224, 224, 2) uint8, embedding (n, 1000) float32


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        networks: names of the architectures.
        steps: training steps by batch size.
        epoch: images of an epoch.
        embedded: images to embed.
        batches: of the embedding network.
        matrix: rows and columns of what is multiplied.
        rounds: how often all is repeated, in turn.
    """

    networks: tuple[str, ...]
    steps: dict[int, int]
    epoch: int
    embedded: int
    batches: tuple[int, ...]
    matrix: int
    rounds: int


WHOLE = Scale(tuple(ARCHITECTURES), {5: 100, 50: 20, 256: 8}, 15_000, 2048, (64, 128, 256), 8192, 5)
TRIAL = Scale(("arch3",), {2: 2}, 4, 2, (2,), 256, 1)


def examples(n: int) -> Data:
    """Random ones: a step takes as long for any values."""
    draws = np.random.default_rng(0)
    return (
        draws.integers(0, 256, (n, SIZE, SIZE), np.uint8),
        draws.integers(0, 256, (n, SIZE, SIZE, 2), np.uint8),
        draws.standard_normal((n, EMBEDDING_SIZE), np.float32),
    )


def shuffled(n: int, batch: int) -> npt.NDArray[np.int32]:
    """Rows of the batches of an epoch, (steps, batch)."""
    return np.random.default_rng(0).permutation(n)[: n // batch * batch].reshape(-1, batch).astype(np.int32)


class Training:
    """A network of ours in training, on data that lie on the device."""

    def __init__(self, name: str, precision: Precision, data: Data) -> None:
        self._model = model = ours(name, precision)
        model.optimizer.build(model.trainable_variables)
        ab = data[1][:1]
        model.compute_metrics(None, ab, ab)  # makes their variables
        model.reset_metrics()
        groups = (
            model.trainable_variables, model.non_trainable_variables, model.optimizer.variables, model.metrics_variables
        )  # fmt: skip
        self._state = tuple([variable.value for variable in group] for group in groups)
        self._data = data
        self._steps = jax.jit(self._make_steps, donate_argnums=0)

    def _make_steps(self, state: Any, data: Data, batches: Any) -> tuple[Any, Any]:
        def step(state: Any, rows: Any) -> tuple[Any, Any]:
            lightness, ab, embedding = (keras.ops.take(values, rows, axis=0) for values in data)
            logs, state = self._model.train_step(state, ((lightness[..., None], embedding), ab))
            return state, logs["loss"]

        return jax.lax.scan(step, state, batches)

    def __call__(self, batches: npt.NDArray[np.int32]) -> None:
        """One step for each row of `batches`, the numbers of its examples; all in one call."""
        self._state, losses = self._steps(self._state, self._data, batches)
        if not np.isfinite(losses).all():
            raise FloatingPointError("the loss is not a finite number")


class Product:
    """Matrix products of random numbers."""

    def __init__(self, dtype: str, size: int) -> None:
        self._factors = [keras.ops.cast(keras.random.normal((size, size), seed=seed), dtype) for seed in (0, 1)]
        self.flops = PRODUCTS * 2 * size**3

    def __call__(self) -> None:
        jax.block_until_ready([keras.ops.matmul(*self._factors) for _ in range(PRODUCTS)])


def steps(name: str, scale: Scale) -> list[Line]:
    """Training steps of one architecture, beside the printed network's, and the rate of a matrix product."""
    lines = []
    products = [Product(kind, scale.matrix) for kind in KINDS.values()]
    for batch, count in scale.steps.items():
        n = batch * count
        data = examples(n)
        resident, batches, theirs = jax.device_put(data), shuffled(n, batch), printed(name)
        arrays = [data[0][..., None], tiled(data[2])]
        runs = [
            *(partial(Training(name, precision, resident), batches) for precision in KINDS),
            *products,
            partial(theirs.fit, arrays, data[1], batch_size=batch, verbose=0),
        ]
        *found, fit = _measured(runs, scale.rounds)
        for (precision, kind), product, taken, multiplying in zip(
            KINDS.items(), products, found[: len(KINDS)], found[len(KINDS) :], strict=True
        ):
            reached = [3 * n * forward_flops(name, SIZE) / each / 1e12 for each in taken]
            limit = [product.flops / each / 1e12 for each in multiplying]
            lines.append(
                Line(
                    f"training step, {name}, batch {batch}, {kind}",
                    f"{n / median(taken):.4g} images/s, {median(reached):.3g} TFLOP/s",
                    f"the network as printed, float32, `fit` on arrays: {n / median(fit):.4g} images/s",
                    quotients(fit, taken),
                    8.0 if (name, batch, precision) == ("base", 5, "mixed_bfloat16") else 1.0,
                    limit=f"{median(limit):.3g} TFLOP/s, a matrix product in {kind}",
                    share=quotients(reached, limit),
                )
            )
    return lines


def epoch(scale: Scale) -> list[Line]:
    """Epochs of the whole dataset, in one call each."""
    lines = []
    data = examples(scale.epoch)
    resident, inputs = jax.device_put(data), [data[0][..., None], data[2]]
    for name in scale.networks[:: max(len(scale.networks) - 1, 1)]:
        for batch in scale.steps:
            n = scale.epoch // batch * batch
            run, theirs = Training(name, "mixed_bfloat16", resident), ours(name, "mixed_bfloat16")

            def shuffle_and_run(run: Training = run, batch: int = batch) -> None:
                run(shuffled(scale.epoch, batch))

            fit = partial(theirs.fit, inputs, data[1], batch_size=batch, verbose=0)
            taken, fitting = _measured([shuffle_and_run, fit], scale.rounds)
            what, rate = f"epoch of {name}, batch {batch}, bfloat16", f"{n / median(taken):.4g} images/s"
            compared = f"Keras' `fit` of the same network on arrays: {scale.epoch / median(fitting):.4g} images/s"
            as_many = [n / scale.epoch * each for each in fitting]
            lines.append(Line(what, rate, compared, quotients(as_many, taken), 1.0))
            if (name, batch) == ("base", max(scale.steps)):
                lines.append(_against(what, rate, BASE_TRAINED, n, taken))
    return lines


def embedding(scale: Scale) -> list[Line]:
    """Embeddings, beside `predict` of RGB that is already stacked."""
    lines = []
    lightness = examples(scale.embedded)[0]
    rgb = np.asarray(inception.GrayPhotograph()(lightness))
    networks = {precision: _inception(precision) for precision in KINDS}
    plain = networks["float32"]
    for batch in scale.batches:
        runs = [partial(inception.EmbeddingNetwork(network, batch), lightness) for network in networks.values()]
        *found, predicting = _measured([*runs, partial(plain.predict, rgb, batch, verbose=0)], scale.rounds)
        for kind, taken in zip(KINDS.values(), found, strict=True):
            what, rate = f"embedding, batch {batch}, {kind}", f"{len(rgb) / median(taken):.4g} images/s"
            compared = f"Keras' `predict` on stacked RGB, float32: {len(rgb) / median(predicting):.4g} images/s"
            lines.append(Line(what, rate, compared, quotients(predicting, taken), 1.0))
            if (batch, kind) == (max(scale.batches), "bfloat16"):
                lines.append(_against(what, rate, EMBEDDED, len(rgb), taken))
    return lines


def _inception(precision: Precision) -> keras.Model:
    with backend.policy(precision):
        return inception.build_network(config.Embedding(), None)


def _measured(runs: list[Any], rounds: int) -> list[list[float]]:
    """Seconds of each in turn, after one call of each, which compiles it."""
    for run in runs:
        run()
    return in_turn(*runs, rounds=rounds)


def _against(what: str, rate: str, target: int, n: int, taken: list[float]) -> Line:
    ratio = Ratio.of([n / each / target for each in taken])
    return Line(what, rate, f"{target:,} images/s, which one H100 should reach", ratio, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu-trial", action="store_true", help="run everything small on the CPU; write no file")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="of training-<architecture>, epoch, embedding")
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
    """Measure rows; keep them in the device's file beside its others, or print them."""
    path = RESULTS / f"{re.sub(r'[^a-z0-9]+', '-', device.lower()).strip('-')}.json"
    found = json.loads(path.read_text(encoding="utf-8"))["rows"] if keep and path.exists() else {}
    told = {**machine(), "processor": device, "host": machine()["processor"], "arithmetic": [], **_facts()}
    for row, function in rows.items():
        began = time.monotonic()
        lines = [line.as_json() for line in function()]
        took = round(time.monotonic() - began)
        found[row] = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "seconds": took, "lines": lines}
        print(row, *map(performance.sentence, lines), sep="\n  ", file=sys.stderr, flush=True)
        if keep:
            write(path, {"machine": told, "rows": found})
    if not keep:
        print(json.dumps({"machine": told, "rows": found}))


def _facts() -> dict[str, str]:
    """Versions of what computes, and how exactly JAX multiplies float32 unless told otherwise."""
    factors = [np.random.default_rng(seed).standard_normal((512, 512), np.float32) for seed in (0, 1)]
    exact = np.matmul(*(factor.astype(np.float64) for factor in factors))
    error = np.linalg.norm(np.asarray(keras.ops.matmul(*factors)) - exact) / np.linalg.norm(exact)
    return {"jax": jax.__version__, "keras": keras.__version__, "relative error of a float32 product": f"{error:.1e}"}


if __name__ == "__main__":
    main()

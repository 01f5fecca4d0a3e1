"""Is mixed_bfloat16 as good as float32? Train with the same seeds and epochs in both, on an embedded dataset.

    python -m benchmarks.precision data/photos [--architecture arch3] [--seeds 3] [--epochs 4]

Prints JSON: the validation MSE of each after the last epoch and in the best epoch, and their paired difference with its
95 % interval (Student's t). On a processor without bfloat16 arithmetic, convolutions round their inputs and outputs to
bfloat16 and add in float32, like that arithmetic. The numbers are then those of bfloat16, but the time is not, so it is
not reported.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import THREADS
from pipeline.core import machine
from pipeline.dataset import statistics
from pipeline.images.formats import SIZE
from pipeline.networks import backend

BATCH = 5


def round_in_convolutions() -> None:
    """Make Keras compute bfloat16 convolutions in float32, on rounded values."""
    import keras
    from keras.src.backend.tensorflow import nn

    def rounding(plain):
        def convolution(inputs, kernel, *arguments, **options):
            if inputs.dtype != "bfloat16":
                return plain(inputs, kernel, *arguments, **options)
            wide = (keras.ops.cast(value, "float32") for value in (inputs, kernel))
            return keras.ops.cast(plain(*wide, *arguments, **options), "bfloat16")

        return convolution

    nn.conv, nn.conv_transpose = rounding(nn.conv), rounding(nn.conv_transpose)


def load(folder: Path, every: int) -> dict[str, Any]:
    """Load the training and validation examples, with every n-th pixel of a row and a column."""
    from pipeline.dataset import splits
    from pipeline.storage.layouts import EMBEDDINGS, IMAGES
    from pipeline.storage.store import Store
    from pipeline.training.batches import Examples, load

    images, embeddings = Store(folder / "images.zarr", IMAGES), Store(folder / "embeddings.zarr", EMBEDDINGS)
    table = splits.read(folder / "splits.csv", images.manifest()["fingerprint"])
    partitions = np.array([row["partition"] for row in table])
    rows = {name: np.flatnonzero(partitions == name) for name in ("train", "validation")}
    loaded = load(images, {"embedding": embeddings}, rows)
    return {
        name: Examples(each.lightness[:, ::every, ::every], each.ab[:, ::every, ::every], each.embedded)
        for name, each in loaded.items()
    }


def validation(
    examples: dict[str, Any], architecture: str, rate: float, seed: int, epochs: int, precision: machine.Precision
) -> list[float]:
    """Train as `pipeline.training.train` does and return the validation MSE after each epoch."""
    import keras

    from pipeline.networks import builder
    from pipeline.networks.inputs import names_of
    from pipeline.training.batches import Batches, Shuffling

    with backend.policy(precision):
        model = builder.build(architecture, seed=seed, start_at=statistics.mean_ab_of_images(examples["train"].ab))
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="mse", metrics=[keras.metrics.MeanSquaredError("mse")])
    names = names_of(model)
    batches = Batches(examples["train"], names, BATCH, seed), Batches(examples["validation"], names, BATCH)
    data, validated = map(backend.stream, batches)
    shuffling = Shuffling(batches[0])
    fitted = model.fit(data, validation_data=validated, epochs=epochs, shuffle=False, verbose=0, callbacks=[shuffling])
    return [float(value) for value in fitted.history["val_mse"]]


def compared(by_seed: dict[machine.Precision, Any]) -> dict[str, Any]:
    """Return mean and standard deviation over seeds in each precision, and the mean difference with its interval."""
    from scipy.stats import t

    difference = by_seed["mixed_bfloat16"] - by_seed["float32"]
    half = t.ppf(0.975, len(difference) - 1) * difference.std(ddof=1) / np.sqrt(len(difference))
    summary = {name: {"mean": values.mean(), "between_seeds": values.std(ddof=1)} for name, values in by_seed.items()}
    mean = difference.mean()
    return {**summary, "difference": {"mean": mean, "low": mean - half, "high": mean + half}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="folder with images.zarr, embeddings.zarr and splits.csv")
    parser.add_argument("--architecture", default="arch3")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--every", type=int, default=2, help="use every n-th pixel of a row and a column")
    arguments = parser.parse_args()
    backend.start(THREADS)
    computed = machine.fastest_precision() == "mixed_bfloat16"
    if not computed:
        round_in_convolutions()
    losses: dict[machine.Precision, list[list[float]]] = {"float32": [], "mixed_bfloat16": []}
    examples = load(arguments.dataset, arguments.every)
    name, rate = arguments.architecture, arguments.learning_rate
    for seed in range(arguments.seeds):
        for precision, curves in losses.items():
            curves.append(validation(examples, name, rate, seed, arguments.epochs, precision))
            print(f"seed {seed}, {precision}:", *curves[-1], file=sys.stderr, flush=True)
    curves_of = {precision: np.array(curves) for precision, curves in losses.items()}
    mean = statistics.mean_ab_of_images(examples["train"].ab)
    constant = float(np.mean((examples["validation"].ab - np.array(mean)) ** 2))
    report = {
        "architecture": arguments.architecture,
        "learning_rate": arguments.learning_rate,
        "epochs": arguments.epochs,
        "pixels": f"{SIZE // arguments.every}x{SIZE // arguments.every}",
        "images": {partition: len(each.ab) for partition, each in examples.items()},
        "validation_mse_of_the_mean_colour": constant,
        "bfloat16": "computed" if computed else "rounded",
        "last_epoch": compared({precision: curves[:, -1] for precision, curves in curves_of.items()}),
        "best_epoch": compared({precision: curves.min(axis=1) for precision, curves in curves_of.items()}),
        "by_epoch": losses,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

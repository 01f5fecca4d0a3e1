"""Is mixed_bfloat16 as good as float32? The same seeds and epochs in both, on a dataset that is ingested and embedded.

    python -m benchmarks.precision data/photos [--architecture arch3] [--seeds 4] [--epochs 5]

Prints JSON: the validation MSE of each, and their difference by seed with its 95 % interval (Student's t). On a
processor without bfloat16 arithmetic, convolutions round what they are given and what they return to bfloat16 and add
up in float32, as such arithmetic does: the numbers are those of bfloat16, the time is not, and none is told.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import THREADS
from pipeline import backend, config, hardware


def round_in_convolutions() -> None:
    """Have Keras compute bfloat16 convolutions in float32, between rounded values."""
    import keras
    from keras.src.backend.tensorflow import nn

    plain = nn.conv

    def conv(inputs, kernel, *arguments, **options):
        if inputs.dtype != "bfloat16":
            return plain(inputs, kernel, *arguments, **options)
        wide = (keras.ops.cast(value, "float32") for value in (inputs, kernel))
        return keras.ops.cast(plain(*wide, *arguments, **options), "bfloat16")

    nn.conv = conv


def validation(folder: Path, name: str, epochs: int, precision: hardware.Precision) -> list[float]:
    """Validation MSE after each epoch."""
    from pipeline import files, training
    from pipeline.runs import Run
    from pipeline.stores import EMBEDDINGS, IMAGES, Store

    stores = Store(folder / "images.zarr", IMAGES), Store(folder / "embeddings.zarr", EMBEDDINGS)
    settings = config.Training(epochs=epochs, precision=precision)
    with tempfile.TemporaryDirectory() as place, backend.policy(precision):
        training.train(Run.parse(name), *stores, folder / "splits.csv", Path(place), settings)
        rows = files.read_csv(Path(place) / "history.csv", ("val_mse",))
    return [float(row["val_mse"]) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="the folder with images.zarr, embeddings.zarr and splits.csv")
    parser.add_argument("--architecture", default="arch3")
    parser.add_argument("--learning-rate", default="1e-3")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    backend.start(THREADS)
    computed = hardware.fastest_precision() == "mixed_bfloat16"
    if not computed:
        round_in_convolutions()
    found: dict[str, list[list[float]]] = {"float32": [], "mixed_bfloat16": []}
    for seed in range(1, arguments.seeds + 1):
        for precision in found:
            name = f"{arguments.architecture}_lr{arguments.learning_rate}_s{seed}"
            found[precision].append(validation(arguments.dataset, name, arguments.epochs, precision))
            print(name, precision, found[precision][-1], file=sys.stderr, flush=True)
    from scipy.stats import t

    last = {precision: np.array(curves)[:, -1] for precision, curves in found.items()}
    difference = last["mixed_bfloat16"] - last["float32"]
    n = len(difference)
    half = t.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n)
    told = {
        "architecture": arguments.architecture,
        "learning_rate": arguments.learning_rate,
        "epochs": arguments.epochs,
        "bfloat16": "computed" if computed else "rounded",
        "validation_mse": {
            precision: {"mean": values.mean(), "between_seeds": values.std(ddof=1), "by_seed": values.tolist()}
            for precision, values in last.items()
        },
        "difference": {"mean": difference.mean(), "low": difference.mean() - half, "high": difference.mean() + half},
        "by_epoch": found,
    }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()

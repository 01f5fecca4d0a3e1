"""Keras trains and embeds on JAX as on TensorFlow, within the tolerances stated here, and the GPU benchmark runs.

Both backends start from equal weights, because `keras.initializers` draw differently from one seed on each.
"""

import json
import os

import numpy as np
import pytest
from tiny import photographs, python
from tiny_training import DOT_RUN, PARAMETERS, assert_same, history

BACKENDS = ("tensorflow", "jax")
TRAIN = """
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, "tests")
from tiny import DOT, Dataset
from tiny_training import Interrupted, StopsAfter

from pipeline.networks import backend
from pipeline.config import schema

backend.start(2)
import keras
import numpy as np

from pipeline.networks import builder
from pipeline.embedding import network as networks
from pipeline.training import train
from pipeline.config.runs import Run

QUARTER = {"quarter": schema.Architecture(encoder="4/2 4/2 4/2", fusion="1x1:4", decoder="^ 1x1:313", head="classes")}
build = builder.build


def build_with_weights_of_numpy(*arguments, **options):
    model = build(*arguments, **options)
    networks.randomize(model, seed=0)
    np.savez(directory / "start.npz", *model.get_weights())
    return model


builder.build = build_with_weights_of_numpy
dataset = Dataset(Path(sys.argv[1]))
for call in sys.argv[3:]:
    if call == "resident":  # as on a GPU: examples on the device, and calls of two steps with two examples each
        from pipeline.training import on_device

        backend.device_room = lambda: 2**40
        on_device.IMAGES_PER_CALL = 4
        continue
    place, name, epochs, *stop = call.split()
    directory = Path(sys.argv[2]) / place
    directory.mkdir(parents=True, exist_ok=True)
    keras.utils.clear_session()
    given = json.loads(os.environ.get("TRAINING", "{}"))
    settings = schema.Training(epochs=int(epochs), checkpoint_seconds=0.0 if stop else 1e6, **given)
    options = {"more_architectures": DOT | QUARTER, "progress": StopsAfter(int(stop[0])) if stop else None}
    try:
        train.train(Run.parse(name), *dataset.sources, directory, settings, **options)
    except Interrupted:
        assert stop
    else:
        assert not stop
"""
FIVE_STEPS = "dot_lr1e-3_l2-1e-3_bs2"  # 9 training images, the last one alone in its batch; 3 to validate
EMBED = """
import sys
from pathlib import Path

from pipeline.networks import backend
from pipeline.config import schema

backend.start(2)
import numpy as np

from pipeline.embedding import network as networks

folder, out = map(Path, sys.argv[1:])
network = networks.load(schema.Embedding(batch_size=4), folder / "embedding_network.weights.h5")
np.save(out, network(np.load(folder / "lightness.npy"))["embedding"])
"""
WITHOUT_TENSORFLOW = """
import runpy
import sys

for absent in ("tensorflow", "zarr", "dask"):
    sys.modules[absent] = None  # makes its import fail
runpy.run_module("benchmarks.gpu", run_name="__main__")
"""


def run_on(keras_backend, worker, *arguments):
    done = python("-c", worker, *arguments, env={**os.environ, "KERAS_BACKEND": keras_backend})
    assert done.returncode == 0, done.stderr


def arrays(path, prefix=""):
    with np.load(path) as found:
        return [found[name].astype(np.float64) for name in found.files if name.startswith(prefix)]


def apart(one, two):
    """The Euclidean distance between two arrays, relative to the norm of the second."""
    return np.linalg.norm(one - two) / np.linalg.norm(two)


def updates(run):
    """The change of each kernel and bias in training."""
    return [b - a for a, b in zip(arrays(run / "start.npz"), arrays(run / "checkpoint.npz", "model/"), strict=True)]


def gradients(run):
    """Adam's first moments; after a single step, a tenth of the gradient."""
    _, _, *moments = arrays(run / "checkpoint.npz", "optimizer/")  # steps and learning rate, then two per variable
    return moments[::2]


def assert_alike(found, expected, tolerance):
    assert len(found) == len(expected)
    assert all(np.linalg.norm(array) > 0 for array in expected)
    assert max(map(apart, found, expected)) < tolerance


def assert_same_history(found, expected, tolerance):
    for one, two in zip(history(found), history(expected), strict=True):
        assert one == pytest.approx(two, rel=tolerance)


@pytest.mark.slow
def test_jax_trains_like_tensorflow_with_one_or_more_steps_per_call(prepared, tmp_path):
    run_on("tensorflow", TRAIN, prepared.folder, tmp_path, f"expected {FIVE_STEPS} 2")
    run_on("jax", TRAIN, prepared.folder, tmp_path, f"steps {FIVE_STEPS} 2", "resident", f"calls {FIVE_STEPS} 2")
    for place, at_once in (("steps", 1), ("calls", 2)):
        summary = json.loads((tmp_path / place / "training.json").read_text())
        assert (summary["backend"]["keras"], summary["steps_per_call"]) == ("jax", at_once)
        assert_alike(updates(tmp_path / place), updates(tmp_path / "expected"), 1e-5)
        assert_same_history(tmp_path / place, tmp_path / "expected", 1e-6)


@pytest.mark.long
def test_jax_trains_classes_with_a_schedule_and_mirrored_images_like_tensorflow(prepared, tmp_path, monkeypatch):
    options = {"optimizer": "adamw", "schedule": "cosine", "warmup_epochs": 0.5, "clip_norm": 1.0, "mirror": True}
    options["ema_decay"] = 0.7
    monkeypatch.setenv("TRAINING", json.dumps(options))
    run_on("tensorflow", TRAIN, prepared.folder, tmp_path, "expected quarter_lr1e-3_bs2 2")
    run_on("jax", TRAIN, prepared.folder, tmp_path, "resident", "calls quarter_lr1e-3_bs2 2")
    assert_same_history(tmp_path / "calls", tmp_path / "expected", 1e-5)


@pytest.mark.long
def test_a_run_resumes_to_the_same_bits_on_jax_after_any_call(prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINING", json.dumps({"ema_decay": 0.7}))
    parts = [f"parts {FIVE_STEPS} 2 {steps}" for steps in (1, 2, 1, 2)]
    calls = ("resident", f"whole {FIVE_STEPS} 2", *parts, f"parts {FIVE_STEPS} 2")
    run_on("jax", TRAIN, prepared.folder, tmp_path, *calls)
    assert_same(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.long
def test_a_run_resumes_to_the_same_bits_on_jax(prepared, tmp_path):
    run_on("jax", TRAIN, prepared.folder, tmp_path, f"whole {DOT_RUN} 2", f"parts {DOT_RUN} 1", f"parts {DOT_RUN} 2")
    assert_same(tmp_path / "parts", tmp_path / "whole")


# Rounding decides some signs before a ReLU: gradients of base differ by up to 1.5e-3 from float64's on both backends.
# Adam's first steps follow the gradient's sign, which rounding decides where the gradient is nearly zero.
@pytest.mark.long
@pytest.mark.parametrize(("name", "gradient", "update"), [("arch3", 1e-4, 0.01), ("base", 5e-3, 0.1)])
def test_jax_trains_the_papers_networks_like_tensorflow(prepared, tmp_path, name, gradient, update):
    calls = f"step {name}_lr1e-4_bs9 1", f"epochs {name}_lr1e-4 2"  # 9 training images
    for keras_backend in BACKENDS:
        run_on(keras_backend, TRAIN, prepared.folder, tmp_path / keras_backend, *calls)
    expected, found = (tmp_path / keras_backend for keras_backend in BACKENDS)
    assert_alike(gradients(found / "step"), gradients(expected / "step"), gradient)
    assert_alike(updates(found / "epochs"), updates(expected / "epochs"), update)
    assert_same_history(found / "epochs", expected / "epochs", 1e-4)


@pytest.mark.long
def test_jax_embeds_like_tensorflow(tmp_path):
    np.save(tmp_path / "lightness.npy", photographs(4)[0])
    for keras_backend in BACKENDS:  # the first backend writes the random network's file, the second reads it
        run_on(keras_backend, EMBED, tmp_path, tmp_path / keras_backend)
    expected, found = (np.load(tmp_path / f"{keras_backend}.npy") for keras_backend in BACKENDS)
    assert expected.std(axis=0).mean() > 0.05
    assert np.abs(found - expected).max() < 1e-4 * expected.std(axis=0).mean()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["arch3", pytest.param("base", marks=pytest.mark.long)])
def test_the_printed_network_is_ours_with_the_embedding_tiled(keras, name):
    from benchmarks.networks import ours, printed, tiled

    one, two = ours(name), printed(name)
    assert one.count_params() == two.count_params() == PARAMETERS[name]
    draws = np.random.default_rng(0)
    one.set_weights([weight + draws.normal(0, 0.02, weight.shape) for weight in one.get_weights()])
    two.set_weights(one.get_weights())
    (lightness, ab), embedding = photographs(2), draws.normal(size=(2, 1000)).astype(np.float32)
    lightness = lightness[..., None]
    answer = one.predict_on_batch([lightness, embedding])
    assert answer.std() > 0.1
    np.testing.assert_allclose(two.predict_on_batch([lightness, tiled(embedding)]), answer, rtol=1e-4, atol=1e-4)
    for _ in range(2):
        found = two.train_on_batch([lightness, tiled(embedding)], ab)
        assert found == pytest.approx(one.train_on_batch([lightness, embedding], ab), rel=1e-5)


@pytest.mark.slow
def test_without_a_gpu_nothing_is_measured():
    done = python("-m", "benchmarks.gpu", env={**os.environ, "JAX_PLATFORMS": "cpu"})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1 and "GPU" in done.stderr


@pytest.mark.parametrize(
    ("row", "lines"),
    [
        pytest.param("training-arch3", 2, marks=pytest.mark.long),
        pytest.param("epoch", 1, marks=pytest.mark.long),
        pytest.param("embedding", 3, marks=pytest.mark.long),
    ],
)
def test_the_gpus_benchmark_runs_on_the_cpu_without_tensorflow(row, lines):
    done = python("-c", WITHOUT_TENSORFLOW, "--cpu-trial", row)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["rows"].values()
    assert len(found["lines"]) == lines
    assert all(line["ratio"]["median"] > 0 for line in found["lines"])

"""A head, inputs and an embedding network from outside the package, from training to an exported file."""

import csv
import json
import sys
from unittest import mock

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from tiny import gray_photograph, make_dataset, refused

from pipeline.core import plugins
from pipeline.embedding import registry
from pipeline.networks import heads, inputs
from stages.__main__ import main

RUN = "mine_lr1e-3_bs4"
PLUGIN = '''
from pipeline.embedding import registry
from pipeline.networks import heads, inputs


def loss(ab, predicted):
    from keras import ops

    return ops.mean(ops.abs((ab - 128.0) / 110.0 - predicted), axis=(1, 2, 3))


def decode():
    from keras import layers

    return [layers.Rescaling(110.0, 128.0, name="ab")]


def build(weights, activation):
    import keras

    picture = keras.Input((32, 32, 3))
    grid = keras.layers.Conv2D(3, 8, 8, name="map")(picture)
    pooled = keras.layers.GlobalAveragePooling2D()(grid)
    return keras.Model(picture, {"embedding": keras.layers.Dense(6)(pooled), "map": grid})


heads.register(heads.Head("softer", 2, "tanh", loss, decode))
inputs.register(inputs.Input("level", (1,), "float32", lambda given: given.lightness[:, :1, 0] / 255.0))
inputs.register(inputs.Input("centre", (3,), "float32", lambda given: given.embedded["map"][:, 2, 2], stored=("map",)))
registry.register(registry.Entry(
    name="toy", label="Toy", build=build, preprocess=lambda levels: levels / 255.0, preprocessing="x / 255", side=32,
    outputs={"embedding": (6,), "map": (4, 4, 3)}, flops=1e5, parameters=600,
))
'''  # fmt: skip
CONFIG = {
    "dataset": "tiny",
    "datasets": {"tiny": {"kind": "kaggle", "path": "data/tiny-archive"}},
    "images_per_shard": 8,
    "embedding": {"network": "toy", "weights": "random"},
    "training": {"epochs": 2},
    "evaluation": {"pictures": 2, "recognition": None},
    "architectures": {
        "mine": {
            "encoder": "4/2 4/2 4/2", "fusion": "1x1:4", "decoder": "4 ^ 4 ^ 2 ^", "head": "softer",
            "inputs": ["L", "level", "centre", "embedding"],
        }
    },
}  # fmt: skip


@pytest.fixture
def call(keras, tmp_path, monkeypatch):
    """Call a stage in-process with the plugin; remove what it registers after the test."""
    (tmp_path / "deepcolor_toys.py").write_text(PLUGIN)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(CONFIG))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "deepcolor_toys", raising=False)
    monkeypatch.setenv(plugins.VARIABLE, "deepcolor_toys")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEEPCOLOR_CONFIG", raising=False)
    keras.utils.clear_session(free_memory=False)

    def call(*arguments, config=True, refusal=""):
        given = [*map(str, arguments), *(("--config", "mine.yaml") if config else ())]
        result = CliRunner().invoke(main, given, prog_name="python -m stages")
        if refusal:
            refused(result, refusal)
        else:
            assert result.exit_code == 0, result.stderr or result.exception
        return result

    with mock.patch.dict(heads.HEADS), mock.patch.dict(inputs.INPUTS), mock.patch.dict(registry.ENTRIES):
        yield call


@pytest.mark.slow
@pytest.mark.usefixtures("unsaved")
def test_toys_of_ones_own_are_trained_evaluated_used_and_exported(call, tmp_path):
    make_dataset(tmp_path / "data" / "tiny")
    call("embed", "--replace")
    call("train", RUN, refusal="features.json")
    call("features", "grid", refusal="expected one of the maps map, received grid")
    call("features", "map")
    call("baselines")
    call("train", RUN)
    with (tmp_path / "models" / RUN / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(float(row["loss"]) < 5 < float(row["mse"]) for row in rows)  # of what it predicts, and of ab
    settings = json.loads((tmp_path / "models" / RUN / "settings.json").read_text())
    assert settings["architecture"] == CONFIG["architectures"]["mine"]

    call("evaluate", RUN)
    run = tmp_path / "results" / RUN
    with (run / "metrics.csv").open() as file:
        scores = {
            (row["partition"], row["metric"]): float(row["value"])
            for row in csv.DictReader(file) if row["answer"] == "model"
        }  # fmt: skip
    assert scores["validation", "mse"] == pytest.approx(min(float(row["val_mse"]) for row in rows), rel=1e-4)
    assert 0 < scores["test", "ciede2000"] < 60

    Image.fromarray(gray_photograph(70, 90)).save(tmp_path / "gray.png")
    call("colorize", "gray.png", "--run", run, "--out", "coloured", config=False)
    with Image.open(tmp_path / "coloured" / "gray.png") as coloured:
        assert np.asarray(coloured.convert("RGB"), int).shape == (70, 90, 3)
        assert np.ptp(np.asarray(coloured.convert("RGB"), int), axis=-1).max() > 0

    for target, options in (("saved_model", ()), ("onnx", ("--embedding", "input"))):
        call("export", run, "--to", target, *options, config=False)
    told = json.loads((tmp_path / "exports" / f"{RUN}_embedding-input.onnx.json").read_text())
    assert set(told["inputs"]) == {"lightness", "embedding", "map"}
    assert told["check"]["largest_difference"] < 0.01

"""The network `color` on feature maps of EfficientNet-Lite0: from photographs to exported files, by the commands."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from tiny import ROOT, gray_photograph, make_dataset, refused

from pipeline.config import schema
from pipeline.storage.layouts import FEATURES
from pipeline.storage.store import Store
from stages.__main__ import main

RUN = "color"
EXPERIMENT = {
    "architecture": "color", "learning_rate": 2e-3, "l2": 0, "batch_size": 4,
    "training": {"epochs": 2, "mirror": True, "optimizer": "adamw"},
}  # fmt: skip
CONFIG = {
    "dataset": "tiny",
    "datasets": {"tiny": {"kind": "kaggle", "path": "data/tiny-archive"}},
    "images_per_shard": 8,
    "evaluation": {"pictures": 2, "recognition": None},
    "experiments": {RUN: EXPERIMENT},
}

pytestmark = pytest.mark.usefixtures("unsaved")


@pytest.fixture
def call(keras, tmp_path, monkeypatch):
    make_dataset(tmp_path / "data" / "tiny", n=6, split=schema.Split(train=0.34, validation=0.33, test=0.33))
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(CONFIG))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEEPCOLOR_CONFIG", raising=False)

    def call(*arguments, config=True):
        given = [*map(str, arguments), *(("--config", "mine.yaml") if config else ())]
        return CliRunner().invoke(main, given, prog_name="python -m stages")

    return call


@pytest.mark.slow
def test_color_is_trained_on_maps_used_and_published(call, tmp_path):
    for stage in (["features"], ["baselines"], ["train", RUN], ["evaluate", RUN]):
        result = call(*stage)
        assert result.exit_code == 0, result.output
    store = Store(tmp_path / "data" / "tiny" / "features.zarr", FEATURES)
    assert {array.name: array.dtype for array in store.arrays} == dict.fromkeys(
        ("map_56", "map_28", "map_14", "map_7"), "float16"
    )
    history = np.genfromtxt(tmp_path / "models" / RUN / "history.csv", delimiter=",", names=True)
    assert history["loss"][-1] < history["loss"][0]
    run = tmp_path / "results" / RUN
    assert "EfficientNet-Lite0, ImageNet" in (run / "model-card.md").read_text()

    Image.fromarray(gray_photograph(150, 300)).save("gray.png")
    result = call("colorize", "gray.png", "--run", run, "--out", "coloured", "--temperature", "0.2", config=False)
    assert result.exit_code == 0, result.output
    with Image.open("coloured/gray.png") as coloured:
        rgb = np.asarray(coloured.convert("RGB"), int)
    assert rgb.shape == (150, 300, 3) and np.ptp(rgb, axis=-1).mean() > 0

    result = call("export", run, "--to", "onnx", config=False)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "exports" / f"{RUN}.onnx.json").read_text())
    assert record["inputs"] == {"lightness": "(batch, 224, 224) uint8: L in 8-bit units, 0..255"}
    assert record["check"]["largest_difference"] < 0.01

    result = call("publish", run, "--out", "published", config=False)
    assert result.exit_code == 0, result.output
    refused(call("publish", run, "--out", "published", config=False), "published", "--replace")
    refused(call("publish", run, "--out", "coloured", "--replace", config=False), "coloured", "--out")
    assert (tmp_path / "published" / "network.onnx").stat().st_size <= 12e6
    without = "import sys; sys.modules.update(keras=None, tensorflow=None, onnx=None)"
    code = f"{without}; from stages.__main__ import main; main()"
    options = ["--run", "published", "--out", "without", "--temperature", "0.2"]
    command = [sys.executable, "-c", code, "colorize", "gray.png", *options]
    private = tmp_path / "private"
    private.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(private), "TMPDIR": str(private)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert list(private.rglob("*")) == []  # ONNX Runtime's telemetry would leave an identifier
    with Image.open("without/gray.png") as coloured:
        assert np.abs(np.asarray(coloured.convert("RGB"), int) - rgb).max() <= 6
    for wrong in (["--temperature", "0"], ["--size", "256"]):
        refused(call("colorize", "gray.png", "--run", "published", "--out", "x", *wrong, config=False), wrong[0])
    network = tmp_path / "published" / "network.onnx"
    network.write_bytes(network.read_bytes()[:-1])
    refused(call("colorize", "gray.png", "--run", "published", "--out", "x", config=False), "network.onnx")


def test_color_without_the_embedding_network_is_refused(call):
    refused(call("train", "color_lr1e-3_noembed"), "map_7", "_noembed")

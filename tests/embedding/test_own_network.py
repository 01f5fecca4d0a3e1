"""A custom embedding network, registered by a module in DEEPCOLOR_PLUGINS, works in every stage."""

import json
import sys
from unittest import mock

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from tiny import DOT, gray_photograph, photographs, refused, write_kaggle

from pipeline.config import schema
from pipeline.core import plugins
from pipeline.embedding import embed, registry
from pipeline.storage.layouts import EMBEDDINGS, IMAGES
from pipeline.storage.store import Store
from stages.__main__ import main

pytestmark = pytest.mark.usefixtures("unsaved")
RUN = "dot_lr1e-3_bs4"
# Three layers, its own side and preprocessing, an embedding of 24 numbers and one feature map.
TOY = """
from pipeline.embedding import registry


def build(weights, activation):
    import keras

    photograph = keras.Input((32, 32, 3))
    seen = keras.layers.Conv2D(6, 5, strides=4, padding="same", activation="relu")(photograph)
    pooled = keras.layers.GlobalAveragePooling2D()(seen)
    return keras.Model(photograph, {"embedding": keras.layers.Dense(24)(pooled), "seen": seen})


registry.register(
    registry.Entry(
        name="toy", label="Toy", build=build, preprocess=lambda levels: levels / 255.0, preprocessing="x / 255",
        side=32, outputs={"embedding": (24,), "seen": (8, 8, 6)}, flops=1e5, parameters=624,
    )
)
"""


@pytest.fixture
def call(keras, tmp_path, monkeypatch):
    """Call a stage in a folder with photographs, a configuration that names the network, and its module."""
    (tmp_path / "deepcolor_toy.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(plugins.VARIABLE, "deepcolor_toy")
    monkeypatch.delitem(sys.modules, "deepcolor_toy", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEEPCOLOR_CONFIG", raising=False)
    source = write_kaggle(tmp_path / "archive", *photographs(15), [7])
    values = {
        "dataset": "tiny", "datasets": {"tiny": source.model_dump()}, "images_per_shard": 8,
        "embedding": {"network": "toy", "weights": "random", "batch_size": 4},
        "architectures": {name: architecture.model_dump() for name, architecture in DOT.items()},
        "training": {"epochs": 1}, "evaluation": {"pictures": 1, "recognition": None},
    }  # fmt: skip
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values))

    def call(stage, *arguments, configured=True):
        config = ["--config", "tiny.yaml"] if configured else []
        return CliRunner().invoke(main, [stage, *map(str, arguments), *config])

    with mock.patch.dict(registry.ENTRIES):
        yield call


@pytest.mark.slow
def test_a_custom_embedding_network_works_in_every_stage(call, tmp_path):
    for stage in (["ingest"], ["embed"], ["split"], ["baselines"], ["train", RUN], ["evaluate", RUN]):
        result = call(*stage)
        assert result.exit_code == 0, result.output
    store = Store(tmp_path / "data" / "tiny" / "embeddings.zarr", EMBEDDINGS)
    settings = store.manifest()["settings"]
    assert (settings["network"], "32x32" in settings["preprocessing"]) == ("toy", True)
    assert store.array("embedding").shape == (15, 24) and [array.name for array in store.arrays] == ["embedding"]
    assert "Toy, RANDOM" in (tmp_path / "results" / RUN / "metrics.csv").read_text()
    assert "(batch, 24)" in (tmp_path / "results" / RUN / "model-card.md").read_text()

    gray = gray_photograph(60, 90)
    Image.fromarray(gray).save("gray.png")
    result = call("colorize", "gray.png", "--run", f"results/{RUN}", "--out", "coloured", configured=False)
    assert result.exit_code == 0, result.output
    assert np.asarray(Image.open("coloured/gray.png")).shape == (60, 90, 3)
    for form in (["--to", "saved_model"], ["--to", "saved_model", "--embedding", "input"]):
        result = call("export", f"results/{RUN}", *form, configured=False)
        assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "exports" / f"{RUN}_embedding-input.json").read_text())
    assert written["inputs"]["embedding"].startswith("(batch, 24) float32")


def test_without_its_module_the_network_is_refused(call, monkeypatch):
    monkeypatch.setenv(plugins.VARIABLE, "")
    assert call("ingest").exit_code == 0
    refused(call("embed"), "embedding.network", "inception_resnet_v2", "'toy'")


def test_feature_maps_are_stored_with_the_embedding_on_request(call, tmp_path):
    assert call("ingest").exit_code == 0
    images = Store(tmp_path / "data" / "tiny" / "images.zarr", IMAGES)
    store = Store(tmp_path / "maps" / "embeddings.zarr", EMBEDDINGS)
    options = {"outputs": ("embedding", "seen"), "scheduler": "synchronous"}
    assert embed.embed(images, store, schema.Embedding(network="toy", weights="random"), **options) == 2
    assert embed.embed(images, store, schema.Embedding(network="toy", weights="random"), **options) == 0
    assert store.manifest()["settings"]["outputs"] == ["embedding", "seen"]
    seen = store.read("seen", 0, 15)
    assert (seen.shape, seen.dtype) == ((15, 8, 8, 6), np.float16)
    pooled = seen.astype(float).mean(axis=(1, 2))
    assert np.linalg.matrix_rank(np.c_[pooled, np.ones(15)]) == np.linalg.matrix_rank(
        np.c_[pooled, np.ones(15), store.read("embedding", 0, 15)], tol=1e-2
    )  # the embedding is a linear function of the pooled map
    store.shard_file("seen", 1).unlink()
    assert embed.embed(images, store, schema.Embedding(network="toy", weights="random"), **options) == 1

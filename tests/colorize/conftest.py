"""Photographs, and exports of a small run, for several files of tests."""

from functools import cache

import pytest
import yaml
from PIL import Image
from tiny import INCEPTION, gray_photograph

from pipeline.colorize import export
from pipeline.config import schema
from pipeline.core import files

# Kernels of at least 1024 numbers are stored as int8.
SMALL = {"small": schema.Architecture(encoder="8/2 16/2 16/2", fusion="1x1:16", decoder="16 ^ 4 ^ 2 ^")}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    for number, name in enumerate(["a.png", "b.jpg", "sub/a.png"]):
        Image.fromarray(gray_photograph(40, 60, number)).save(root / name)
    return root


@pytest.fixture(scope="session")
def embed(_started):
    """An embedding network of one convolution."""
    import keras

    from pipeline.embedding.network import EmbeddingNetwork

    layers = [
        keras.Input((299, 299, 3)),
        keras.layers.Conv2D(8, 7, strides=5, activation="relu", kernel_initializer=keras.initializers.HeNormal(1)),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(1000, kernel_initializer=keras.initializers.HeNormal(2)),
    ]
    return EmbeddingNetwork(INCEPTION, keras.Sequential(layers), 1)


@pytest.fixture(scope="session")
def make_run(_started):
    """Makes ``results/<run>/`` of a network with strong colours that vary."""
    from pipeline.networks import builder, saving

    def make(folder, *, embedding=True):
        model = builder.build("small", seed=3, start_at=(150.0, 160.0), embedding=embedding, architectures=SMALL)
        model.get_layer("ab").kernel.assign(10 * model.get_layer("ab").kernel)
        saving.save(model, folder / "model.keras")
        record = {
            "run": folder.name,
            "embedding": {"network": INCEPTION.record, "weights": "random", "activation": "logits"}
            if embedding
            else {"weights": "none"},
            "embedding_weights": None,
            "fingerprints": {"images": "abc"},
        }
        (folder / "run.yaml").write_text(yaml.safe_dump(record))
        files.write_listing(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def run(make_run, tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("made") / "results" / "base_lr1e-4")


@pytest.fixture
def small_export(request, monkeypatch):
    """Exports with `embed` as the embedding network, checked on two photographs."""
    from pipeline.embedding import of_run

    def load(folder, record, weights, outputs):
        return None if record["embedding"]["weights"] == "none" else request.getfixturevalue("embed")

    monkeypatch.setattr(of_run, "load", load)
    monkeypatch.setattr(export, "PHOTOGRAPHS", 2)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Exports `run` in a form, once; returns the file or folder."""
    folder = tmp_path_factory.mktemp("exports")

    @cache
    def made(run, form):
        path = folder / files.digest_bytes(str(run).encode())[:8] / "exports" / form.default_path(run).name
        export.export(run, path, form)
        return path

    return made

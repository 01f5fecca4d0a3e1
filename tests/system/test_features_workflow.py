"""The workflow computes feature maps for the runs that read them, and for no others."""

import shutil

import pytest
import yaml
from flow import RUN, Workflow
from tiny import python, tree

from pipeline.storage.layouts import FEATURES
from pipeline.storage.store import Store

FINE, COARSE = "fine-dot_lr1e-3_bs4", "coarse-dot_lr1e-3_bs4"
PLUGIN = """
from pipeline.embedding import registry
from pipeline.networks import inputs


def build(weights, activation):
    import keras

    photograph = keras.Input((32, 32, 3))
    fine = keras.layers.Conv2D(5, 3, strides=2, padding="same", activation="relu")(photograph)
    coarse = keras.layers.Conv2D(7, 3, strides=2, padding="same")(fine)
    vector = keras.layers.Dense(6)(keras.layers.GlobalAveragePooling2D()(coarse))
    return keras.Model(photograph, {"embedding": vector, "fine": fine, "coarse": coarse})


registry.register(registry.Entry(
    name="toy", label="Toy", build=build, preprocess=lambda levels: levels / 255.0, preprocessing="x / 255", side=32,
    outputs={"embedding": (6,), "fine": (16, 16, 5), "coarse": (8, 8, 7)}, flops=1e5, parameters=600,
))
inputs.register(inputs.Input("corner", (5,), "float32", lambda batch: batch.embedded["fine"][:, 0, 0], ("fine",)))
inputs.register(inputs.Input("centre", (7,), "float32", lambda batch: batch.embedded["coarse"][:, 4, 4], ("coarse",)))
"""


@pytest.fixture
def workflow(tmp_path, monkeypatch):
    (tmp_path / "deepcolor_maps.py").write_text(PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("DEEPCOLOR_PLUGINS", "deepcolor_maps")
    flow = Workflow(tmp_path)
    values = yaml.safe_load(flow.configfile.read_text())
    dot = values["architectures"]["dot"]
    for name, more in (("fine-dot", "corner"), ("coarse-dot", "centre")):
        values["architectures"][name] = {**dot, "inputs": ["L", more, "embedding"]}
    values |= {"embedding": {"network": "toy", "weights": "random"}, "training": {"epochs": 1}}
    flow.configfile.write_text(yaml.safe_dump(values))
    return flow


def test_maps_follow_the_requested_runs(workflow):
    def train(*runs, more=()):
        targets = [workflow.result(run).parents[1] / "models" / run / "training.json" for run in runs]
        return workflow(*targets, "--configfile", workflow.configfile, *more)

    data = workflow.folder / "data" / "tiny"

    def maps():
        return sorted(array.name for array in Store(data / "features.zarr", FEATURES).arrays)

    assert workflow.jobs(train(RUN, more=["-n"])) == {"ingest", "embed", "split", "train"}
    both = train(FINE, COARSE, more=["-n", "-p"])
    assert "features" in workflow.jobs(both) and "python -m stages features fine coarse" in both
    assert {"embed", "features", "train"} <= workflow.jobs(train(COARSE))
    assert maps() == ["coarse"]
    embeddings, run = tree(data / "embeddings.zarr"), tree(workflow.places.model(COARSE))
    assert "Nothing to be done" in train(COARSE)

    assert workflow.jobs(train(FINE)) == {"features", "train"}
    assert maps() == ["coarse", "fine"] and tree(data / "embeddings.zarr") == embeddings
    train(COARSE)  # finds its maps as they were
    after = tree(workflow.places.model(COARSE))
    assert {name for name in run if after[name] != run[name]} <= {"times.csv"}
    assert "Nothing to be done" in train(COARSE, FINE)
    assert "Nothing to be done" in train(COARSE)

    whole = tree(data / "features.zarr")
    path = Store(data / "features.zarr", FEATURES).shard_file("fine", 1)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    found = python("-m", "stages", "verify", data)
    assert found.returncode == 1 and found.stdout.startswith(f"{path} (images 8 to 14): damaged")
    assert "(1 written)" in train(FINE) and tree(data / "features.zarr") == whole
    shutil.rmtree(data / "features.zarr" / "coarse")
    assert "features" in workflow.jobs(train(COARSE)) and tree(data / "features.zarr") == whole


def test_a_job_of_its_own_process_gets_the_maps_from_the_environment(workflow, monkeypatch):
    assert "python -m stages features fine coarse 2>" in workflow.run("-n", "-p", target="features")
    monkeypatch.setenv("DEEPCOLOR_MAPS", "fine")
    assert "python -m stages features fine 2>" in workflow.run("-n", "-p", target="features")


def test_a_run_whose_network_has_no_such_map_is_refused_before_any_work(workflow):
    printed = workflow.run(
        "--config", "embedding={network: inception_resnet_v2}", target=workflow.result(FINE), status=2
    )
    (error,) = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert "Inception-ResNet-v2" in error and not (workflow.folder / "data").exists()

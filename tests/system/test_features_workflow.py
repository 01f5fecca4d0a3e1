"""The workflow computes feature maps for the runs that read them, and for no others."""

import shutil
from pathlib import Path

import pytest
import yaml
from flow import RUN, Workflow
from tiny import python, tree
from toy_maps import ARCHITECTURES

from pipeline.storage.layouts import FEATURES
from pipeline.storage.store import Store

FINE, COARSE = "fine-dot_lr1e-3_bs4", "coarse-dot_lr1e-3_bs4"


@pytest.fixture
def workflow(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setenv("DEEPCOLOR_PLUGINS", "toy_maps_plugin")
    flow = Workflow(tmp_path)
    values = yaml.safe_load(flow.configfile.read_text())
    values["architectures"] |= {name: each.model_dump() for name, each in ARCHITECTURES.items()}
    values |= {"embedding": {"network": "toy", "weights": "random"}, "training": {"epochs": 1}}
    flow.configfile.write_text(yaml.safe_dump(values))
    return flow


@pytest.mark.long
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
    assert {name for name in run if after[name] != run[name]} <= {"times.csv", "predicting_times.csv"}
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

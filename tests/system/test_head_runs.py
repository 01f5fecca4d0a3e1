"""Every head from training to an exported file: a toy run each, by the commands."""

import csv
import json
import shutil

import numpy as np
import pytest
import yaml
from commands import invoke, prepared
from PIL import Image
from tiny import gray_photograph, refused

from pipeline.core import files
from pipeline.images import ab_bins, lab

LAYERS = {"encoder": "4/2 4/2 4/2", "fusion": "1x1:4"}
# Absolute and robust differ from the usual head only in their loss: tests/colorize/test_export.py exports that network.
EXPORTED = ("bounded", "vivid")
EXPERIMENT = {"learning_rate": 1e-2, "batch_size": 4, "l2": 0, "embedding": False}
HEADS = {
    "absolute": {"name": "regression", "loss": "l1"},
    "robust": {"name": "regression", "loss": "huber", "delta": 5},
    "bounded": {"name": "tanh", "loss": "l1"},
    "vivid": {"name": "classes", "temperature": 0.5, "power": 0.5},
}
CONFIG = {
    "dataset": "tiny",
    "datasets": {"tiny": {"kind": "kaggle", "path": "data/tiny-archive"}},
    "images_per_shard": 8,
    "training": {"epochs": 2, "start_at": "mean", "schedule": "cosine", "mirror": True},
    "evaluation": {"pictures": 2, "recognition": None},
    "architectures": {
        "toy": {**LAYERS, "decoder": "4 ^ 4 ^ 2 ^"}, "quarter": {**LAYERS, "decoder": "^ 1x1:313", "head": "classes"},
    },
    "experiments": {
        name: {**EXPERIMENT, "architecture": "quarter" if name == "vivid" else "toy", "head": head}
        for name, head in HEADS.items()
    },
}  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unsaved")]


@pytest.fixture(scope="module")
def place(_started, tmp_path_factory):
    """A folder with a dataset, its baselines and a configuration."""
    with prepared(tmp_path_factory.mktemp("heads"), CONFIG) as folder:
        assert invoke("baselines").exit_code == 0
    return folder


@pytest.fixture
def call(keras, place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.delenv("DEEPCOLOR_CONFIG", raising=False)
    keras.utils.clear_session(free_memory=False)

    def call(*arguments, config=True):
        result = invoke(*arguments, config=config)
        assert result.exit_code == 0, result.stderr or result.exception
        return result

    return call


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def finished(call, place):
    """Trains and evaluates the run of a head, once; returns the folders of its model and results."""

    def finished(name):
        model, result = place / "models" / name, place / "results" / name
        if not result.exists():
            call("train", name)
            call("evaluate", name)
        return model, result

    return finished


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_trained_evaluated_used_and_exported(call, finished, place, name):
    model, result = finished(name)
    settings = json.loads((model / "settings.json").read_text())
    assert settings["architecture"]["head"] == HEADS[name] and "head" not in settings["experiment"]
    assert settings["training"]["schedule"] == "cosine" and settings["training"]["mirror"] is True
    told = files.read_json(model / "training.json")
    words = {"absolute": "absolute", "robust": "Huber", "bounded": "absolute", "vivid": "cross-entropy"}[name]
    assert words in told["loss"]
    record = yaml.safe_load((result / "run.yaml").read_text())
    assert record["loss"] == told["loss"] and told["loss"] in " ".join((result / "model-card.md").read_text().split())
    scores = {(row["partition"], row["metric"]): float(row["value"])
              for row in rows(result / "metrics.csv") if row["answer"] == "model"}  # fmt: skip
    history = rows(model / "history.csv")
    judge = "val_loss" if name == "vivid" else "val_mse"
    best = min(history, key=lambda row: float(row[judge]))
    assert int(best["epoch"]) == told["best_epoch"]
    assert scores["validation", "mse"] == pytest.approx(float(best["val_mse"]), rel=1e-4)
    assert ("test", "loss") not in scores and 0 < scores["test", "ciede2000"] < 60
    Image.fromarray(gray_photograph(70, 90)).save(place / "gray.png")
    call("colorize", "gray.png", "--run", result, "--out", f"coloured-{name}", config=False)
    with Image.open(place / f"coloured-{name}" / "gray.png") as coloured:
        assert np.ptp(np.asarray(coloured.convert("RGB"), int), axis=-1).max() > 0
    if name not in EXPORTED:
        return
    for target, options in (("saved_model", ()), ("onnx", ()), ("tflite", ()), ("tflite", ("--precision", "float16"))):
        out = f"exports/{name}-{target}-{len(options)}"
        call("export", result, "--to", target, "--out", out, *options, config=False)
        check = json.loads((place / f"{out}.json").read_text())["check"]
        assert check["largest_difference"] < (0.01 if not options else 1), target


def test_a_run_with_classes_keeps_them_and_takes_any_temperature(call, finished, place, tmp_path):
    model, result = finished("vivid")
    with np.load(model / "head.npz", allow_pickle=False) as kept:
        assert set(kept) == {"bins", "prior", "weights"}
        np.testing.assert_array_equal(kept["bins"], ab_bins.centres())
        assert kept["prior"].sum() == pytest.approx(1)
        assert (kept["prior"] * kept["weights"]).sum() == pytest.approx(1)
    told = files.read_json(model / "training.json")
    assert told["files"]["head.npz"] == files.digest_file(model / "head.npz")
    assert (result / "head.npz").read_bytes() == (model / "head.npz").read_bytes()
    assert files.read_listing(result)["head.npz"] == told["files"]["head.npz"]
    assert "evaluation" not in str(yaml.safe_load((result / "run.yaml").read_text())["settings"])
    call("verify", "models", "results", config=False)

    chroma = {}
    for temperature in ("0.05", None, "50"):
        option = () if temperature is None else ("--temperature", temperature)
        Image.fromarray(gray_photograph(64, 64)).save(tmp_path / "gray.png")
        out = tmp_path / f"at-{temperature}"
        call("colorize", tmp_path / "gray.png", "--run", result, "--out", out, "--ab-only", *option, config=False)
        chroma[temperature] = lab.mean_chroma(np.load(out / "gray.png.ab.npy"))
    assert len(set(chroma.values())) == 3
    # Other options than before: the file is not taken for done.
    done = invoke("colorize", tmp_path / "gray.png", "--run", result, "--out", tmp_path / "at-None", "--ab-only",
                  "--temperature", "2", config=False)  # fmt: skip
    assert done.exit_code == 1 and "gray.png" in done.stderr

    call("export", result, "--to", "saved_model", "--temperature", "50", config=False)
    record = json.loads((place / "exports" / "vivid_temperature-50.json").read_text())
    assert record["temperature"] == 50 and record["check"]["largest_difference"] < 0.01

    before = (result / "metrics.csv").read_bytes()
    refused(invoke("evaluate", "vivid", "--set", "evaluation.temperature=50"), "evaluation.temperature: ")
    call("evaluate", "vivid", "--set", "evaluation.temperature=50", "--replace")
    assert (result / "metrics.csv").read_bytes() != before
    assert yaml.safe_load((result / "run.yaml").read_text())["configuration"]["evaluation"]["temperature"] == 50
    out = tmp_path / "as-evaluated"
    call("colorize", tmp_path / "gray.png", "--run", result, "--out", out, "--ab-only", config=False)
    np.testing.assert_array_equal(np.load(out / "gray.png.ab.npy"), np.load(tmp_path / "at-50" / "gray.png.ab.npy"))
    shutil.rmtree(result)  # other tests want the temperature of the head


def test_damage_to_the_kept_classes_is_found_and_mended(call, place):
    call("train", "vivid")
    model = place / "models" / "vivid"
    whole = (model / "head.npz").read_bytes()
    (model / "head.npz").write_bytes(whole[:-1])
    found = invoke("verify", "models/vivid", config=False)
    assert found.exit_code == 1 and "head.npz" in found.stdout + found.stderr
    refused(invoke("evaluate", "vivid"), "head.npz")
    call("train", "vivid")
    assert (model / "head.npz").read_bytes() == whole


def test_a_temperature_is_refused_where_no_classes_are(finished, place, tmp_path):
    _, result = finished("bounded")
    refused(invoke("evaluate", "bounded", "--set", "evaluation.temperature=0.5"), "evaluation.temperature: ")
    Image.fromarray(gray_photograph(64, 64)).save(tmp_path / "gray.png")
    colorize = ("colorize", tmp_path / "gray.png", "--run", result, "--out", tmp_path / "out", "--temperature", "0.5")
    refused(invoke(*colorize, config=False), "--temperature: ")
    refused(invoke("export", result, "--to", "saved_model", "--temperature", "0.5", config=False), "--temperature: ")
    assert not (tmp_path / "out" / "gray.png").exists() and not (place / "exports" / "bounded").exists()

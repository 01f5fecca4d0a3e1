"""Trackers get what a run did, once, and change nothing of it; the real packages, without any server or network."""

import os
import socket
import sys
from unittest import mock

import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from tiny import DOT, refused
from tiny_training import Interrupted, bytes_of

from pipeline.core import extras, files
from pipeline.figures import style
from pipeline.tracking.trackers import Tracking
from pipeline.training import train as training
from stages.__main__ import main

pytestmark = pytest.mark.usefixtures("unsaved")


@pytest.fixture
def call(tmp_path, monkeypatch, keras, referenced):
    """Call a stage on a prepared dataset, in a folder for these trackers; no connection may leave the machine."""
    monkeypatch.delenv("DEEPCOLOR_CONFIG", raising=False)
    for name in ("MLFLOW_TRACKING_URI", "WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    connect = socket.socket.connect

    def local_only(self, address):
        assert self.family == socket.AF_UNIX or str(address[0]) in ("127.0.0.1", "::1", "localhost"), address
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)

    def tiny_figure(figure, path, **options):
        for kind in (".png", ".svg"):
            Image.new("L", (2, 2)).save(path.with_suffix(kind), "PNG")

    monkeypatch.setattr(style, "save", tiny_figure)

    def call(stage, *trackers, epochs=3):
        folder = tmp_path / ("-".join(trackers) or "none")
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        plain = {"architecture": "dot", "learning_rate": 1e-2, "embedding": False, "batch_size": 2}
        values = {
            "dataset": "tiny",
            "datasets": {"tiny": {"kind": "sample"}},
            "data": str(referenced.folder.parent),
            "architectures": {name: each.model_dump() for name, each in DOT.items()},
            "experiments": {"plain": plain},
            "training": {"epochs": epochs, "checkpoint_seconds": 0, "trackers": [*trackers]},
            "evaluation": {"pictures": 2, "recognition": None},
        }
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
        result = CliRunner().invoke(main, [stage, "plain", "--config", str(tmp_path / "mine.yaml")])
        return result, folder

    return call


def interrupted(call, *trackers):
    """Train, with a power failure after the second epoch is recorded, and go on."""

    class Dying(training.Recorder):
        def save(self):
            if self.epochs == 2:
                self.tell()
                raise Interrupted
            super().save()

    with mock.patch.object(training, "Recorder", Dying):
        assert isinstance(call("train", *trackers)[0].exception, Interrupted)
    for stage in ("train", "evaluate"):
        done, folder = call(stage, *trackers)
        assert done.exit_code == 0 and "without this tracker" not in done.stderr, done.stderr
    return folder


@pytest.fixture
def untracked(call):
    done, folder = call("train")
    assert done.exit_code == 0, done.stderr
    return folder


def same_run(one, other):
    assert bytes_of(one / "models" / "plain") == bytes_of(other / "models" / "plain")


@pytest.mark.slow
def test_mlflow_has_one_run_with_parameters_curves_metrics_and_files(call, untracked):
    from mlflow import MlflowClient

    folder = interrupted(call, "mlflow")
    same_run(untracked, folder)
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    (experiment,) = [each for each in client.search_experiments() if each.name == "deepcolor"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("plain", "FINISHED")
    assert run.data.params["experiment.learning_rate"] == "1e-2" and run.data.params["dataset"] == "tiny"
    curve = client.get_metric_history(run.info.run_id, "val_mse")
    rows = (folder / "models/plain/history.csv").read_text().splitlines()
    assert [(each.step, each.value) for each in curve] == [
        (epoch, float(rows[epoch].split(",")[5])) for epoch in (1, 2, 3)
    ]
    metrics = run.data.metrics
    assert metrics["test/rmse/low"] < metrics["test/rmse"] < metrics["test/rmse/high"]
    kept = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"model.keras", "predictions.png", "model-card.md", "metrics.csv", "pictures"} <= kept
    assert len(client.list_artifacts(run.info.run_id, "pictures")) == 8
    assert call("evaluate", "mlflow")[0].exit_code == 0
    assert len(client.search_runs([experiment.experiment_id])) == 1


@pytest.mark.slow
def test_wandb_has_the_same_in_files_only(call, untracked):
    folder = interrupted(call, "wandb")
    same_run(untracked, folder)
    parts = sorted((folder / "wandb").glob("offline-run-*"))
    assert len(parts) == 3 and len({part.name.split("-")[-1] for part in parts}) == 1
    content = b"".join(next(part.glob("*.wandb")).read_bytes() for part in parts)
    assert content.count(b"val_accuracy") >= 3 and b"test/rmse/low" in content and b"1e-2" in content
    assert b"plain-results" in content and len(list((folder / "wandb").rglob("*.jpg"))) == 8


@pytest.mark.slow
def test_a_tracker_that_fails_costs_a_warning_and_not_the_training(call, untracked, monkeypatch):
    monkeypatch.setitem(os.environ, "MLFLOW_TRACKING_URI", "nonsense://nowhere")
    done, folder = call("train", "mlflow")
    assert done.exit_code == 0 and done.stderr.count("without this tracker") == 1, done.stderr
    same_run(untracked, folder)


def test_a_tracker_without_its_package_is_refused_before_training(call, monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, "wandb", ("wandb_that_is_not_there",))
    refused(call("train", "wandb")[0], "training.trackers: wandb", "`wandb`")


def test_a_run_without_training_has_results_only(tmp_path, monkeypatch):
    files.write_json(tmp_path / "models" / "gray" / "settings.json", {"run": "gray"})
    tracker = mock.Mock()
    monkeypatch.setitem(sys.modules, "pipeline.tracking.mlflow", mock.Mock(open_run=lambda *_: tracker))
    tracking = Tracking(["mlflow"], tmp_path, tmp_path / "models" / "gray")
    tracking.results(tmp_path / "results" / "gray")
    tracking.close()
    assert [name for name, _, _ in tracker.method_calls] == ["epochs", "results", "close"]
    assert tracker.epochs.call_args.args == ([],)

"""A named experiment, from its training to coloured photographs."""

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from tiny import DOT, gray_photograph, refused

from stages.__main__ import main

pytestmark = pytest.mark.usefixtures("unsaved")
EXPERIMENT = {"architecture": "dot", "learning_rate": "1e-3", "batch_size": 4, "embedding": False}


@pytest.fixture
def call(tmp_path, monkeypatch, keras, referenced):
    """Call a stage on a prepared dataset; `experiment` is that of the configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEEPCOLOR_CONFIG", raising=False)

    def call(*arguments, **experiment):
        values = {
            "dataset": "tiny",
            "datasets": {"tiny": {"kind": "sample"}},
            "data": str(referenced.folder.parent),
            "architectures": {name: each.model_dump() for name, each in DOT.items()},
            "experiments": {"plain": {**EXPERIMENT, "training": {"epochs": 1, "start_at": "zeros"}, **experiment}},
            "evaluation": {"pictures": 2, "recognition": None},
        }
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
        return CliRunner().invoke(main, [*map(str, arguments), "--config", "mine.yaml"])

    return call


@pytest.mark.slow
def test_an_experiment_is_trained_evaluated_summed_up_and_colorizes(call, tmp_path):
    for stage in ("train", "evaluate"):
        done = call(stage, "plain_s3")
        assert done.exit_code == 0, done.stderr
    result = tmp_path / "results" / "plain_s3"
    record = yaml.safe_load((result / "run.yaml").read_text())
    assert (record["run"], record["epochs"], record["seeds"]["training"]) == ("plain_s3", 1, 3)
    assert record["settings"]["experiment"]["name"] == "plain" and "experiments" not in record["configuration"]
    assert record["settings"]["training"]["start_at"] == record["configuration"]["training"]["start_at"] == "zeros"
    assert "| plain_s3 |" in (tmp_path / "results" / "summary.md").read_text()
    assert "plain_s3" in (result / "model-card.md").read_text()
    assert (tmp_path / "results" / "sweep.png").exists()
    assert call("report").exit_code == 0
    Image.fromarray(gray_photograph(40, 50)).save(tmp_path / "gray.png")
    done = CliRunner().invoke(main, ["colorize", "gray.png", "--run", str(result), "--out", "out", "--size", "32"])
    assert done.exit_code == 0, done.stderr
    assert np.asarray(Image.open(tmp_path / "out" / "gray.png")).shape == (40, 50, 3)


@pytest.mark.slow
def test_a_changed_experiment_of_the_same_name_is_refused_and_more_epochs_continue(call, tmp_path):
    assert call("train", "plain").exit_code == 0
    refused_one = call("train", "plain", learning_rate="1e-2")
    refused(refused_one, "models/plain", "experiment.learning_rate: '1e-3', now '1e-2'")
    refused(call("train", "plain", training={"epochs": 1}), "training.start_at: 'zeros', now 'mean'")
    assert "epoch 2 of 2" in call("train", "plain", training={"epochs": 2, "start_at": "zeros"}).stderr


def test_an_unknown_run_is_refused_with_the_experiments(call):
    refused(call("train", "plane"), "run name 'plane'", "plain")

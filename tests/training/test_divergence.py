"""A run whose loss or weights are no longer finite ends, and no such epoch is its best."""

import numpy as np
import pytest
from tiny import DOT
from tiny_training import StopsAfter, bytes_of, history, run_training

from pipeline.core import files


@pytest.fixture
def train(keras, dataset, tmp_path):
    def train(name="dot_lr1e-3_l2-0_bs4", **options):
        return run_training(dataset, tmp_path / "models" / "run", name, **options)

    return train


def test_a_run_whose_loss_stops_being_finite_ends_as_diverged(train, caplog):
    directory = train("dot_lr9e5_bs4", epochs=40)
    summary, rows = files.read_json(directory / "training.json"), history(directory)
    assert summary["status"].startswith(f"diverged in epoch {summary['epochs']}")
    assert summary["epochs"] == len(rows) < 40
    assert all(np.isnan(value) for name, value in rows[-1].items() if name != "epoch")
    assert "the loss or a weight is not a finite number" in caplog.text
    assert (directory / "best.weights.h5").exists() and (directory / "last.weights.h5").exists()
    before = bytes_of(directory)
    assert bytes_of(train("dot_lr9e5_bs4", epochs=40, progress=StopsAfter(0))) == before


@pytest.mark.parametrize("broken", [1, 2])
def test_an_epoch_with_a_weight_that_is_not_finite_is_never_the_best(train, monkeypatch, broken):
    from pipeline.networks import builder
    from pipeline.training.recorder import Recorder

    record = Recorder.on_epoch_end
    finite = dict.fromkeys(("loss", "mse", "accuracy", "val_loss", "val_mse", "val_accuracy"), 1.0 / broken)

    def on_epoch_end(self, epoch, logs=None):
        if epoch == broken - 1:  # as with TensorFlow's fused ReLU, which turns NaN into 0
            self.model.get_layer("encoder_1").kernel.assign(np.full((3, 3, 1, 4), np.nan))
            logs = finite
        record(self, epoch, logs)

    monkeypatch.setattr(Recorder, "on_epoch_end", on_epoch_end)
    directory = train(epochs=3)
    summary = files.read_json(directory / "training.json")
    assert (summary["status"], summary["best_epoch"]) == (f"diverged in epoch {broken}", broken - 1)
    assert np.isnan(history(directory)[-1]["val_mse"])
    model = builder.build("dot", architectures=DOT)
    model.load_weights(directory / "best.weights.h5")
    assert np.isfinite(model.get_layer("encoder_1").kernel).all() == (broken == 2)

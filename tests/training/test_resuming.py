"""Training that was interrupted resumes to the bit, and never from another run's checkpoint."""

import logging
import re

import pytest
from tiny_training import Interrupted, StopsAfter, assert_same, bytes_of, history

from pipeline.core.errors import InputError


def test_an_interrupted_run_resumes_to_the_same_bits(train, three_epochs, caplog):
    caplog.set_level(logging.INFO, "deepcolor")
    with pytest.raises(Interrupted) as caught:
        train(epochs=3, checkpoint_seconds=0.0, progress=StopsAfter(0))  # 9 training images: 3 steps an epoch
    assert caught and "resuming after" not in caplog.text
    directory = train(epochs=3)
    assert "resuming after epoch 0, step 1" in caplog.text
    assert_same(directory, three_epochs)


@pytest.mark.slow
def test_a_run_interrupted_after_any_step_resumes_to_the_same_bits(train, three_epochs, caplog):
    """Again and again: each part goes on where the one before ended."""
    caplog.set_level(logging.INFO, "deepcolor")
    for steps in (2, 0, 3):
        with pytest.raises(Interrupted):
            train(epochs=3, checkpoint_seconds=0.0, progress=StopsAfter(steps))
    assert_same(train(epochs=3), three_epochs)
    places = re.findall(r"resuming after (.*)", caplog.text)
    assert places == ["epoch 0, step 3", "epoch 1, step 1", "epoch 2, step 2"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "moments",
    [
        {"on_train_batch_begin": "epoch 1, step 2", "on_test_batch_end": "epoch 1, step 3"},
        pytest.param({"on_test_begin": "epoch 1, step 3"}, marks=pytest.mark.long),
    ],
)
def test_a_run_stopped_by_a_signal_saves_its_progress(train, three_epochs, monkeypatch, caplog, moments):
    from pipeline.training.recorder import Recorder

    caplog.set_level(logging.INFO, "deepcolor")

    def stopping(usual):
        def stops(self, *arguments, **options):
            usual(self, *arguments, **options)
            if self.epochs == 1 and (self.step == 3 or self.step == 2):
                raise KeyboardInterrupt

        return stops

    for moment in moments:
        with monkeypatch.context() as patched:
            patched.setattr(Recorder, moment, stopping(getattr(Recorder, moment)))
            with pytest.raises(KeyboardInterrupt):
                train(epochs=3, checkpoint_epochs=None)
    directory = train(epochs=3)
    assert re.findall(r"resuming after (.*)", caplog.text) == [*moments.values()]
    assert_same(directory, three_epochs)


@pytest.mark.slow
def test_a_run_that_stops_early_resumes_to_the_same_bits(train):
    options = {"name": "dot_lr1e0_bs4", "epochs": 30, "patience": 2}
    whole = train(folder="whole", **options)
    epochs = len(history(whole))
    assert epochs < 30
    for steps in (3 * (epochs - 1) - 1, 2):  # of 3 an epoch: before the last two epochs are validated
        with pytest.raises(Interrupted):
            train(checkpoint_seconds=0.0, progress=StopsAfter(steps), **options)
    assert_same(train(**options), whole)


def test_the_last_checkpoint_does_not_depend_on_earlier_ones(train, three_epochs):
    assert_same(train(epochs=3, checkpoint_seconds=0.0), three_epochs)


@pytest.mark.slow
def test_training_resumes_from_the_checkpoint_before_a_damaged_one(train, three_epochs, caplog, tmp_path):
    models = tmp_path / "models"
    with pytest.raises(Interrupted):
        train(epochs=3, checkpoint_seconds=0.0, progress=StopsAfter(7))
    (models / "run" / "checkpoint.npz").write_bytes(b"PK")
    caplog.set_level(logging.INFO, "deepcolor")
    assert_same(train(epochs=3), three_epochs)
    assert "resuming after epoch 2, step 1" in caplog.text


def test_a_trained_network_without_an_intact_checkpoint_is_not_overwritten(train, finished, caplog):
    before = bytes_of(finished)
    for path in finished.glob("checkpoint*.npz"):
        path.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"checkpoint.*--replace"):
        train(epochs=3)
    assert caplog.text.count("is damaged") == 2
    train(epochs=3, replace=True)
    assert bytes_of(finished) == before


@pytest.mark.slow
def test_an_unfinished_run_without_an_intact_checkpoint_starts_again(train, three_epochs, tmp_path):
    with pytest.raises(Interrupted):
        train(epochs=3, progress=StopsAfter(7))
    for path in (tmp_path / "models" / "run").glob("checkpoint*.npz"):
        path.write_bytes(b"PK")
    assert_same(train(epochs=3), three_epochs)


def test_a_checkpoint_without_its_settings_is_not_used_by_another_run(train, finished):
    (finished / "settings.json").unlink()
    with pytest.raises(InputError, match=r"settings of checkpoint\.npz"):
        train(epochs=4, start_at="zeros")

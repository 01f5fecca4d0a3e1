"""A run is tried on a few photographs, and leaves nothing behind."""

import tempfile
from unittest import mock

import numpy as np
import pytest
import toy_maps
import yaml
from click.testing import CliRunner
from tiny import DOT, refused, write_kaggle

from pipeline.config.loading import parse_config
from pipeline.config.runs import find, layered
from pipeline.embedding import registry
from pipeline.networks import inputs
from pipeline.planning import trial
from pipeline.training.overfit import learnt
from stages.__main__ import main

pytestmark = pytest.mark.usefixtures("unsaved")
SETTINGS = {
    "dataset": "tiny",
    "embedding": {"network": "toy", "weights": "random", "batch_size": 8},
    "architectures": {
        "dot": DOT["dot"].model_dump(), **{name: each.model_dump() for name, each in toy_maps.ARCHITECTURES.items()}
    },
    "experiments": {
        "example": {"predictor": {"name": "sousa", "colours": 4}},
        "plain": {"architecture": "fine-dot", "learning_rate": 1e-3, "training": {"epochs": 90}},
    },
    "sweeps": {"rates": {"extends": "plain", "grid": {"training.epochs": [50, 60]}}},
    "evaluation": {"pictures": 2, "recognition": None},
}  # fmt: skip


def photographs(n):
    """L and ab of blocks whose colours follow from their lightness: any network can learn them."""
    lightness = np.random.default_rng(0).integers(100, 180, (n, 14, 14), np.uint8).repeat(16, 1).repeat(16, 2)
    a = 128 + (lightness.astype(int) - 140) // 3
    return lightness, np.stack([a, 256 - a], axis=3).astype(np.uint8)


@pytest.fixture
def smoke(tmp_path, monkeypatch, keras):
    """Call the stage in an empty folder; it must leave nothing there, nor among temporary files."""
    folder, temporary = tmp_path / "here", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DEEPCOLOR_CONFIG", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    source = write_kaggle(tmp_path / "archive", *photographs(24), [10])
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**SETTINGS, "datasets": {"tiny": source.model_dump()}}))
    with mock.patch.dict(registry.ENTRIES), mock.patch.dict(inputs.INPUTS):
        toy_maps.register()
        yield lambda *arguments: CliRunner().invoke(main, ["smoke", *map(str, arguments), "--config", str(path)])
    assert not list(folder.iterdir()) and not list(temporary.iterdir())


@pytest.mark.slow
def test_a_predictor_without_training_goes_through_every_stage_that_it_has(smoke):
    done = smoke("example")
    assert done.exit_code == 0 and "from ingest to evaluate" in done.output, done.output
    refused(smoke("example", "--overfit"), "--overfit", "example")


@pytest.mark.slow
def test_a_run_goes_through_every_stage(smoke):
    done = smoke("rates.epochs-50_s1")
    assert done.exit_code == 0, done.stderr
    assert "epoch 1 of 1" in done.stderr and "features, shards" in done.stderr and "1 coloured" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("smoke: rates.epochs-50_s1 works")


def test_when_interrupted_it_promises_no_resumption(smoke, monkeypatch):
    monkeypatch.setattr(trial, "end_to_end", mock.Mock(side_effect=KeyboardInterrupt))
    done = smoke("example")
    assert done.exit_code == 130 and done.stderr.endswith("smoke: interrupted; nothing was kept\n"), done.output


@pytest.mark.slow
def test_what_does_not_run_is_found(smoke):
    refused(smoke("plane"), "run name 'plane'")
    with mock.patch("pipeline.results.evaluate.evaluate", side_effect=RuntimeError("in the night")):
        done = smoke("plain")
    assert done.exit_code == 1 and "in the night" in str(done.exception)


@pytest.mark.slow
def test_a_network_that_learns_a_batch_is_told_from_one_that_does_not(smoke):
    done = smoke("dot_lr1e-2_l2-1e0_bs4", "--overfit", "--steps", 100)
    assert done.exit_code == 0 and "dot_lr1e-2_l2-1e0_bs4 learns one batch of 4 images" in done.stdout, done.output
    done = smoke("fine-dot_lr1e-9", "--overfit", "--steps", 2)
    assert done.exit_code == 1 and "DOES NOT LEARN" in done.stdout, done.output
    done = smoke("dot_lr9e5_bs4", "--overfit", "--steps", 30)
    assert done.exit_code == 1 and "DOES NOT LEARN" in done.stdout, done.output


def test_a_trial_changes_only_what_it_must(tmp_path):
    tracked = {"training": {"trackers": ["mlflow"]}, "datasets": {"tiny": {"kind": "sample"}}}
    config = parse_config({**SETTINGS, **tracked})
    run = find(config, "rates.epochs-60")
    tried = layered(trial.end_to_end(config, run, tmp_path), run)
    assert (tried.limit, tried.root, tried.data) == (20, str(tmp_path), str(tmp_path / "data"))
    assert tried.training == config.training.model_copy(update={"epochs": 1, "trackers": []})
    assert tried.embedding == config.embedding
    assert tried.evaluation == config.evaluation.model_copy(update={"train": False})
    shipped = parse_config({"experiments": {"a": {
        "architecture": "color", "learning_rate": 1e-3, "training": {"start_from": "shipped", "epochs": 0}
    }}})  # fmt: skip
    assert layered(trial.end_to_end(shipped, find(shipped, "a"), tmp_path), find(shipped, "a")).training.epochs == 0
    alone = trial.one_batch(config, find(config, "dot_lr1e-2_bs50"), tmp_path)
    assert (alone.limit, alone.root, alone.training) == (50, str(tmp_path), config.training)


@pytest.mark.parametrize(("after", "learns"), [(49.0, True), (51.0, False), (float("nan"), False)])
def test_half_of_the_error_must_go(after, learns):
    assert learnt(100.0, after) is learns

"""Runs of a tiny network."""

import shutil

import pytest
from tiny_training import DOT_RUN, run_training


@pytest.fixture
def train(keras, dataset, tmp_path):
    """Train a run on `dataset` and return its folder."""

    def train(name=DOT_RUN, folder="run", **options):
        return run_training(dataset, tmp_path / "models" / folder, name, **options)

    return train


@pytest.fixture(scope="module")
def three_epochs(_started, prepared, tmp_path_factory):
    """`DOT_RUN` trained for three epochs without interruption: read only."""
    return run_training(prepared, tmp_path_factory.mktemp("whole") / "run", epochs=3)


@pytest.fixture
def finished(three_epochs, tmp_path):
    """A copy of `three_epochs` where `train` writes."""
    return shutil.copytree(three_epochs, tmp_path / "models" / "run")

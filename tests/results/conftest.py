"""Fixtures of the tests of results."""

import shutil
from unittest import mock

import fake_results
import numpy as np
import pytest
from evaluations import RUN, evaluate, plant, train
from tiny import DOT, Dataset

from pipeline.config import paper
from pipeline.figures import sweeps


@pytest.fixture
def drawn(monkeypatch):
    """What would be drawn: path, points, lines. Drawing takes a second."""
    found = []
    monkeypatch.setattr(sweeps, "sweep", lambda path, dataset, points, lines: found.append((path, points, lines)))
    return found


def in_the_paper():
    """A context in which the paper has a number for `RUN`."""
    return mock.patch.dict(paper.RUNS, {RUN: paper.PaperRun((1,), None, 0.5394033)})


@pytest.fixture(autouse=True)
def _in_the_paper():
    with in_the_paper():
        yield


@pytest.fixture(scope="package")
def evaluated(_started, referenced, once):
    """A dataset with baselines and an evaluated run, whose answers vary and depend on the embedding: read only."""
    from pipeline.networks import builder

    def make(root):
        dataset = Dataset(shutil.copytree(referenced.folder, root / "data" / "tiny"))
        train(dataset, root / "models" / RUN)
        model = builder.build("dot", l2=0.1, seed=3, start_at=(132.0, 142.0), architectures=DOT)
        kernel = model.get_layer("fusion_1").kernel
        kernel.assign(np.concatenate([kernel[:, :, :-1000], 20 * kernel[:, :, -1000:]], axis=2))
        plant(root / "models" / RUN, model)
        with in_the_paper():
            evaluate(dataset, root / "models" / RUN)

    root = once("evaluated", make)
    return Dataset(root / "data" / "tiny"), root / "models" / RUN


@pytest.fixture
def own(keras, evaluated, tmp_path):
    """A copy of `evaluated` that the test may change."""
    root = shutil.copytree(evaluated[1].parents[1], tmp_path / "own")
    return Dataset(root / "data" / "tiny"), root / "models" / RUN


@pytest.fixture
def undrawn(measured_once, monkeypatch):
    """Figures are empty files: for tests that are not about them, because they take seconds."""

    def touch(path, *given, **options):
        for kind in (".png", ".svg"):
            path.with_suffix(kind).touch()

    for name in ("pictures.predictions", "pictures.errors", "colours.chroma", "learning.curves", "sweeps.sweep"):
        monkeypatch.setattr(f"pipeline.figures.{name}", touch)


@pytest.fixture
def fake(tmp_path):
    made = fake_results.Fake(tmp_path / "results", tmp_path / "data")
    fake_results.add_truth(made, images=3)
    return made

"""Fixtures that several tests share."""

import gc
import logging
import os
import shutil
from unittest import mock

import fake_results
import numpy as np
import pytest
import tiny
import toy_maps
from click.testing import CliRunner
from filelock import FileLock

from pipeline.core import files
from stages.__main__ import main

# The processes share the work file by file: those that take long come first, so that none is left alone at the end.
LONGEST = (
    "test_workflow.py", "test_train.py", "test_kills.py", "test_stopping.py", "test_head_runs.py", "test_start_runs.py",
    "test_trackers.py", "test_search_stage.py", "test_smoke.py",
    "test_color.py", "test_start.py", "test_resuming.py", "test_optimizers.py", "test_jax.py", "test_evaluate.py",
    "test_disk.py", "test_serve_page.py", "test_serve_folders.py", "test_worker.py", "test_distributed.py",
    "test_stages.py", "test_train_on_maps.py", "test_export.py", "test_own_network.py", "test_seams_training.py",
    "test_evaluate_runs.py", "test_evaluate_refusals.py", "test_network.py", "test_efficientnet_lite0.py",
    "test_batch.py", "test_page_browser.py", "test_verify.py", "test_named_experiments.py",
    "test_baseline_from_outside.py", "test_export_command.py", "test_baselines.py", "test_saving.py",
)  # fmt: skip


# Keras' and Snakemake's many objects would be searched for garbage again and again, for a twentieth of the time.
gc.set_threshold(50_000, 20, 20)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Suspend garbage collection, which takes a fifth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def _started():
    from pipeline.networks import backend

    backend.start(2)


@pytest.fixture
def keras(_started):
    """Keras on two threads, in float32; whatever policy the test sets is taken back."""
    import keras

    keras.config.set_dtype_policy("float32")
    yield keras
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """``once(name, make)`` calls ``make(folder)`` in the first process that asks; all processes read that folder."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def once(name, make):
        made, unfinished = folder / name, folder / f"{name}.unfinished"
        with FileLock(folder / f"{name}.lock"):
            if not made.exists():
                shutil.rmtree(unfinished, ignore_errors=True)
                make(unfinished)
                unfinished.rename(made)
        return made

    return once


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """15 images with random embeddings and their split: read it, never write to it (see `dataset`)."""
    return tiny.make_dataset(tmp_path_factory.mktemp("prepared") / "tiny")


@pytest.fixture(scope="session")
def referenced(tmp_path_factory):
    """3, 2 and 10 images to train, validate and test, with baselines: read it, never write to it.

    Ten images of the test partition have intervals. Colours change within squares of 2x2 pixels.
    """
    from pipeline.config import schema
    from pipeline.evaluation import baselines

    arrays = [np.roll(array, (1, 1), (1, 2)) for array in tiny.photographs(15)]
    split = schema.Split(train=0.2, validation=0.13, test=0.67)
    dataset = tiny.make_dataset(tmp_path_factory.mktemp("referenced") / "data" / "tiny", arrays=arrays, split=split)
    baselines.score_baselines(dataset.images, dataset.splits, dataset.baselines, schema.Evaluation(batch_size=3))
    return dataset


@pytest.fixture
def dataset(prepared, tmp_path):
    """A copy of `prepared` that the test may change."""
    return tiny.Dataset(shutil.copytree(prepared.folder, tmp_path / "data" / "tiny"))


@pytest.fixture
def mapped(keras, dataset):
    """A copy of `prepared` with embeddings of a toy network that has feature maps, see `toy_maps`."""
    from pipeline.embedding import registry
    from pipeline.embedding.embed import embed
    from pipeline.networks import inputs

    with mock.patch.dict(registry.ENTRIES), mock.patch.dict(inputs.INPUTS):
        toy_maps.register()
        embed(dataset.images, dataset.embeddings, toy_maps.EMBEDDING, replace=True)
        yield dataset


@pytest.fixture(scope="session")
def made_run(_started, tmp_path_factory):
    """``results/<run>/`` whose network needs no embedding: read only."""
    return tiny.make_run(tmp_path_factory.mktemp("made") / "results", "dot_lr1e-2_noembed")


@pytest.fixture(scope="session")
def colorizer(made_run):
    from pipeline.colorize.colorizer import Colorizer

    return Colorizer.load(made_run)


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Four runs and their page: read only."""
    from pipeline.results.page import write_report

    fake = fake_results.small(tmp_path_factory.mktemp("page"))
    write_report(fake.results, fake.pictures)
    return fake


@pytest.fixture
def inspect(tmp_path, monkeypatch):
    """Calls ``inspect``, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["inspect", *map(str, arguments)])


@pytest.fixture(autouse=True)
def _own_logging():
    """Stage commands set the logger up for a terminal; tests listen to it as it was."""
    logger = logging.getLogger("deepcolor")
    before = logger.handlers, logger.level, logger.propagate
    yield
    logger.handlers, logger.level, logger.propagate = before


@pytest.fixture
def drawn(monkeypatch):
    """The figures, not saved: that takes longer than drawing them."""
    from pipeline.figures import style

    kept = []
    monkeypatch.setattr(style, "save", lambda figure, path, **options: kept.append(figure))
    return kept


@pytest.fixture(scope="session")
def _measures():
    """What `measured_once` has measured."""
    return {}


@pytest.fixture(scope="module")
def measured_once(_measures):
    """No answer is measured twice on one image, in whatever run: that takes two thirds of an evaluation."""
    from pipeline.evaluation import measures, scoring

    def measure(truth, predicted_ab):
        given = truth.lightness, truth.ab, truth.rarity, predicted_ab
        shapes = [(array.dtype, array.shape) for array in given]
        key = *shapes, files.digest_bytes(*(array.tobytes() for array in given))
        if key not in _measures:
            _measures[key] = measures.measure(truth, predicted_ab)
        return _measures[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "measure", measure)
        yield


@pytest.fixture(scope="module")
def unsaved(measured_once):
    """Figures are drawn, but saved as empty files: rendering them takes a third of an evaluation. Few shuffles."""
    from pipeline.evaluation import network
    from pipeline.figures import style

    def touch(figure, path, *, svg=True):
        for kind in (".png", ".svg") if svg else (".png",):
            path.with_suffix(kind).touch()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "save", touch)
        patch.setattr(network, "MOST_SHUFFLES", 2)
        yield


@pytest.fixture
def saved(monkeypatch):
    """The figures, saved too."""
    from pipeline.figures import style

    kept = []
    save = style.save
    monkeypatch.setattr(style, "save", lambda figure, path: (kept.append(figure), save(figure, path)))
    return kept

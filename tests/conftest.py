"""Fixtures that several tests share."""

import logging
import shutil

import pytest
import tiny


@pytest.fixture(scope="session")
def _started():
    from pipeline import backend

    backend.start(2)


@pytest.fixture
def keras(_started):
    """Keras on two threads, in float32; whatever policy the test sets is taken back."""
    import keras

    keras.config.set_dtype_policy("float32")
    yield keras
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """15 images with random embeddings and their split: read it, never write to it (see `dataset`)."""
    return tiny.make_dataset(tmp_path_factory.mktemp("prepared") / "tiny")


@pytest.fixture
def dataset(prepared, tmp_path):
    """A copy of `prepared` that the test may change."""
    return tiny.Dataset(shutil.copytree(prepared.folder, tmp_path / "data" / "tiny"))


@pytest.fixture(autouse=True)
def _own_logging():
    """Stage commands set the logger up for a terminal; tests listen to it as it was."""
    logger = logging.getLogger("deepcolor")
    before = logger.handlers, logger.level, logger.propagate
    yield
    logger.handlers, logger.level, logger.propagate = before

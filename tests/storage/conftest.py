"""The store of `vectors`, for the tests of this folder."""

import pytest
from vectors import MADE, ROWS, VECTORS, fill

from pipeline.storage.store import Store


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "embeddings.zarr", VECTORS)
    made.create(ROWS, 8, MADE)
    fill(made, input="x")
    return made

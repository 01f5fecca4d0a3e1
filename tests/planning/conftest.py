"""A configuration whose images are ingested."""

import pytest
from tiny import DOT, photographs, write_kaggle

from pipeline.config import schema
from pipeline.config.paths import Paths
from pipeline.dataset.ingest import ingest


@pytest.fixture
def planned(tmp_path):
    """A configuration with 12 ingested images."""
    source = write_kaggle(tmp_path / "archive", *photographs(12), [5])
    chosen = schema.Config(
        dataset="tiny",
        datasets={"tiny": source},
        root=str(tmp_path),
        data=str(tmp_path / "data"),
        images_per_shard=8,
        architectures=DOT,
        training=schema.Training(epochs=3),
    )
    ingest(source, Paths(chosen).images, images_per_shard=8)
    return chosen

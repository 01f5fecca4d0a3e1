"""The most similar photograph of a dataset, by its embedding, lends its colours."""

import csv

import numpy as np
import pytest
import tiny
import yaml
from click.testing import CliRunner
from PIL import Image
from tiny import refused

from pipeline.colorize.similar import Dataset
from stages.colorize import command


def partition(dataset, name):
    with dataset.splits.open() as file:
        return [number for number, row in enumerate(csv.DictReader(file)) if row["partition"] == name]


def lent(dataset, lightness):
    """The colours that are lent, (28, 28, 2)."""
    return dataset.nearest(None, None, lambda lightness: np.zeros((28, 28, 7), np.float32), lightness).ab


def reduced(ab):
    return ab.reshape(28, 8, 28, 8, 2).mean(axis=(1, 3)) - 128.0


def test_a_photograph_takes_the_colours_of_the_nearest_one_that_is_trained_on(mapped):
    dataset = Dataset(mapped.folder)
    for row in partition(mapped, "train"):
        lightness, ab = (mapped.images.read(name, row, row + 1)[0] for name in ("L", "ab"))
        np.testing.assert_allclose(lent(dataset, lightness), reduced(ab), atol=1e-4)
    trained_on = [reduced(mapped.images.read("ab", row, row + 1)[0]) for row in partition(mapped, "train")]
    for row in partition(mapped, "test"):
        found = lent(dataset, mapped.images.read("L", row, row + 1)[0])
        assert min(np.abs(found - each).max() for each in trained_on) < 1e-4


def test_the_identity_is_that_of_photographs_and_split(dataset):
    before = Dataset(dataset.folder).identity
    assert Dataset(dataset.folder).identity == before
    tiny.write_embeddings(dataset.images, dataset.folder / "embeddings.zarr", seed=1)
    assert Dataset(dataset.folder).identity != before


@pytest.mark.parametrize("missing", ["embeddings.json", "splits.csv"])
def test_auto_is_the_configured_dataset_which_must_be_complete(dataset, tmp_path, monkeypatch, missing):
    (tmp_path / "config").mkdir()
    values = {"dataset": "tiny", "datasets": {"tiny": {"kind": "kaggle", "path": "archive"}}}
    (tmp_path / "config" / "config.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.chdir(tmp_path)
    Image.new("L", (60, 50), 90).save("old.png")
    (dataset.folder / missing).unlink()
    for like in ("auto", dataset.folder):
        refused(CliRunner().invoke(command, ["old.png", "--out", "out", "--like", str(like)]), missing)
    assert not (tmp_path / "out").exists()

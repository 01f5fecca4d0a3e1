"""What is said about images that came or went since a run was trained on them."""

import shutil

import numpy as np
import pytest
from PIL import Image

from pipeline.config.sources import FolderSource
from pipeline.dataset.fingerprints import other_data
from pipeline.dataset.index import changes
from pipeline.dataset.ingest import ingest
from pipeline.storage.layouts import IMAGES
from pipeline.storage.store import Store


def add(folder, name, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(noise).resize((240, 240)).save(folder / name)


@pytest.fixture
def bring(tmp_path):
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for seed in range(4):
        add(photographs, f"{seed}.png", seed)
    store = Store(tmp_path / "data" / "images.zarr", IMAGES)

    def bring(**options):
        ingest(FolderSource(path=str(photographs)), store, scheduler="synchronous", **options)
        return {"images": store.manifest()["fingerprint"], "split": "abc"}

    return photographs, store, bring


def test_images_that_came_and_went_are_counted(bring):
    photographs, store, again = bring
    trained_on = again()
    assert again() == trained_on and other_data(store, trained_on, trained_on) == []
    add(photographs, "4.png", 4)
    one_more = again()
    assert other_data(store, trained_on, {**one_more, "split": "def"}) == [
        "the images have changed: 1 added; 4 before, now 5"
    ]
    (photographs / "0.png").unlink()
    add(photographs, "1.png", 9)
    now = again(replace=True)
    assert changes(store, one_more["images"]) == "1 added, 2 removed; 5 before, now 4"
    assert changes(store, trained_on["images"]) == "2 added, 2 removed; 4 before, now 4"
    (photographs / "1.png").rename(photographs / "5.png")
    again()
    assert changes(store, now["images"]) == "in another order or other groups; 4 before, now 4"


def test_what_was_not_kept_is_told_by_fingerprints(bring, tmp_path):
    photographs, store, again = bring
    trained_on = again()
    add(photographs, "4.png", 4)
    now = again()
    shutil.rmtree(tmp_path / "data" / ".earlier")
    (sentence,) = other_data(store, trained_on, now)
    assert sentence.startswith("data.images: ") and now["images"][:8] in sentence
    assert other_data(store, now, {**now, "split": "def"}) == ["data.split: 'abc', now 'def'"]

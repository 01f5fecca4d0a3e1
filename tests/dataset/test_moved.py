"""The same images at another path are the same source; other images there are not."""

import shutil

import h5py
import numpy as np
import pytest
from image_files import put
from tiny import photographs, tree, write_kaggle

from pipeline.config.sources import FolderSource, HDF5Source, SampleSource
from pipeline.core.errors import InputError
from pipeline.dataset import moved
from pipeline.dataset.ingest import ingest
from pipeline.storage.layouts import IMAGES
from pipeline.storage.store import Store

N = 20


def kaggle(folder):
    return write_kaggle(folder, *photographs(N), [7])


def hdf5(folder):
    folder.mkdir()
    with h5py.File(folder / "arrays.h5", "w") as file:
        file["L"], file["ab"] = photographs(N)
    return HDF5Source(kind="hdf5", path=str(folder / "arrays.h5"))


def folder_of_photographs(folder):
    folder.mkdir()
    put(folder, *(f"{number:02d}.png" for number in range(N)))
    return FolderSource(kind="folder", path=str(folder))


def change(folder):
    """Change one image of a source."""
    if (folder / "19.png").exists():
        return put(folder, "19.png", seed=99)
    if (folder / "arrays.h5").exists():
        with h5py.File(folder / "arrays.h5", "a") as file:
            file["ab"][19, 100, 100] = 120, 140
        return None
    path = folder / "ab" / "ab" / "ab2.npy"
    array = np.load(path)
    array[12, 100, 100] = 120, 140
    return np.save(path, array)


def at(source, old, new):
    return source.model_copy(update={"path": source.path.replace(str(old), str(new))})


@pytest.fixture(params=[kaggle, hdf5, folder_of_photographs])
def ingested(request, tmp_path):
    """A store and its source, which was moved after ingest and is not where the record says."""
    store = Store(tmp_path / "data" / "images.zarr", IMAGES)
    source = request.param(tmp_path / "before")
    ingest(source, store, images_per_shard=8, scheduler="synchronous")
    (tmp_path / "before").rename(tmp_path / "after")
    return store, at(source, tmp_path / "before", tmp_path / "after")


def shards(store):
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for folder in (store.path, store.records)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "zarr.json"
    }


@pytest.mark.parametrize("limit", [None, N])
def test_the_same_images_elsewhere_are_recognised_and_nothing_is_written_again(ingested, limit):
    store, source = ingested
    settings, before = store.manifest()["settings"], shards(store)
    assert moved.has_moved(source, store)
    assert ingest(source, store, images_per_shard=8, scheduler="synchronous", limit=limit) == 0
    assert store.manifest()["settings"] == settings and shards(store) == before
    assert not moved.has_moved(source, store)


def test_other_images_elsewhere_are_refused_before_anything_is_written(ingested, tmp_path):
    store, source = ingested
    change(tmp_path / "after")
    before = tree(tmp_path / "data" / "images.zarr")
    with pytest.raises(InputError, match=r"images\.zarr .*source\.path: '.*before.*', now '.*after.*rows 16 to 19"):
        ingest(source, store, images_per_shard=8, scheduler="synchronous")
    assert tree(tmp_path / "data" / "images.zarr") == before and store.manifest()
    assert moved.has_moved(source, store)
    ingest(source, store, images_per_shard=8, scheduler="synchronous", replace=True)
    assert store.manifest()["settings"]["source"]["path"] == source.path


def test_fewer_images_elsewhere_are_refused(tmp_path):
    store = Store(tmp_path / "data" / "images.zarr", IMAGES)
    source = folder_of_photographs(tmp_path / "before")
    ingest(source, store, images_per_shard=8, scheduler="synchronous")
    shutil.copytree(tmp_path / "before", tmp_path / "after")
    (tmp_path / "after" / "19.png").unlink()
    with pytest.raises(InputError, match="rows 16 to 19"):
        ingest(at(source, tmp_path / "before", tmp_path / "after"), store, images_per_shard=8)


def test_a_link_to_the_source_is_no_other_place(tmp_path):
    store = Store(tmp_path / "data" / "images.zarr", IMAGES)
    source = kaggle(tmp_path / "before")
    ingest(source, store, images_per_shard=8, scheduler="synchronous")
    (tmp_path / "link").symlink_to(tmp_path / "before")
    assert not moved.has_moved(at(source, tmp_path / "before", tmp_path / "link"), store)


@pytest.mark.parametrize("left", ["nothing", "an empty folder"])
def test_a_source_without_files_is_gone(tmp_path, left):
    source = kaggle(tmp_path / "archive")
    photos = FolderSource(kind="folder", path=str(tmp_path / "archive"), table=str(tmp_path / "table.csv"))
    assert not moved.is_gone(source)
    assert moved.is_gone(photos)
    (tmp_path / "table.csv").touch()
    assert not moved.is_gone(photos)
    shutil.rmtree(tmp_path / "archive")
    if left == "an empty folder":
        (tmp_path / "archive").mkdir()
    assert moved.is_gone(source) and moved.is_gone(photos)
    assert not moved.is_gone(SampleSource())

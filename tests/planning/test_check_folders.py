"""Photographs and tables that changed since they were ingested."""

import os
import shutil
import time

import numpy as np
import pytest
from PIL import Image
from plans import changed, pretend_trained

from pipeline.config.paths import Paths
from pipeline.core import lost
from pipeline.core.errors import InputError
from pipeline.dataset.ingest import ingest
from pipeline.planning import check, estimate


def photo_source(tmp_path):
    return {"kind": "folder", "path": str(tmp_path / "photos")}


@pytest.fixture
def folder(planned, tmp_path):
    """A configuration with four ingested photographs in two folders, all an hour old."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / "photos" / name for name in ("a.png", "b.png", "year/c.png", "year/d.png")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (240, 240, 3), np.uint8)).save(path)
    chosen = changed(planned, dataset="photos", datasets={"photos": photo_source(tmp_path)})
    ingest(chosen.datasets["photos"], Paths(chosen).images, images_per_shard=8)
    then = time.time() - 3600
    for path in (*paths, tmp_path / "photos" / "year", tmp_path / "photos", Paths(chosen).images.manifest_path):
        os.utime(path, (then, then))
    return chosen


@pytest.mark.parametrize("change", ["one in a subfolder", "an older one in a subfolder", "one is gone"])
def test_photographs_that_changed_in_their_folder_are_noted_once(folder, tmp_path, change):
    store, photograph = Paths(folder).images, tmp_path / "photos" / "year" / "d.png"
    check.check_data(folder)
    assert lost.notes(store.path) == []
    if change == "one in a subfolder":
        photograph.write_bytes((tmp_path / "photos" / "a.png").read_bytes())
    elif change == "one is gone":
        photograph.unlink()
    else:
        os.utime(shutil.copy2(photograph, tmp_path / "older.png"), (1e9, 1e9))
        (tmp_path / "older.png").rename(photograph.with_name("older.png"))
    check.check_data(folder)
    note = lost.path_of(store.path)
    assert "changed: " in note.read_text() and "year" in note.read_text()
    noted = note.read_bytes()
    check.check_data(folder)
    assert note.read_bytes() == noted
    ingest(folder.datasets["photos"], store, images_per_shard=8, replace=True)
    check.check_data(folder)
    assert note.read_bytes() == noted and note.stat().st_mtime_ns < store.manifest_path.stat().st_mtime_ns


def test_only_photographs_of_the_table_can_change(folder, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("file\na.png\nyear/c.png\nyear/d.png\n")
    chosen = changed(folder, dataset="some", datasets={"some": {**photo_source(tmp_path), "table": str(table)}})
    store = Paths(chosen).images
    assert estimate.count_images(chosen) == 3
    ingest(chosen.datasets["some"], store, images_per_shard=8)
    os.utime(store.manifest_path, (time.time() - 60,) * 2)
    (tmp_path / "photos" / "b.png").touch()
    check.check_data(chosen)
    assert lost.notes(store.path) == []
    (tmp_path / "photos" / "year" / "c.png").touch()
    check.check_data(chosen)
    assert "year/c.png" in lost.path_of(store.path).read_text()


def test_another_table_is_refused(folder, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("file,author\na.png,A\nb.png,B\nyear/c.png,C\n")
    chosen = changed(folder, dataset="some", datasets={"some": {**photo_source(tmp_path), "table": str(table)}})
    ingest(chosen.datasets["some"], Paths(chosen).images, images_per_shard=8)
    table.write_text("author,file\nX,b.png\nY,year/c.png\nZ,a.png\n")  # the same photographs
    check.check_data(chosen)
    for other in ("file\na.png\nb.png\n", "file,group\na.png,x\nb.png,x\nyear/c.png,\n"):
        table.write_text(other)
        with pytest.raises(InputError, match=r"images\.zarr.*table"):
            check.check_data(chosen)
    table.unlink()
    check.check_data(chosen)  # only ingest needs it


def test_a_photograph_of_tomorrow_is_not_new_for_ever(folder, tmp_path):
    tomorrow = time.time() + 86400
    os.utime(tmp_path / "photos" / "b.png", (tomorrow, tomorrow))
    check.check_data(folder)
    assert lost.notes(Paths(folder).images.path) == []


def test_photographs_that_will_be_looked_at_again_are_not_held_against_a_run(folder, tmp_path):
    """The data may be those of the training, restored; otherwise training reports it."""
    pretend_trained(folder, "dot_lr1e-3", images="others")
    with pytest.raises(InputError, match=r"data\.images"):
        check.check_run(folder, "dot_lr1e-3")
    (tmp_path / "photos" / "year" / "c.png").touch()
    check.check_data(folder)
    check.check_run(folder, "dot_lr1e-3")

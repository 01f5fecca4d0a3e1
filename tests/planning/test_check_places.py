"""A source that moved, or that is gone, does not concern what was made from it."""

import shutil

import numpy as np
import pytest
from plans import changed, pretend_trained

from pipeline.config.paths import Paths
from pipeline.core.errors import InputError
from pipeline.dataset import moved
from pipeline.planning import check, estimate

RUN = "dot_lr1e-3"


def move(chosen, tmp_path):
    (tmp_path / "archive").rename(tmp_path / "elsewhere")
    return changed(chosen, datasets={"tiny": {"kind": "kaggle", "path": str(tmp_path / "elsewhere")}})


def test_a_run_stays_the_same_if_its_archive_moves(planned, tmp_path, caplog):
    pretend_trained(planned, RUN)
    before = check.check_run(planned, RUN)
    chosen = move(planned, tmp_path)
    check.check_data(chosen)
    assert check.check_run(chosen, RUN) == before
    assert not moved.has_moved(chosen.datasets["tiny"], Paths(chosen).images)
    assert Paths(chosen).images.manifest()


def test_another_archive_at_another_path_is_refused(planned, tmp_path):
    chosen = move(planned, tmp_path)
    path = tmp_path / "elsewhere" / "ab" / "ab" / "ab1.npy"
    array = np.load(path)
    array[0, 100, 100] = 120, 140
    np.save(path, array)
    with pytest.raises(InputError, match=r"images\.zarr .*elsewhere.*rows 0 to 7"):
        check.check_data(chosen)
    check.check_data(changed(chosen, replace=True))


def test_stored_images_need_no_archive(planned, tmp_path, caplog):
    pretend_trained(planned, RUN)
    before = check.check_run(planned, RUN)
    assert not check.is_ingested(planned)
    shutil.rmtree(tmp_path / "archive")
    check.check_data(planned)
    assert str(tmp_path / "archive") in caplog.text
    assert check.is_ingested(planned) and check.check_run(planned, RUN) == before
    assert estimate.count_images(planned) == 12


@pytest.mark.parametrize("lack", ["limit", "index", "shard", "settings"])
def test_an_archive_that_is_gone_is_needed_for_what_is_not_stored(planned, tmp_path, lack):
    shutil.rmtree(tmp_path / "archive")
    chosen, paths = planned, Paths(planned)
    if lack == "limit":
        chosen = changed(planned, limit=13)
    elif lack == "settings":
        chosen = changed(planned, images_per_shard=16)
    elif lack == "index":
        paths.index.unlink()
    else:
        paths.images.shard_file("L", 0).unlink()
        check.check_data(chosen)
    assert not check.is_ingested(chosen)


def test_results_among_the_photographs_are_refused_before_any_work(planned, tmp_path):
    photographs = {"tiny": {"kind": "folder", "path": str(tmp_path)}}
    with pytest.raises(InputError, match=rf"{tmp_path}: .*contains .*images\.zarr"):
        check.check_data(changed(planned, datasets=photographs, replace=True))

"""Rows of arrays that hold no photograph."""

import pickle

import numpy as np
import pytest
from test_sources_arrays import GOOD_AB, GOOD_L, images, kaggle, refused, write

from pipeline.core.errors import InputError
from pipeline.images import gamut
from pipeline.images.lab import from_rgb

DAMAGES = {
    "ab never written": lambda lightness, ab: ab.fill(0),
    "ab never written in part": lambda lightness, ab: ab[:, 134:].fill(0),
    "L never written": lambda lightness, ab: lightness.fill(0),
    "L never written in part": lambda lightness, ab: lightness[:, :134].fill(0),
    "half 255": lambda lightness, ab: ab[:, :, 112:].fill(255),
    "without the offset": lambda lightness, ab: np.subtract(ab, 128, out=ab),
    "random bytes": lambda lightness, ab: ab.__setitem__(..., np.random.default_rng(0).integers(0, 256, ab.shape)),
}


@pytest.fixture(params=DAMAGES)
def damaged(request, tmp_path):
    """100 rows, those from 60 damaged, most of which no sample of 64 rows sees."""
    lightness, ab = (np.resize(array, (100, *array.shape[1:])) for array in images(4))
    for row in (60, 61, 87, 99):
        DAMAGES[request.param](lightness[row : row + 1], ab[row : row + 1])
    write(tmp_path, gray_scale=lightness, ab1=ab[:50], ab2=ab[50:])
    return lightness, ab


def test_damaged_rows_are_named_wherever_they_are(tmp_path, damaged):
    assert "4 rows of 100 (from 0: 60, 61, 87, …; " in refused(tmp_path)
    assert kaggle(tmp_path, limit=60).n == 60


def test_damaged_rows_are_left_out_if_asked_for(tmp_path, damaged):
    lightness, ab = damaged
    source = pickle.loads(pickle.dumps(kaggle(tmp_path, limit=90, leave_out_damaged=True)))
    assert source.n == 87 == source.describe()["images"] and source.describe()["left_out"] == {"damaged": 3}
    assert [(each.file, each.reason) for each in source.remarks] == [
        ("ab2.npy row 10", "damaged"), ("ab2.npy row 11", "damaged"), ("ab2.npy row 37", "damaged")
    ]  # fmt: skip
    got, rows = source.read(58, 62), [58, 59, 62, 63]
    np.testing.assert_array_equal(got[0], lightness[rows])
    np.testing.assert_array_equal(got[1], ab[rows])
    assert [info.id for info in source.info(58, 62)] == [f"{row:09d}" for row in rows]
    assert len(source.read(80, 99)[0]) == len(source.info(80, 99)) == 7


def test_rows_that_are_all_damaged_cannot_be_left_out(tmp_path):
    write(tmp_path, gray_scale=GOOD_L, ab1=np.random.default_rng(0).integers(0, 256, GOOD_AB.shape, np.uint8))
    with pytest.raises(InputError, match="2 rows of 2"):
        kaggle(tmp_path, leave_out_damaged=True)


def test_no_colour_of_srgb_counts_as_damaged():
    levels = np.arange(256, dtype=np.uint8)
    for channel in range(3):
        for value in (0, 255):  # the faces of the cube
            face = np.insert(np.dstack(np.meshgrid(levels, levels)), channel, value, axis=-1)
            assert gamut.share_outside(*from_rgb(np.repeat(np.repeat(face, gamut.STEP, 0), gamut.STEP, 1))) == 0

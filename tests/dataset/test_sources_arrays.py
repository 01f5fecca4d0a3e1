"""Images in arrays: Kaggle's .npy files and HDF5."""

import pickle
import re

import h5py
import numpy as np
import pytest

from pipeline.config.sources import HDF5Source, KaggleSource
from pipeline.core.errors import InputError
from pipeline.dataset.sources.arrays import FARTHEST_MEAN
from pipeline.dataset.sources.open import open_source
from pipeline.images.lab import from_rgb

L_FILE = "l/gray_scale.npy"


def images(n, seed=0):
    rng = np.random.default_rng(seed)
    gray = rng.integers(30, 226, (n, 224, 224, 1))
    return from_rgb((gray + rng.integers(-30, 31, (n, 224, 224, 3))).astype(np.uint8))


def write(root, **arrays):
    for name, array in arrays.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path.with_suffix(".npy"), array)


def kaggle(root, limit=None, **settings):
    source = KaggleSource(kind="kaggle", path=str(root), **settings)
    return open_source(source, limit=limit, scratch=root / "scratch")


def hdf5(path, limit=None):
    return open_source(HDF5Source(kind="hdf5", path=str(path)), limit=limit, scratch=path.parent / "scratch")


def refused(root):
    with pytest.raises(InputError) as caught:
        kaggle(root)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("layout", ["l__gray_scale ab__ab__ab", "gray_scale ab", "x__l__gray_scale ab__ab"])
def test_the_archive_is_found_in_any_layout(tmp_path, layout):
    lightness, ab = images(4)
    l_name, ab_name = layout.split()
    write(tmp_path, **{l_name: lightness, f"{ab_name}1": ab[:1], f"{ab_name}2": ab[1:]})
    source = kaggle(tmp_path)
    got = source.read(0, 4)
    np.testing.assert_array_equal(got[0], lightness)
    np.testing.assert_array_equal(got[1], ab)
    assert str(tmp_path) not in str(source.describe())
    assert source.describe()["images"] == 4


def test_parts_are_joined_in_numeric_order(tmp_path):
    lightness, ab = images(11)
    write(tmp_path, gray_scale=lightness, **{f"ab{i + 1}": ab[i : i + 1] for i in range(11)})
    source = kaggle(tmp_path)
    np.testing.assert_array_equal(source.read(0, 11)[1], ab)
    assert [info.source for info in source.info(8, 11)] == ["ab9.npy row 0", "ab10.npy row 0", "ab11.npy row 0"]


def test_slices_cross_parts_and_rows_name_their_origin(tmp_path):
    lightness, ab = images(6)
    write(tmp_path, gray_scale=lightness, ab1=ab[:2], ab2=ab[2:5], ab3=ab[5:])
    source = kaggle(tmp_path)
    got = source.read(1, 6)
    np.testing.assert_array_equal(got[0], lightness[1:])
    np.testing.assert_array_equal(got[1], ab[1:])
    infos = source.info(1, 4)
    assert [(i.id, i.group, i.source) for i in infos] == [
        ("000000001", "000000001", "ab1.npy row 1"),
        ("000000002", "000000002", "ab2.npy row 0"),
        ("000000003", "000000003", "ab2.npy row 1"),
    ]
    assert source.read(3, 3)[1].shape == (0, 224, 224, 2)


def test_a_limit_takes_the_first_rows(tmp_path):
    lightness, ab = images(5)
    write(tmp_path, gray_scale=lightness, ab1=ab[:3], ab2=ab[3:])
    source = kaggle(tmp_path, limit=4)
    assert source.n == len(source.read(0, 99)[0]) == len(source.info(0, 99)) == 4
    assert kaggle(tmp_path, limit=99).n == 5


def test_a_channel_axis_of_one_and_fortran_order_are_read(tmp_path):
    lightness, ab = images(3)
    write(tmp_path, gray_scale=np.asfortranarray(lightness[..., None]), ab1=np.asfortranarray(ab))
    got = kaggle(tmp_path).read(0, 3)
    np.testing.assert_array_equal(got[0], lightness)
    np.testing.assert_array_equal(got[1], ab)
    assert got[1].flags.c_contiguous


def test_the_source_survives_pickling_and_is_small(tmp_path):
    lightness, ab = images(3)
    write(tmp_path, gray_scale=lightness, ab1=ab)
    text = pickle.dumps(kaggle(tmp_path))
    assert len(text) < 5000
    np.testing.assert_array_equal(pickle.loads(text).read(0, 3)[1], ab)


GOOD_L, GOOD_AB = images(2)
WRONG_L = {
    "floats": (GOOD_L.astype(np.float32), r"float32.*np\.rint"),
    "big-endian integers": (GOOD_L.astype(">u2"), r">u2.*np\.rint"),
    "unscaled": (np.minimum(GOOD_L, 100), r"100 in 2 rows.*np\.rint\(L \* 2\.55\)"),
    "wrong rank": (GOOD_L[0], r"\(224, 224\)"),
    "colour images": (np.repeat(GOOD_L[..., None], 3, axis=-1), r"\(2, 224, 224, 3\).*kind folder"),
    "channel first": (GOOD_L[:, None], r"L\[:, 0\]"),
    "another size": (GOOD_L[:, :128, :128], r"\(2, 128, 128\).*kind folder"),
    "no rows": (GOOD_L[:0], "no rows"),
}
WRONG_AB = {
    "floats": (GOOD_AB - 128.0, "float64.*np.clip"),
    "signed": ((GOOD_AB.astype(int) - 128).astype(np.int8), "int8.*np.clip"),
    "wrapped around": ((GOOD_AB.astype(int) - 128).astype(np.int8).view(np.uint8), "128.*view"),
    "clipped at zero": (np.maximum(GOOD_AB, 128) - 128, "128.*np.clip"),
    "channels first": (np.moveaxis(GOOD_AB, -1, 1), r"np.moveaxis\(ab, 1, -1\)"),
    "one channel": (GOOD_AB[..., :1], r"\(2, 224, 224, 1\)"),
    "another size": (GOOD_AB[:, :200], r"\(2, 200, 224, 2\).*kind folder"),
    "no rows": (GOOD_AB[:0], "no rows"),
}


@pytest.mark.parametrize(("array", "remedy"), WRONG_L.values(), ids=WRONG_L)
def test_l_in_another_encoding_or_shape_is_refused_with_a_remedy(tmp_path, array, remedy):
    write(tmp_path, l__gray_scale=array, ab1=GOOD_AB)
    message = refused(tmp_path)
    assert message.startswith(str(tmp_path / L_FILE))
    assert re.search(remedy, message)


@pytest.mark.parametrize(("array", "remedy"), WRONG_AB.values(), ids=WRONG_AB)
def test_ab_in_another_encoding_or_shape_is_refused_with_a_remedy(tmp_path, array, remedy):
    write(tmp_path, gray_scale=GOOD_L, ab1=array)
    message = refused(tmp_path)
    assert message.startswith(str(tmp_path / "ab1.npy"))
    assert re.search(remedy, message)


def test_dark_photographs_are_read_if_they_are_said_to_be_dark(tmp_path):
    lightness, ab = from_rgb(np.random.default_rng(0).integers(0, 40, (3, 224, 224, 3), dtype=np.uint8))
    write(tmp_path, gray_scale=lightness, ab1=ab)
    assert lightness.max() < 63 and "`dark: true`" in refused(tmp_path)
    np.testing.assert_array_equal(kaggle(tmp_path, dark=True).read(0, 3)[0], lightness)


@pytest.mark.parametrize("kind", [KaggleSource, HDF5Source])
def test_settings_that_are_off_are_not_recorded(kind):
    assert kind(path="p").model_dump() == {"kind": kind.model_fields["kind"].default, "path": "p"}


def test_no_srgb_colour_looks_like_one_without_the_offset():
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 17, dtype=np.uint8)] * 3), axis=-1)
    ab = from_rgb(cube)[1].astype(int)
    assert np.abs(ab - 128).mean(axis=-1).max() < FARTHEST_MEAN


@pytest.mark.parametrize("rows", [1, 3])
def test_counts_that_differ_are_refused(tmp_path, rows):
    write(tmp_path, gray_scale=GOOD_L, ab1=images(rows)[1])
    assert f"2 of L and {rows} of ab" in refused(tmp_path)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["ab1"], "gray_scale.npy"),
        (["gray_scale"], "ab1.npy"),
        (["gray_scale", "copy__gray_scale", "ab1"], "copy/gray_scale.npy, gray_scale.npy"),
        (["gray_scale", "ab1", "a__ab2", "b__ab2"], "a/ab2.npy, b/ab2.npy"),
        (["gray_scale", "ab1", "ab01"], "ab01.npy, ab1.npy"),
        (["gray_scale", "ab1", "ab3"], "ab2.npy missing"),
        (["gray_scale", "ab2"], "ab1.npy missing"),
        (["gray_scale", "ab0", "ab1"], "ab0.npy"),
    ],
)
def test_missing_and_ambiguous_files_are_refused(tmp_path, names, expected):
    write(tmp_path, **{name: GOOD_L if "gray" in name else GOOD_AB for name in names})
    message = refused(tmp_path)
    assert message.startswith(str(tmp_path))
    assert expected in message


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "absent", tmp_path / "file"):
        assert refused(path).startswith(f"{path}: ")


@pytest.mark.parametrize("broken", ["truncated", "header only", "empty", "text", "pickle", "objects", "npz"])
def test_a_damaged_or_pickled_array_is_refused_and_never_opened(tmp_path, broken):
    write(tmp_path, gray_scale=GOOD_L, ab1=GOOD_AB)
    path = tmp_path / "ab1.npy"
    content = path.read_bytes()
    if broken == "objects":
        np.save(path, np.array([{}, None], object), allow_pickle=True)
    elif broken == "npz":
        np.savez(tmp_path / "x.npz", GOOD_AB)
        (tmp_path / "x.npz").rename(path)
    else:
        path.write_bytes({"truncated": content[:-1], "header only": content[:40], "empty": b"", "text": b"hello, world",
                          "pickle": pickle.dumps([1, 2])}[broken])  # fmt: skip
    message = refused(tmp_path)
    assert message.startswith(f"{path}: ")
    assert {"npz": "np.save", "truncated": "truncated"}.get(broken, "") in message


def test_an_array_exchanged_after_opening_is_noticed(tmp_path):
    write(tmp_path, gray_scale=GOOD_L, ab1=GOOD_AB)
    source = kaggle(tmp_path)
    write(tmp_path, ab1=GOOD_AB[:1])
    with pytest.raises(InputError, match=r"gray_scale\.npy"):
        source.read(0, 2)


@pytest.mark.parametrize("axis", [False, True], ids=["(n, 224, 224)", "(n, 224, 224, 1)"])
def test_hdf5_is_read_in_slices(tmp_path, axis):
    lightness, ab = images(4)
    path = tmp_path / "photos.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("L", data=lightness[..., None] if axis else lightness, compression="gzip")
        file["ab"] = ab
    source = pickle.loads(pickle.dumps(hdf5(path, limit=3)))
    assert source.n == 3
    got = source.read(1, 3)
    np.testing.assert_array_equal(got[0], lightness[1:3])
    np.testing.assert_array_equal(got[1], ab[1:3])
    assert source.info(2, 3)[0].source == "photos.h5 row 2"
    assert source.describe() == {"kind": "hdf5", "files": ["photos.h5"], "images": 3}


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        ({}, "L$"),
        ({"L": GOOD_L, "AB": GOOD_AB}, "AB, L; .* ab$"),
        ({"L": GOOD_L, "ab/part": GOOD_AB}, "ab; .* ab$"),
        ({"L": GOOD_L, "ab": np.moveaxis(GOOD_AB, -1, 1)}, "dataset ab: .*np.moveaxis"),
        ({"L": GOOD_L / 2.55, "ab": GOOD_AB}, "dataset L: .*np.rint"),
        ({"L": GOOD_L, "ab": GOOD_AB[:1]}, "2 of L and 1 of ab"),
        ({"L": 3, "ab": GOOD_AB}, r"dataset L: .*the shape \(\)"),
    ],
    ids=["empty", "misnamed", "group", "axes", "floats", "counts", "scalar"],
)
def test_hdf5_passes_the_same_checks(tmp_path, content, remedy):
    path = tmp_path / "photos.h5"
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            file[name] = value
    with pytest.raises(InputError, match=remedy) as caught:
        hdf5(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("content", [None, b"", b"not HDF5", "truncated"])
def test_a_file_that_is_not_hdf5_is_refused(tmp_path, content):
    path = tmp_path / "photos.h5"
    if content == "truncated":
        with h5py.File(path, "w") as file:
            file["L"], file["ab"] = GOOD_L, GOOD_AB
        path.write_bytes(path.read_bytes()[:-1000])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"photos\.h5: .*`path`"):
        hdf5(path)

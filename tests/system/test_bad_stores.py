"""Bad stores, tables and weights: one clear line, exit code 2, and nothing written."""

import os
import shutil

import h5py
import numpy as np
import pytest
import zarr
from bad_input import AB, GOOD_HDF5, L, assert_refused, entries, folder, kaggle, pipe, put

from pipeline.core import files


def zarr_2(path):
    zarr.open_group(path, mode="w", zarr_format=2).create_array("L", shape=(2,), dtype="u1")


def foreign(path):
    zarr.open_group(path, mode="w", zarr_format=3, attributes={"deepcolor": "yes"})


def of_another_format(path):
    path.with_suffix(".json").unlink()
    group = zarr.open_group(path, mode="r+", zarr_format=3)
    value = {**group.attrs.asdict()["deepcolor"], "format": 99}
    value.pop(files.CHECKSUM)
    group.attrs.put({"deepcolor": {**value, files.CHECKSUM: files.fingerprint(value)}})


def metadata(text):
    return lambda path: [path.mkdir(), (path / "zarr.json").write_text(text)]


# id: (what is made in the place of images.zarr, what the message says beside its name)
WRONG_STORES = {
    "zarr 2": (zarr_2, "expected a"),
    "a foreign group": (foreign, "received another zarr group"),
    "an empty folder": (folder, "expected a zarr store of DeepColor, received none; run "),
    "nothing": (lambda path: None, "expected a zarr store of DeepColor, received none; run "),
    "a file": (lambda path: path.write_bytes(b"x"), "expected a zarr store of DeepColor"),
    "a pipe": (pipe, "expected a zarr store of DeepColor"),
    "no JSON": (metadata("{"), "expected a zarr store of DeepColor"),
    "deep JSON": (metadata("[" * 100_000), "expected a zarr store of DeepColor"),
    "another format": (of_another_format, "expected store format 2, received 99"),
}


@pytest.mark.parametrize(("make", "said"), WRONG_STORES.values(), ids=WRONG_STORES)
def test_what_is_no_store_of_ours_is_not_shown(call, dataset, make, said):
    path = dataset.images.path
    if make is not of_another_format:
        shutil.rmtree(path)
    make(path)
    before = entries(dataset.folder)
    assert_refused(call(["inspect", path]), str(path), said)
    assert entries(dataset.folder) == before


@pytest.mark.parametrize("make", [zarr_2, foreign, metadata("{"), metadata("[" * 100_000), metadata("{}")])
def test_what_is_no_store_of_ours_is_not_overwritten(call, tmp_path, make):
    make(tmp_path / "mine.zarr")
    before = entries(tmp_path)
    assert_refused(call(["ingest", "--images", "mine.zarr", "--limit", "2"]), "mine.zarr")
    assert entries(tmp_path) == before


def test_a_store_of_another_format_is_not_overwritten(call, dataset):
    of_another_format(dataset.images.path)
    before = entries(dataset.folder)
    assert_refused(call(["ingest", "--images", dataset.images.path]), "images.zarr", "expected store format 2")
    assert entries(dataset.folder) == before


# id: (a file of a dataset, its new content, the stage that reads it)
WRONG_TABLES = {
    "manifest, empty": ("images.json", b"", "split"),
    "manifest, a list": ("images.json", b"[1]", "split"),
    "manifest, deep": ("images.json", b"[" * 100_000, "split"),
    "manifest, of nothing": ("images.json", b"{}", "split"),
    "manifest, a number": ("images.json", b'{"fingerprint": ' + b"9" * 5000 + b"}", "split"),
    "manifest, not UTF-8": ("images.json", b"\xff", "split"),
    "manifest, a folder": ("images.json", folder, "split"),
    "manifest, a pipe": ("images.json", pipe, "split"),
    "index, empty": ("index.csv", b"", "split"),
    "index, other columns": ("index.csv", b"a,b\n1,2\n", "split"),
    "index, few rows": ("index.csv", b"id,group,source,digest,flags\na,a,a,a,\n", "split"),
    "index, rows cut short": ("index.csv", b"id,group,source,digest,flags\n" + b"a\n" * 15, "split"),
    "index, an endless field": ("index.csv", b'id,group,source,digest,flags\n"' + b"a" * 200_000, "split"),
    "index, NUL": ("index.csv", b"id,group,source,digest,flags\n" + b"\0" * 99, "split"),
    "index, a pipe": ("index.csv", pipe, "split"),
    "split, cut": ("splits.csv", b"index,id,group,partition\n0,a,a,train\n", "baselines"),
    "split, its manifest cut": ("splits.json", b'{"sha256": ', "baselines"),
}


@pytest.mark.parametrize(("name", "content", "stage"), WRONG_TABLES.values(), ids=WRONG_TABLES)
def test_a_damaged_table_is_named(call, dataset, name, content, stage):
    for each in [name, *(["splits.csv", "splits.json"] if stage == "split" else [])]:
        (dataset.folder / each).unlink()
    put(dataset.folder / name, content)
    before = entries(dataset.folder)
    result = call([stage, "--set", "dataset=tiny", "--set", "datasets.tiny={kind: sample}"])
    assert_refused(result, name)
    assert entries(dataset.folder) == before


@pytest.mark.parametrize(("copies", "images"), [(1, 2), (5, 5)], ids=["two images", "one image five times"])
def test_fewer_groups_than_partitions_are_refused(call, tmp_path, copies, images):
    arrays = (L, AB) if copies == 1 else (L[[0] * images], AB[[0] * images])
    assert call(kaggle(arrays[0], [arrays[1]])(tmp_path)).exit_code == 0
    before = entries(tmp_path)
    result = call(["split", "--set", "dataset=x", "--set", "datasets.x={kind: sample}"])
    groups = len({row.tobytes() for row in arrays[0]})
    expected = f"received {groups} ({images} images); add photographs"
    assert_refused(result, "split: ", expected)
    assert entries(tmp_path) == before


@pytest.mark.parametrize(
    ("weights", "said"),
    [("absent.h5", "is not a file"), ("weights.txt", "expected random, imagenet or the path of an .h5 file"),
     ("folder.h5", "is not a file"), ("pipe.h5", "is not a file"), ("imagenet\0", "expected random, imagenet or")],
)  # fmt: skip
def test_weights_that_are_no_file_are_refused(call, dataset, tmp_path, weights, said):
    (tmp_path / "folder.h5").mkdir()
    os.mkfifo(tmp_path / "pipe.h5")
    (tmp_path / "mine.yaml").write_text(
        f'dataset: tiny\ndatasets: {{tiny: {{kind: sample}}}}\nembedding: {{weights: "{weights}"}}'.replace("\0", "\\0")
    )
    before = entries(tmp_path)
    assert_refused(call(["baselines", "--config", "mine.yaml"]), "embedding.weights: ", said)
    assert entries(tmp_path) == before


def other_network(path):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file["dense/kernel"] = np.zeros((3, 4), np.float32)


@pytest.mark.long
@pytest.mark.parametrize(
    "content",
    [b"", b"hello", GOOD_HDF5[:-5], GOOD_HDF5, other_network],
    ids=["empty", "text", "cut", "arrays", "other"],
)
def test_weights_of_another_kind_are_refused(call, dataset, tmp_path, content, keras):
    for path in [*dataset.folder.glob("embed*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    put(tmp_path / "weights.h5", content)
    before = entries(tmp_path)
    settings = ["dataset=tiny", "datasets.tiny={kind: sample}", "embedding.weights=weights.h5"]
    result = call(["embed", *(part for setting in settings for part in ("--set", setting))])
    assert result.exit_code == 2
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: embedding.weights: ")
    assert "weights.h5" in last and "Inception-ResNet-v2" in last
    assert entries(tmp_path) == before

"""Stores: reading, manifests, growth, and the refusal of other files and settings."""

import numpy as np
import pytest
import xarray
import zarr
from vectors import MADE, ROWS, VALUES, VECTORS, fill

from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.inspection.describe import open_store
from pipeline.storage.layouts import IMAGES
from pipeline.storage.store import Store


def test_shards_are_read_back_as_written_and_the_last_is_shorter(store):
    assert (store.rows(), store.rows_per_shard(), store.shard_count()) == (ROWS, 8, 3)
    assert [store.span(shard) for shard in range(3)] == [(0, 8), (8, 16), (16, 19)]
    np.testing.assert_array_equal(store.read("embedding", 0, ROWS), VALUES[:ROWS])
    np.testing.assert_array_equal(store.read("embedding", 7, 17), VALUES[7:17])
    spans = list(store.read_spans("embedding"))
    assert [span[:2] for span in spans] == [(0, 8), (8, 16), (16, 19)]
    np.testing.assert_array_equal(np.concatenate([span[2] for span in spans]), VALUES[:ROWS])


def test_the_manifest_requires_every_shard_and_lists_digests(store, tmp_path):
    with pytest.raises(InputError, match=r"\.json\b"):
        store.manifest()
    store.complete({}, images="abc")
    manifest = store.manifest()
    assert (manifest["rows"], manifest["shards"], manifest["images"]) == (ROWS, 3, "abc")
    assert manifest["settings"] == MADE["settings"]
    assert manifest["metadata"]["zarr.json"] == files.digest_file(store.path / "zarr.json")
    twin = Store(tmp_path / "twin.zarr", VECTORS)
    twin.create(ROWS, 8, MADE)
    fill(twin)
    twin.complete({})
    assert twin.manifest()["fingerprint"] == manifest["fingerprint"]
    twin.write_shard(1, {"embedding": -VALUES[8:16]})
    twin.complete({})
    assert twin.manifest()["fingerprint"] != manifest["fingerprint"]
    (twin.records / "000001.json").unlink()
    with pytest.raises(InputError, match=r"shards \[1\] are unfinished"):
        twin.complete({})


def test_growing_keeps_finished_shards_except_a_partial_one(store):
    store.complete({})
    before = [store.shard_file("embedding", shard).read_bytes() for shard in range(2)]
    store.create(30, 8, MADE)
    assert not store.manifest_path.exists()
    assert [store.finished(shard, input="x") for shard in range(4)] == [True, True, False, False]
    assert [store.shard_file("embedding", shard).read_bytes() for shard in range(2)] == before
    fill(store, (2, 3))
    np.testing.assert_array_equal(store.read("embedding", 0, 30), VALUES[:30])


def test_shrinking_requires_replace_and_removes_the_shards_beyond(store):
    with pytest.raises(InputError, match=r"\(images: 19, now 10\)"):
        store.create(10, 8, MADE)
    assert store.rows() == ROWS and store.finished(2)
    store.create(10, 8, MADE, replace=True)
    assert [path.name for path in sorted(store.records.iterdir())] == ["000000.json", "000001.json"]
    assert [store.finished(shard) for shard in range(2)] == [True, False]
    store.create(ROWS, 8, MADE)
    assert not store.finished(2)


def test_other_settings_are_refused_unless_replaced(store):
    other = {**MADE, "settings": {"seed": 2, "network": {"weights": "imagenet"}}}
    with pytest.raises(InputError) as caught:
        store.create(ROWS, 8, other)
    message = str(caught.value)
    assert "network.weights: 'random', now 'imagenet'; seed: 1, now 2" in message
    assert "--replace" in message and "root=" in message
    assert store.finished(0, input="x")
    store.create(ROWS, 8, other, replace=True)
    assert store.attributes()["settings"] == other["settings"]
    assert not any(store.finished(shard) or store.shard_file("embedding", shard).exists() for shard in range(3))


def test_other_versions_are_accepted_and_recorded(store):
    store.create(ROWS, 8, {**MADE, "versions": {"zarr": "9"}})
    assert store.attributes()["versions"] == {"zarr": "9"}
    assert store.finished(0, input="x")


def test_a_partly_created_store_is_completed(tmp_path, store):
    part = Store(tmp_path / "part.zarr", VECTORS)
    part.path.mkdir()
    (part.path / "zarr.json").write_bytes((store.path / "zarr.json").read_bytes())
    part.create(ROWS, 8, MADE)
    fill(part)
    np.testing.assert_array_equal(part.read("embedding", 0, ROWS), VALUES[:ROWS])


def test_xarray_opens_a_store_with_named_dimensions(store, prepared):
    with xarray.open_zarr(store.path, consolidated=False) as opened:
        assert opened["embedding"].dims == ("image", "feature")
        np.testing.assert_array_equal(opened["embedding"].values, VALUES[:ROWS])
        assert opened.attrs["deepcolor"]["settings"] == MADE["settings"]
    with xarray.open_zarr(prepared.images.path, consolidated=False) as opened:
        assert opened["L"].dims == ("image", "y", "x") and opened["ab"].dims == ("image", "y", "x", "channel")
        assert dict(opened.sizes) == {"image": 15, "y": 224, "x": 224, "channel": 2}


def foreign(path, kind):
    if kind == "zarr 3 group":
        zarr.open_group(path, mode="w", zarr_format=3).create_array("L", shape=(3,), dtype="i4")
    elif kind == "zarr 2 group":
        zarr.open_group(path, mode="w", zarr_format=2).create_array("L", shape=(3,), dtype="i4")
    elif kind == "zarr 3 array":
        zarr.create_array(path, shape=(3,), dtype="i4")
    elif kind == "folder of other files":
        path.mkdir()
        (path / "photo.jpg").write_bytes(b"precious")
    else:
        path.mkdir()
        (path / "zarr.json").write_text(kind)


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(
    "kind",
    ["zarr 3 group", "zarr 2 group", "zarr 3 array", "folder of other files", "{", "[]", "{}",
     '{"zarr_format": 3, "node_type": "group", "attributes": {"deepcolor": {"kind": ["images"]}}}',
     '{"zarr_format": 3, "node_type": "group", "attributes": {"deepcolor": {"kind": "embeddings", "format": 99}}}'],
)  # fmt: skip
def test_other_files_are_refused_and_left_alone(tmp_path, kind, replace):
    path = tmp_path / "embeddings.zarr"
    foreign(path, kind)
    before = {entry: entry.read_bytes() for entry in path.rglob("*") if entry.is_file()}
    with pytest.raises(InputError, match=r"embeddings\.zarr"):
        Store(path, VECTORS).create(5, 8, MADE, replace=replace)
    with pytest.raises(InputError, match=r"embeddings\.zarr"):
        open_store(path)
    assert {entry: entry.read_bytes() for entry in path.rglob("*") if entry.is_file()} == before


def test_a_store_of_the_other_kind_is_refused(store):
    with pytest.raises(InputError, match=r"images,.* embeddings"):
        Store(store.path, IMAGES).create(5, 8, MADE, replace=True)
    assert store.finished(0)
    assert open_store(store.path).read("embedding", 0, ROWS).tobytes() == VALUES[:ROWS].tobytes()
    with pytest.raises(InputError, match="received none"):
        Store(store.path.with_name("absent.zarr"), IMAGES).rows()

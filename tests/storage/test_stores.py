"""Stores: whole shards, checksums, records, growth, and what is no store of ours."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray
import zarr
from tiny import INCEPTION, photographs, tree

from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.inspection.describe import describe, open_store
from pipeline.storage.layouts import IMAGES
from pipeline.storage.store import Store

MADE = {"settings": {"seed": 1, "network": {"weights": "random"}}, "versions": {}}
ROWS = 19  # two shards of 8 and one of 3
VALUES = np.random.default_rng(0).normal(size=(64, 1000)).astype(np.float32)

VECTORS = INCEPTION.layout()


def fill(store, shards=None, **facts):
    for shard in range(store.shard_count()) if shards is None else shards:
        store.write_shard(shard, {"embedding": VALUES[slice(*store.span(shard))]}, **facts)


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "embeddings.zarr", VECTORS)
    made.create(ROWS, 8, MADE)
    fill(made, input="x")
    return made


def test_shards_are_read_back_as_written_and_the_last_is_shorter(store):
    assert (store.rows(), store.rows_per_shard(), store.shard_count()) == (ROWS, 8, 3)
    assert [store.span(shard) for shard in range(3)] == [(0, 8), (8, 16), (16, 19)]
    np.testing.assert_array_equal(store.read("embedding", 0, ROWS), VALUES[:ROWS])
    np.testing.assert_array_equal(store.read("embedding", 7, 17), VALUES[7:17])
    spans = list(store.read_spans("embedding"))
    assert [span[:2] for span in spans] == [(0, 8), (8, 16), (16, 19)]
    np.testing.assert_array_equal(np.concatenate([span[2] for span in spans]), VALUES[:ROWS])


def test_a_shard_is_one_file_compressed_and_checksummed(tmp_path):
    store = Store(tmp_path / "images.zarr", IMAGES)
    store.create(20, 16, MADE)
    lightness = np.arange(20, dtype=np.uint8)[:, None, None].repeat(224, 1).repeat(224, 2)
    for shard in range(2):
        part = lightness[slice(*store.span(shard))]
        store.write_shard(shard, {"L": part, "ab": np.stack([part, part], axis=-1)})
    assert sorted(str(path.relative_to(store.path)) for path in store.path.rglob("*") if path.is_file()) == [
        "L/c/0/0/0", "L/c/1/0/0", "L/zarr.json", "ab/c/0/0/0/0", "ab/c/1/0/0/0", "ab/zarr.json", "zarr.json"
    ]  # fmt: skip
    array = store.array("ab")
    assert (array.shape, array.shards, array.chunks) == ((20, 224, 224, 2), (16, 224, 224, 2), (4, 224, 224, 2))
    codecs = describe(store)["arrays"]["ab"]["codecs"]
    assert any("zstd" in codec and "'checksum': True" in codec for codec in codecs)
    assert store.shard_file("ab", 0).stat().st_size < 16 * 224 * 224 * 2 / 10


def written_by_zarr(store, tmp_path, **values):
    """The files of all shards, as zarr writes them."""
    plain = tmp_path / "plain.zarr"
    for path in store.path.rglob("zarr.json"):
        (plain / path.relative_to(store.path)).parent.mkdir(parents=True, exist_ok=True)
        (plain / path.relative_to(store.path)).write_bytes(path.read_bytes())
    group = zarr.open_group(plain, mode="r+")
    with zarr.config.set({"array.write_empty_chunks": True}):
        for name, rows in values.items():
            group[name][:] = rows
    return {name: content for name, content in tree(plain).items() if "/c/" in name}


def shard_files(store):
    return {name: content for name, content in tree(store.path).items() if "/c/" in name}


def test_the_bytes_are_those_that_zarr_itself_writes_whatever_is_read_meanwhile(tmp_path):
    store = Store(tmp_path / "embeddings.zarr", VECTORS)
    values = VALUES.round(1)  # can be compressed
    store.create(57, 32, MADE)  # the last shard lacks a chunk, and rows of another one
    store.write_shard(0, {"embedding": values[:32]})
    with ThreadPoolExecutor(8) as pool:
        for _ in range(64):
            pool.submit(lambda: Store(store.path, VECTORS).read("embedding", 0, 32))
        pool.submit(store.write_shard, 1, {"embedding": values[32:57]}).result()
    assert shard_files(store) == written_by_zarr(store, tmp_path, embedding=values[:57])


def test_the_bytes_of_images_are_those_that_zarr_itself_writes(tmp_path):
    store = Store(tmp_path / "images.zarr", IMAGES)
    store.create(14, 12, MADE)
    lightness, ab = photographs(14)
    lightness[:4], ab[4:8] = 0, 0  # chunks of nothing but the value that missing ones read as
    for shard in range(2):
        rows = slice(*store.span(shard))
        store.write_shard(shard, {"L": lightness[rows], "ab": ab[rows]})
    assert shard_files(store) == written_by_zarr(store, tmp_path, L=lightness, ab=ab)


def test_several_that_write_one_shards_file_do_not_meet(tmp_path, monkeypatch):
    """As a worker of a cluster may that was given up."""
    monkeypatch.setattr(files, "write_json", lambda path, value: None)  # the record
    store = Store(tmp_path / "embeddings.zarr", VECTORS)
    store.create(64, 64, MADE)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(Store(store.path, VECTORS).write_shard, 0, {"embedding": VALUES}) for _ in range(40)]
        told = [call.result()["files"] for call in calls]
    content = store.shard_file("embedding", 0).read_bytes()
    assert all(each == {"embedding": files.digest_bytes(content)} for each in told)
    assert list(shard_files(store)) == ["embedding/c/0/0"]


@pytest.mark.parametrize(
    ("values", "error"),
    [(VALUES[:7], ValueError), (VALUES[:8, :999], ValueError), (VALUES[:8].astype(complex), TypeError)],
)
def test_rows_that_do_not_fit_the_array_are_never_written(store, values, error):
    before = tree(store.path)
    with pytest.raises(error):
        store.write_shard(0, {"embedding": values})
    assert tree(store.path) == before
    assert not store.finished(0)


def test_zeros_are_data_and_not_mistaken_for_missing(tmp_path):
    store = Store(tmp_path / "images.zarr", IMAGES)
    store.create(8, 8, MADE)
    store.write_shard(0, {"L": np.zeros((8, 224, 224), np.uint8), "ab": np.zeros((8, 224, 224, 2), np.uint8)})
    assert store.shard_file("L", 0).exists() and store.shard_file("ab", 0).exists()
    assert store.finished(0)
    assert not store.read("ab", 0, 8).any()


def test_a_missing_shard_is_an_error_and_not_fill_values(store):
    store.shard_file("embedding", 1).unlink()
    np.testing.assert_array_equal(store.read("embedding", 0, 8), VALUES[:8])
    for start, stop in ((8, 9), (0, ROWS), (15, 17)):
        with pytest.raises(
            InputError, match=r"c/1/0 \(embedding of images 8 to 15\) is missing; run `python -m stages verify`"
        ):
            Store(store.path, VECTORS).read("embedding", start, stop)
    with pytest.raises(InputError, match=r"c/1/0 \(embedding of images 8 to 15\) is missing"):
        list(store.read_spans("embedding"))
    assert [store.intact(shard) for shard in range(3)] == [True, False, True]
    assert not store.finished(1, input="x")


def test_one_flipped_bit_anywhere_never_gives_other_values(store):
    path = store.shard_file("embedding", 0)
    whole = path.read_bytes()
    frame_ends = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, len(whole) - 1, len(whole) - 8, len(whole) - 21]
    random = np.random.default_rng(0).integers(0, len(whole), 150).tolist()
    refused = 0
    for position in frame_ends + random:
        for bit in range(8) if position in frame_ends else (position % 8,):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            assert not store.intact(0)
            assert not store.finished(0, input="x")
            with pytest.raises(InputError, match="is damaged"):
                store.read("embedding", 0, 8)
            refused += sum(refuses_or_gives_what_was_written(store, row) for row in range(8))
    # A bit in the index makes all eight rows unreadable, one in a chunk its four.
    assert refused >= 4 * (15 * 8 + 150)
    path.write_bytes(whole)
    assert store.finished(0, input="x")


def refuses_or_gives_what_was_written(store, row):
    """Whether one row, which shares a shard with others, is refused."""
    try:
        values = Store(store.path, VECTORS).read("embedding", row, row + 1)
    except InputError:
        return True
    np.testing.assert_array_equal(values, VALUES[row : row + 1])
    return False


def test_rows_of_a_part_of_a_shard_are_compared_with_their_chunks_alone(store):
    path = store.shard_file("embedding", 0)
    content = bytearray(path.read_bytes())
    content[100] ^= 1  # of the first chunk
    path.write_bytes(content)
    np.testing.assert_array_equal(store.read("embedding", 4, 8), VALUES[4:8])
    for start, stop in ((0, 1), (3, 5), (0, 8)):
        with pytest.raises(InputError, match=r"c/0/0 \(embedding of images 0 to 7\) is damaged"):
            store.read("embedding", start, stop)
    other = store.shard_file("embedding", 1)
    path.write_bytes(other.read_bytes())  # whole, but another shard's
    with pytest.raises(InputError, match="is damaged"):
        Store(store.path, VECTORS).read("embedding", 5, 6)


def test_records_without_checksums_of_chunks_have_the_whole_file_compared(store):
    record = store.record(0)
    del record["chunks"]
    files.write_json(store.record_path(0), record)
    np.testing.assert_array_equal(store.read("embedding", 5, 6), VALUES[5:6])
    path = store.shard_file("embedding", 0)
    content = bytearray(path.read_bytes())
    content[100] ^= 1  # of another chunk
    path.write_bytes(content)
    np.testing.assert_array_equal(store.read("embedding", 6, 8), VALUES[6:8])  # the file is not read again
    with pytest.raises(InputError, match="is damaged"):
        Store(store.path, VECTORS).read("embedding", 5, 6)


@pytest.mark.parametrize("cut", [0, 100])
def test_a_truncated_shard_is_an_error(store, cut):
    path = store.shard_file("embedding", 2)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"c/2/0 \(embedding of images 16 to 18\) is damaged"):
        store.read("embedding", 16, 19)
    assert not store.intact(2)


def test_a_record_decides_whether_a_shard_is_finished(store):
    assert store.finished(0) and store.finished(0, input="x")
    assert not store.finished(0, input="y") and not store.finished(0, other=1)
    record = store.records / "000000.json"
    good = record.read_text()
    for text in ("", "{}", "[]", good.replace('"rows": [\n    0', '"rows": [\n    1')):
        record.write_text(text)
        assert not store.finished(0, input="x")
    record.unlink()
    assert store.record(0) is None and not store.intact(0)
    record.write_text(good)
    assert store.finished(0, input="x")


def test_a_damaged_shard_is_written_over_the_same_bytes_as_before(store):
    """The last one holds less than a chunk, the rest of which is not taken from what was there."""
    file = store.shard_file("embedding", 2)
    before = file.read_bytes()
    file.write_bytes(bytes(200) + before[200:])
    fill(store, [2], input="x")
    assert file.read_bytes() == before


def test_a_shard_has_no_record_while_it_is_written(store):
    with pytest.raises(KeyError):
        store.write_shard(0, {"other": VALUES[:8]}, input="x")
    assert not store.finished(0, input="x")


def test_the_manifest_wants_every_shard_and_names_the_bytes(store, tmp_path):
    with pytest.raises(InputError, match="incomplete"):
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


def test_growing_keeps_finished_shards_and_makes_the_partial_one_again(store):
    store.complete({})
    before = [store.shard_file("embedding", shard).read_bytes() for shard in range(2)]
    store.create(30, 8, MADE)
    assert not store.manifest_path.exists()
    assert [store.finished(shard, input="x") for shard in range(4)] == [True, True, False, False]
    assert [store.shard_file("embedding", shard).read_bytes() for shard in range(2)] == before
    fill(store, (2, 3))
    np.testing.assert_array_equal(store.read("embedding", 0, 30), VALUES[:30])


def test_shrinking_wants_replace_and_forgets_what_is_beyond(store):
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


def test_other_versions_are_taken_and_noted(store):
    store.create(ROWS, 8, {**MADE, "versions": {"zarr": "9"}})
    assert store.attributes()["versions"] == {"zarr": "9"}
    assert store.finished(0, input="x")


def test_a_store_whose_making_was_cut_off_is_taken_up(tmp_path, store):
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
def test_what_is_no_store_of_ours_is_refused_and_left_alone(tmp_path, kind, replace):
    path = tmp_path / "embeddings.zarr"
    foreign(path, kind)
    before = {entry: entry.read_bytes() for entry in path.rglob("*") if entry.is_file()}
    with pytest.raises(InputError, match=r"embeddings\.zarr"):
        Store(path, VECTORS).create(5, 8, MADE, replace=replace)
    with pytest.raises(InputError, match=r"embeddings\.zarr"):
        open_store(path)
    assert {entry: entry.read_bytes() for entry in path.rglob("*") if entry.is_file()} == before


def test_a_store_of_the_other_kind_is_refused(store):
    with pytest.raises(InputError, match="expected a store of images, received one of embeddings"):
        Store(store.path, IMAGES).create(5, 8, MADE, replace=True)
    assert store.finished(0)
    assert open_store(store.path).read("embedding", 0, ROWS).tobytes() == VALUES[:ROWS].tobytes()
    with pytest.raises(InputError, match="received none"):
        Store(store.path.with_name("absent.zarr"), IMAGES).rows()

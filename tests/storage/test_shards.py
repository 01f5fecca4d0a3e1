"""Shards: their bytes, their records, and the detection of damage."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr
from tiny import photographs, tree
from vectors import MADE, ROWS, VALUES, VECTORS, fill

from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.inspection.describe import describe
from pipeline.storage.layouts import IMAGES
from pipeline.storage.store import Store


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
    """Write the arrays with zarr alone, and return the files of all shards."""
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


def test_shards_have_the_bytes_that_zarr_writes_even_while_others_read(tmp_path):
    store = Store(tmp_path / "embeddings.zarr", VECTORS)
    values = VALUES.round(1)  # can be compressed
    store.create(57, 32, MADE)  # the last shard lacks one chunk and part of another
    store.write_shard(0, {"embedding": values[:32]})
    with ThreadPoolExecutor(8) as pool:
        for _ in range(64):
            pool.submit(lambda: Store(store.path, VECTORS).read("embedding", 0, 32))
        pool.submit(store.write_shard, 1, {"embedding": values[32:57]}).result()
    assert shard_files(store) == written_by_zarr(store, tmp_path, embedding=values[:57])


def test_shards_of_images_have_the_bytes_that_zarr_writes(tmp_path):
    store = Store(tmp_path / "images.zarr", IMAGES)
    store.create(14, 12, MADE)
    lightness, ab = photographs(14)
    lightness[:4], ab[4:8] = 0, 0  # chunks that hold only the fill value
    for shard in range(2):
        rows = slice(*store.span(shard))
        store.write_shard(shard, {"L": lightness[rows], "ab": ab[rows]})
    assert shard_files(store) == written_by_zarr(store, tmp_path, L=lightness, ab=ab)


def test_concurrent_writers_of_one_shard_do_not_disturb_each_other(tmp_path, monkeypatch):
    """A worker of a cluster may go on writing after the scheduler has given it up."""
    monkeypatch.setattr(files, "write_json", lambda path, value: None)  # the record
    store = Store(tmp_path / "embeddings.zarr", VECTORS)
    store.create(64, 64, MADE)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(Store(store.path, VECTORS).write_shard, 0, {"embedding": VALUES}) for _ in range(40)]
        digests = [call.result()["files"] for call in calls]
    content = store.shard_file("embedding", 0).read_bytes()
    assert all(digest == {"embedding": files.digest_bytes(content)} for digest in digests)
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
        with pytest.raises(InputError, match=r"c/1/0 \(embedding of images 8 to 15\) .*python -m stages verify"):
            Store(store.path, VECTORS).read("embedding", start, stop)
    with pytest.raises(InputError, match=r"c/1/0 \(embedding of images 8 to 15\)"):
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
            refused += sum(refuses_or_returns_the_original(store, row) for row in range(8))
    # A bit in the index makes all eight rows unreadable, one in a chunk its four.
    assert refused >= 4 * (15 * 8 + 150)
    path.write_bytes(whole)
    assert store.finished(0, input="x")


def refuses_or_returns_the_original(store, row):
    """Whether one row of a shard is refused; otherwise check its values."""
    try:
        values = Store(store.path, VECTORS).read("embedding", row, row + 1)
    except InputError:
        return True
    np.testing.assert_array_equal(values, VALUES[row : row + 1])
    return False


def test_reading_part_of_a_shard_checks_only_its_chunks(store):
    path = store.shard_file("embedding", 0)
    content = bytearray(path.read_bytes())
    content[100] ^= 1  # of the first chunk
    path.write_bytes(content)
    np.testing.assert_array_equal(store.read("embedding", 4, 8), VALUES[4:8])
    for start, stop in ((0, 1), (3, 5), (0, 8)):
        with pytest.raises(InputError, match=r"c/0/0 \(embedding of images 0 to 7\)"):
            store.read("embedding", start, stop)
    other = store.shard_file("embedding", 1)
    path.write_bytes(other.read_bytes())  # whole, but another shard's
    with pytest.raises(InputError, match="is damaged"):
        Store(store.path, VECTORS).read("embedding", 5, 6)


def test_without_checksums_of_chunks_the_complete_file_is_checked(store):
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
    with pytest.raises(InputError, match=r"c/2/0 \(embedding of images 16 to 18\)"):
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


def test_a_damaged_shard_is_overwritten_with_its_original_bytes(store):
    """The last shard has less than a chunk; the rest of the chunk must not come from the damaged file."""
    file = store.shard_file("embedding", 2)
    before = file.read_bytes()
    file.write_bytes(bytes(200) + before[200:])
    fill(store, [2], input="x")
    assert file.read_bytes() == before


def test_a_shard_has_no_record_while_it_is_written(store):
    with pytest.raises(KeyError):
        store.write_shard(0, {"other": VALUES[:8]}, input="x")
    assert not store.finished(0, input="x")

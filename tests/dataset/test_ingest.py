"""Ingest, on a small set in Kaggle's layout."""

import contextlib

import numpy as np
import pytest
from tiny import photographs, tree, write_kaggle

from pipeline.core import csv_files, files
from pipeline.core.errors import InputError
from pipeline.dataset.index import INDEX_COLUMNS, REPORT_COLUMNS, merge_duplicates, read_index
from pipeline.dataset.ingest import ingest
from pipeline.images import lab
from pipeline.storage.layouts import IMAGES
from pipeline.storage.store import Store

N, CUTS = 21, [5, 16]  # three parts of ab; shards of 8, 8 and 5


@pytest.fixture(scope="module")
def arrays():
    lightness, ab = photographs(N, seed=1)
    lightness[11], ab[11] = lightness[2], ab[2]
    return lightness, ab


@pytest.fixture(scope="module")
def ingested(tmp_path_factory, arrays):
    """The source, and the folder that `bring` wrote from it; do not change it."""
    root = tmp_path_factory.mktemp("ingest")
    source = write_kaggle(root / "archive", *arrays, CUTS)
    bring(source, root / "data")
    return source, root / "data"


def bring(source, folder, **options):
    store = Store(folder / "images.zarr", IMAGES)
    written = ingest(source, store, **{"images_per_shard": 8, "scheduler": "synchronous"} | options)
    return store, written


def copied(ingested, tmp_path):
    source, folder = ingested
    for name, content in tree(folder).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return source


def shard_files(folder):
    return {name: content for name, content in tree(folder).items() if "/c/" in name}


def times(folder):
    return {path: path.stat().st_mtime_ns for path in (folder / "images.zarr").rglob("*/c/**/*") if path.is_file()}


def test_the_store_holds_the_arrays(ingested, arrays):
    store = Store(ingested[1] / "images.zarr", IMAGES)
    for name, array in zip(("L", "ab"), arrays, strict=True):
        np.testing.assert_array_equal(store.read(name, 0, N), array)
    assert store.shard_count() == 3
    assert store.attributes()["settings"] == {
        "source": ingested[0].model_dump(), "encoding": lab.ENCODING, "images_per_shard": 8
    }  # fmt: skip
    assert store.attributes()["source"] == {
        "kind": "kaggle", "files": ["l/gray_scale.npy", *(f"ab/ab/ab{part}.npy" for part in (1, 2, 3))], "images": N
    }  # fmt: skip


def test_the_manifest_has_the_digests_of_the_tables(ingested):
    manifest = Store(ingested[1] / "images.zarr", IMAGES).manifest()
    assert manifest["rows"] == N
    assert manifest["files"] == {name: files.digest_file(ingested[1] / name) for name in ("index.csv", "report.csv")}


def test_the_index_has_a_row_per_image_with_its_origin(ingested, arrays):
    header = (ingested[1] / "index.csv").read_text().splitlines()[0]
    assert header == "id,group,source,digest,flags" == ",".join(INDEX_COLUMNS)
    rows = read_index(Store(ingested[1] / "images.zarr", IMAGES))
    assert [row["id"] for row in rows] == [f"{row:09d}" for row in range(N)]
    assert [rows[n]["source"] for n in (4, 5, 16)] == ["ab1.npy row 4", "ab2.npy row 0", "ab3.npy row 0"]
    expected = [files.digest_bytes(arrays[0][n].tobytes(), arrays[1][n].tobytes()) for n in range(N)]
    assert [row["digest"] for row in rows] == expected


def test_duplicates_are_flagged_reported_and_grouped(ingested):
    rows = read_index(Store(ingested[1] / "images.zarr", IMAGES))
    assert [row["id"] for row in rows if row["flags"]] == ["000000011"]
    assert rows[11]["flags"] == "duplicate"
    assert rows[11]["group"] == rows[2]["group"]
    assert len({row["group"] for row in rows}) == N - 1
    assert csv_files.read(ingested[1] / "report.csv", REPORT_COLUMNS) == [
        {"file": "000000011", "reason": "duplicate", "detail": "same image as 000000002"}
    ]


def test_duplicates_merge_whole_groups_transitively():
    def row(name, group, digest):
        return {"id": name, "group": group, "source": "", "digest": digest, "flags": ""}

    rows = [
        row("1", "A", "p"), row("2", "B", "q"), row("3", "C", "r"), row("4", "A", "q"), row("5", "B", "s"),
        row("6", "C", "s"), row("7", "D", "t"), row("8", "A", "t"), row("9", "E", "u"),
    ]  # fmt: skip
    found = merge_duplicates(rows)
    assert [(duplicate["id"], first) for duplicate, first in found] == [("4", "2"), ("6", "5"), ("8", "7")]
    assert len({row["group"] for row in rows[:8]}) == 1
    assert rows[8]["group"] == "E"
    assert [row["flags"] for row in rows] == ["", "", "", "duplicate", "", "duplicate", "", "duplicate", ""]


def test_a_second_run_writes_nothing_and_changes_no_byte(ingested, tmp_path):
    source = copied(ingested, tmp_path)
    before, stamps = tree(tmp_path), times(tmp_path)
    assert bring(source, tmp_path)[1] == 0
    assert tree(tmp_path) == before
    assert times(tmp_path) == stamps


@pytest.mark.parametrize("array", [0, 1], ids=["L", "ab"])
def test_a_changed_byte_rewrites_its_shard_only(tmp_path, arrays, array):
    lightness, ab = (array.copy() for array in arrays)
    source = write_kaggle(tmp_path / "archive", lightness, ab, CUTS)
    bring(source, tmp_path / "data")
    stamps = times(tmp_path / "data")
    (lightness, ab)[array].reshape(N, -1)[9, 1000] ^= 1
    write_kaggle(tmp_path / "archive", lightness, ab, CUTS)
    store, written = bring(source, tmp_path / "data")
    assert written == 1
    now = times(tmp_path / "data")
    changed = {str(path.relative_to(store.path)) for path in now if now[path] != stamps[path]}
    assert changed == {"L/c/1/0/0", "ab/c/1/0/0/0"}
    np.testing.assert_array_equal(store.read("L", 0, N), lightness)
    np.testing.assert_array_equal(store.read("ab", 0, N), ab)


@pytest.mark.parametrize("lost", ["images.zarr/ab/c/1/0/0/0", "images.zarr/L/c/2/0/0", "images.shards/000000.json"])
def test_a_deleted_shard_is_rewritten_with_the_same_bytes(ingested, tmp_path, lost):
    source = copied(ingested, tmp_path)
    before = tree(tmp_path)
    (tmp_path / lost).unlink()
    assert bring(source, tmp_path)[1] == 1
    assert tree(tmp_path) == before


def test_a_flipped_bit_is_repaired(ingested, tmp_path):
    source = copied(ingested, tmp_path)
    before = tree(tmp_path)
    path = tmp_path / "images.zarr/L/c/0/0/0"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)
    assert bring(source, tmp_path)[1] == 1
    assert tree(tmp_path) == before


def test_a_deleted_store_is_rewritten_despite_old_records(ingested, tmp_path):
    source = copied(ingested, tmp_path)
    before = tree(tmp_path)
    files.remove(tmp_path / "images.zarr")
    assert bring(source, tmp_path)[1] == 3
    assert tree(tmp_path) == before


def test_a_larger_limit_keeps_existing_shards(ingested, tmp_path):
    source, whole = ingested
    assert bring(source, tmp_path, limit=10)[1] == 2
    assert len(read_index(Store(tmp_path / "images.zarr", IMAGES))) == 10
    assert bring(source, tmp_path, limit=12)[1] == 1
    store, written = bring(source, tmp_path)
    assert written == 2
    assert store.manifest()["fingerprint"] == Store(whole / "images.zarr", IMAGES).manifest()["fingerprint"]
    assert shard_files(tmp_path) == shard_files(whole)
    assert (tmp_path / "index.csv").read_bytes() == (whole / "index.csv").read_bytes()


def test_a_smaller_limit_never_shortens_a_store_silently(ingested, tmp_path):
    source = copied(ingested, tmp_path)
    before = tree(tmp_path)
    with pytest.raises(InputError, match=r"\(images: 21, now 10\)"):
        bring(source, tmp_path, limit=10)
    assert tree(tmp_path) == before
    bring(source, tmp_path, limit=10, replace=True)
    assert len(read_index(Store(tmp_path / "images.zarr", IMAGES))) == 10


def test_threads_give_the_same_bytes(ingested, tmp_path):
    source, folder = ingested
    assert bring(source, tmp_path, scheduler="threads", workers=3)[1] == 3
    assert tree(tmp_path) == tree(folder)


def test_other_settings_are_refused_before_anything_is_written(ingested, tmp_path):
    source = copied(ingested, tmp_path)
    before = tree(tmp_path)
    with pytest.raises(InputError, match="images_per_shard: 8, now 16"):
        bring(source, tmp_path, images_per_shard=16)
    with pytest.raises(InputError, match=r"scheduler: .*'tcp:host'"):
        bring(source, tmp_path / "other", scheduler="tcp:host")
    assert not (tmp_path / "other" / "images.json").exists()
    assert {name: content for name, content in tree(tmp_path).items() if not name.startswith("other/")} == before


def test_a_changed_index_is_refused(ingested, tmp_path):
    copied(ingested, tmp_path)
    path = tmp_path / "index.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InputError, match=r"index\.csv is damaged"):
        read_index(Store(tmp_path / "images.zarr", IMAGES))


def test_progress_counts_shards(ingested, tmp_path):
    seen = []

    class Counting:
        @contextlib.contextmanager
        def track(self, what, total):
            seen.append((what, total))
            yield lambda units=1: seen.append(units)

    bring(ingested[0], tmp_path, progress=Counting())
    assert seen == [("checking arrays, blocks", 1), 1, ("ingest, shards", 3), 1, 1, 1]

"""A dataset that grows: what it had keeps its rows, bytes and partitions, also through kills and damage."""

import contextlib
import shutil
from collections import Counter

import h5py
import numpy as np
import pytest
from PIL import Image
from tiny import photographs, rows_of, tree

from pipeline.config.schema import Split
from pipeline.config.sources import FolderSource, HDF5Source
from pipeline.core.errors import InputError
from pipeline.dataset import ingest as ingesting
from pipeline.dataset import splits
from pipeline.dataset.index import read_index
from pipeline.dataset.ingest import ingest
from pipeline.dataset.sources import folder as source
from pipeline.storage.layouts import IMAGES
from pipeline.storage.store import Store

NEW = ("00.png", "05b.png", "zz.png")  # before, among and after the others


def put(folder, name, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(noise).resize((224, 224)).save(folder / name)


class Data:
    """Photographs and what is made of them, below one folder."""

    def __init__(self, folder):
        self.photographs, self.folder = folder / "photographs", folder / "data"
        self.table = self.folder / "splits.csv"

    @property
    def store(self):
        return Store(self.folder / "images.zarr", IMAGES)

    def make(self, table=None, **options):
        """Ingest and split; return the number of shards written."""
        with contextlib.chdir(self.folder.parent):  # copies have the same path
            settings = FolderSource(path=self.photographs.name, table=table)
            written = ingest(settings, self.store, images_per_shard=8, scheduler="synchronous", **options)
        images = self.store.manifest()["fingerprint"]
        splits.write(read_index(self.store), self.table, Split(), images, replace="replace" in options)
        return written

    def grow(self):
        for seed, name in enumerate(NEW):
            put(self.photographs, name, 100 + seed)

    @property
    def ids(self):
        return [row["id"] for row in read_index(self.store)]

    @property
    def partitions(self):
        return {row["id"]: row["partition"] for row in splits.read(self.table, self.store.manifest()["fingerprint"])}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """20 photographs, ingested and split: read only."""
    data = Data(tmp_path_factory.mktemp("small"))
    data.photographs.mkdir()
    for number in range(20):
        put(data.photographs, f"{number + 1:02d}.png", number)
    data.make()
    return data


@pytest.fixture
def data(small, tmp_path):
    for name in ("photographs", "data"):
        shutil.copytree(small.folder.parent / name, tmp_path / name)
    return Data(tmp_path)


@pytest.fixture
def grown(data):
    data.grow()
    data.make()
    return data


def test_new_photographs_come_last_and_only_their_shards_are_made(data, small, monkeypatch):
    decoded = []
    judge = source.judge
    monkeypatch.setattr(source, "judge", lambda *args: decoded.append(args[1]) or judge(*args))
    data.grow()
    assert data.make() == 1
    assert data.ids == [*small.ids, *NEW]
    assert sorted(decoded) == sorted([*NEW, "17.png", "18.png", "19.png", "20.png"])  # and the rest of the last shard
    for shard in range(2):
        assert data.store.record(shard) == small.store.record(shard)
    for name in ("L", "ab"):
        np.testing.assert_array_equal(data.store.array(name)[:20], small.store.array(name)[:])
    assert data.store.manifest()["source"]["order"] == "as added"
    whole = tree(data.folder)
    assert data.make() == 0
    assert tree(data.folder) == whole


def test_photographs_that_sort_last_leave_the_bytes_of_a_fresh_ingest(data, tmp_path):
    put(data.photographs, "zz.png", 1)
    data.make()
    fresh = Data(tmp_path / "fresh")
    shutil.copytree(data.photographs, fresh.photographs)
    fresh.make()
    assert tree(data.store.path) == tree(fresh.store.path)
    assert data.store.manifest() == fresh.store.manifest()
    assert "order" not in data.store.manifest()["source"]


def test_a_limit_takes_the_stored_photographs_first(data):
    shutil.rmtree(data.folder)
    data.make(limit=6)
    put(data.photographs, "00.png", 1)
    data.make(limit=8)
    assert data.ids == ["01.png", "02.png", "03.png", "04.png", "05.png", "06.png", "00.png", "07.png"]


def test_a_photograph_that_is_gone_lets_later_ones_move_up(grown, small):
    (grown.photographs / "10.png").unlink()
    with pytest.raises(InputError, match="images: 23, now 22"):
        grown.make()
    before = grown.partitions
    assert grown.make(replace=True) == 2
    assert grown.ids == [name for name in [*small.ids, *NEW] if name != "10.png"]
    assert grown.partitions == {name: before[name] for name in grown.ids}


def killed(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "where",
    [(Store, "write_shard"), (Store, "complete"), (ingesting, "merge_duplicates"), (splits.csv_files, "write")],
    ids=lambda where: where[1],
)
def test_growth_killed_in_the_middle_is_completed_by_the_same_command(grown, small, monkeypatch, where):
    whole = tree(grown.folder)
    shutil.rmtree(grown.folder)
    shutil.copytree(small.folder, grown.folder)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(*where, killed)
        grown.make()
    grown.make()
    found = tree(grown.folder)
    assert found.keys() == whole.keys()
    assert [name for name in whole if found[name] != whole[name]] == []


@pytest.mark.parametrize("last", ["splits.csv", "added.csv", ".earlier/splits.json"])
def test_a_split_killed_between_two_files_is_completed_by_the_same_command(grown, small, last):
    whole = tree(grown.folder)
    order = ["splits.csv", "added.csv", ".earlier/splits.json", "splits.json"]
    for name in order[order.index(last) + 1 :]:
        (grown.folder / name).unlink()
    shutil.copy(small.folder / "splits.json", grown.folder)
    grown.make()
    assert tree(grown.folder) == whole


def test_partitions_stay_and_new_photographs_are_listed(grown, small, caplog):
    assert {name: grown.partitions[name] for name in small.ids} == small.partitions
    assert {row["id"]: row["partition"] for row in rows_of(grown.folder / "added.csv")} == {
        name: grown.partitions[name] for name in NEW
    }
    assert splits.read_manifest(grown.table)["grown_from"]["split"] == splits.fingerprint(small.table)
    put(grown.photographs, "another.png", 1000)
    before = grown.partitions
    grown.make()
    assert [row["id"] for row in rows_of(grown.folder / "added.csv")] == ["another.png"]
    assert {name: grown.partitions[name] for name in before} == before


def test_renamed_and_changed_photographs_keep_their_partition(data, small):
    """Of four in test: one is renamed, one moves into a folder, one is changed, and one swaps its name with another."""
    first, second, third, fourth = (name for name in small.ids if small.partitions[name] == "test")
    trained = next(name for name in small.ids if small.partitions[name] == "train")
    (data.photographs / "sub").mkdir()
    (data.photographs / first).rename(data.photographs / "renamed.png")
    (data.photographs / second).rename(data.photographs / "sub" / second)
    put(data.photographs, third, 1000)
    (data.photographs / fourth).rename(data.photographs / "swap.png")
    (data.photographs / trained).rename(data.photographs / fourth)
    (data.photographs / "swap.png").rename(data.photographs / trained)
    data.make()
    for name in ("renamed.png", f"sub/{second}", third, trained):
        assert data.partitions[name] == "test", name
    assert data.partitions[fourth] == "train"
    assert rows_of(data.folder / "added.csv") == []


@pytest.mark.parametrize("name", ["splits.csv", "splits.json", "added.csv"])
def test_a_damaged_split_of_a_grown_dataset_is_made_again_to_the_same_bytes(grown, name):
    whole, path = tree(grown.folder), grown.folder / name
    path.write_bytes(path.read_bytes().replace(b"train", b"tra1n", 1))
    assert path.read_bytes() != whole[name]
    grown.make()
    assert tree(grown.folder) == whole


def test_without_the_split_before_partitions_are_not_drawn_anew(grown):
    (copy,) = (grown.folder / ".earlier").glob("*.splits.csv")
    copy.unlink()
    with pytest.raises(InputError, match=rf"{copy.name}.*delete"):
        grown.make()
    grown.table.unlink()
    grown.table.with_suffix(".json").unlink()
    grown.make()
    index = read_index(grown.store)
    assert list(grown.partitions.values()) == splits.split(index, Split())
    assert not (grown.folder / "added.csv").exists()


def test_other_shares_draw_a_new_split(grown):
    index, images = read_index(grown.store), grown.store.manifest()["fingerprint"]
    other = Split(train=0.4, validation=0.4)
    with pytest.raises(InputError, match=r"train: 0\.6, now 0\.4"):
        splits.write(index, grown.table, other, images)
    splits.write(index, grown.table, other, images, replace=True)
    assert list(grown.partitions.values()) == splits.split(index, other)


def test_rows_of_arrays_are_added_and_found_by_content(tmp_path):
    def write(rows):
        with h5py.File(tmp_path / "arrays.h5", "w") as file:
            file["L"], file["ab"] = lightness[rows], ab[rows]
        store = Store(tmp_path / "images.zarr", IMAGES)
        settings = HDF5Source(kind="hdf5", path=str(tmp_path / "arrays.h5"))
        written = ingest(settings, store, images_per_shard=8, scheduler="synchronous")
        index, images = read_index(store), store.manifest()["fingerprint"]
        splits.write(index, table, Split(), images)
        partitions = [row["partition"] for row in splits.read(table, images)]
        return written, {row["digest"]: partition for row, partition in zip(index, partitions, strict=True)}

    lightness, ab = photographs(22)
    table = tmp_path / "splits.csv"
    _, before = write([*range(16)])
    written, after = write([*range(20)])
    assert written == 1 and {digest: after[digest] for digest in before} == before
    _, shifted = write([20, *range(20), 21])  # one row more before all others
    assert {digest: shifted[digest] for digest in after} == after


def test_a_table_gives_partitions_and_the_others_are_drawn(data, tmp_path):
    def table(rows):
        text = "".join(f"{name},{partition}\n" for name, partition in rows.items())
        (tmp_path / "table.csv").write_text(f"file,partition\n{text}")

    given = {f"{number:02d}.png": "test" for number in range(1, 11)} | {"11.png": "train", "12.png": "validation"}
    table(given | {"13.png": "", "14.png": "", "20.png": ""})
    shutil.rmtree(data.folder)
    data.make(table="table.csv")
    assert {name: data.partitions[name] for name in given} == given
    assert Counter(data.partitions.values()) == {"test": 10, "train": 4, "validation": 1}
    table(given | {"12.png": "train", "13.png": "validation", "14.png": "", "20.png": ""})
    with pytest.raises(InputError, match="table"):
        data.make(table="table.csv")
    data.make(table="table.csv", replace=True)
    assert (data.partitions["12.png"], data.partitions["13.png"]) == ("train", "validation")
    table(given | {"01.png": "testing"})
    with pytest.raises(InputError, match=r"table\.csv.*'testing' in row 2"):
        data.make(table="table.csv", replace=True)
    shutil.copy(data.photographs / "01.png", data.photographs / "11.png")  # a photograph in test and in train
    table(given)
    with pytest.raises(InputError, match=r"01\.png \(test\), 11\.png \(train\)"):
        data.make(table="table.csv", replace=True)


def test_a_longer_table_keeps_rows_bytes_and_partitions_with_replace(data, tmp_path):
    names = [f"{number:02d}.png" for number in range(20, 1, -1)]
    (tmp_path / "table.csv").write_text("\n".join(["file", *names]))
    shutil.rmtree(data.folder)
    data.make(table="table.csv")
    before, shard, ids = data.partitions, data.store.record(0)["files"], data.ids
    (tmp_path / "table.csv").write_text("\n".join(["file", "01.png", *names]))
    with pytest.raises(InputError, match="table"):
        data.make(table="table.csv")
    data.make(table="table.csv", replace=True)
    assert data.ids == [*ids, "01.png"] and data.store.record(0)["files"] == shard
    assert {name: data.partitions[name] for name in before} == before

"""The split: shares, groups, seeds, stability, and the file."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.schema import Split
from pipeline.core import csv_files, files
from pipeline.core.errors import InputError
from pipeline.dataset import splits

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


def singletons(n):
    return [{"id": f"{row:06d}", "group": f"{row:06d}"} for row in range(n)]


def grouped(sizes):
    return [{"id": f"{group}-{row}", "group": f"g{group}"} for group, size in enumerate(sizes) for row in range(size)]


def counts(partitions):
    return {name: partitions.count(name) for name in splits.PARTITIONS}


def distance(sizes, total):
    return sum(abs(sizes[name] - share * total) for name, share in SHARES.items())


def nearest(sizes):
    """The smallest distance from the shares over all assignments of groups without an empty partition."""
    best = float("inf")
    for choice in itertools.product(splits.PARTITIONS, repeat=len(sizes)):
        if set(choice) == set(splits.PARTITIONS):
            found = dict.fromkeys(splits.PARTITIONS, 0)
            for name, size in zip(choice, sizes, strict=True):
                found[name] += size
            best = min(best, distance(found, sum(sizes)))
    return best


def test_25000_images_are_split_into_15000_5000_and_5000():
    drawn = splits.split(singletons(25_000), Split())
    assert counts(drawn) == {"train": 15_000, "validation": 5_000, "test": 5_000}


@pytest.mark.parametrize("n", [3, 4, 7, 10, 11, 13, 100, 101, 999])
def test_single_images_are_split_as_near_to_the_shares_as_possible(n):
    sizes = counts(splits.split(singletons(n), Split()))
    assert min(sizes.values()) >= 1 and sum(sizes.values()) == n
    possible = [
        distance({"train": n - a - b, "validation": a, "test": b}, n)
        for a in range(1, n - 1)
        for b in range(1, n - a)
        if abs(a - n / 5) < 2 and abs(b - n / 5) < 2
    ]
    assert distance(sizes, n) <= min(possible) + 1e-9


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=3, max_size=60), st.integers(0, 5))
def test_no_group_spans_two_partitions(sizes, seed):
    index = grouped(sizes)
    drawn = splits.split(index, Split(seed=seed))
    assert len(drawn) == len(index)
    assert set(drawn) == set(splits.PARTITIONS)
    sides = {(row["group"], partition) for row, partition in zip(index, drawn, strict=True)}
    assert len(sides) == len(sizes)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=3, max_size=7), st.integers(0, 3))
def test_few_groups_are_split_as_near_to_the_shares_as_possible(sizes, seed):
    drawn = counts(splits.split(grouped(sizes), Split(seed=seed)))
    assert distance(drawn, sum(sizes)) == pytest.approx(nearest(sizes), abs=1e-5)


@settings(deadline=None)
@given(st.lists(st.integers(1, 8), min_size=40, max_size=120), st.integers(0, 3))
def test_many_small_groups_miss_the_shares_by_less_than_one_group(sizes, seed):
    drawn = counts(splits.split(grouped(sizes), Split(seed=seed)))
    for name, share in SHARES.items():
        assert abs(drawn[name] - share * sum(sizes)) <= max(sizes)


def test_a_large_group_goes_to_the_partition_that_it_fits():
    assert counts(splits.split(grouped([60] + [1] * 40), Split())) == {"train": 60, "validation": 20, "test": 20}


def test_the_shares_are_settings():
    drawn = splits.split(singletons(1000), Split(train=0.5, validation=0.4, test=0.1))
    assert counts(drawn) == {"train": 500, "validation": 400, "test": 100}


def test_equal_seeds_give_equal_splits():
    index = singletons(500)
    first = splits.split(index, Split(seed=1))
    assert first == splits.split(index, Split(seed=1))
    other = splits.split(index, Split(seed=2))
    # Two independent draws agree on 0.6² + 0.2² + 0.2² = 44 % of the images.
    assert 0.35 < sum(a == b for a, b in zip(first, other, strict=True)) / 500 < 0.53


def test_the_order_of_the_index_does_not_matter():
    index = singletons(300)
    there = dict(zip([row["id"] for row in index], splits.split(index, Split()), strict=True))
    back = dict(zip([row["id"] for row in index[::-1]], splits.split(index[::-1], Split()), strict=True))
    assert there == back


def test_neighbours_are_not_drawn_together():
    drawn = splits.split(singletons(10_000), Split())
    changes = sum(a != b for a, b in itertools.pairwise(drawn)) / 9_999
    assert 0.53 < changes < 0.59


def test_adding_images_moves_few_of_the_old_ones():
    before = splits.split(singletons(5_000), Split())
    after = splits.split(singletons(5_500), Split())
    moved = sum(a != b for a, b in zip(before, after[:5_000], strict=True))
    assert moved < 150
    assert counts(after) == {"train": 3_300, "validation": 1_100, "test": 1_100}


@pytest.mark.parametrize("sizes", [[], [5], [100, 100]])
def test_fewer_groups_than_partitions_are_refused(sizes):
    with pytest.raises(InputError, match=f"at least 3 groups.*received {len(sizes)} "):
        splits.split(grouped(sizes), Split())


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "splits.csv"
    return path, splits.write(singletons(20), path, Split(seed=3), "the images")


def test_the_file_has_a_row_per_image_in_the_order_of_the_store(written):
    path, sizes = written
    rows = csv_files.read(path, splits.COLUMNS)
    assert path.read_text().splitlines()[0] == "index,id,group,partition"
    assert [(row["index"], row["id"], row["group"]) for row in rows] == [
        (str(n), f"{n:06d}", f"{n:06d}") for n in range(20)
    ]
    assert splits.read(path, "the images") == rows
    partitions = [row["partition"] for row in rows]
    assert partitions == splits.split(singletons(20), Split(seed=3))
    assert sizes == counts(partitions) == {"train": 12, "validation": 4, "test": 4}


def test_the_manifest_records_settings_images_and_digest(written):
    path, sizes = written
    manifest = splits.read_manifest(path)
    assert manifest["settings"] == {**SHARES, "seed": 3}
    assert (manifest["images"], manifest["sizes"]) == ("the images", sizes)
    assert manifest["files"] == {"splits.csv": files.digest_file(path)}
    assert splits.fingerprint(path) == files.digest_file(path)


def test_writing_again_gives_the_same_bytes(written, tmp_path):
    again = tmp_path / "again" / "splits.csv"
    splits.write(singletons(20), again, Split(seed=3), "the images")
    assert again.read_bytes() == written[0].read_bytes()


def test_a_split_of_other_images_is_refused(written):
    with pytest.raises(InputError, match=r"splits\.csv .*fingerprint the images, .* others"):
        splits.read(written[0], "others")


def test_another_split_is_replaced_only_with_replace(written):
    path, _ = written
    before = path.read_bytes()
    with pytest.raises(InputError, match="seed: 3, now 4"):
        splits.write(singletons(20), path, Split(seed=4), "the images")
    assert path.read_bytes() == before
    splits.write(singletons(20), path, Split(seed=4), "the images", replace=True)
    assert path.read_bytes() != before


def test_a_changed_file_is_refused(written):
    path, _ = written
    content = bytearray(path.read_bytes())
    place = content.index(b"train")
    content[place : place + 5] = b"tests"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"splits\.csv is damaged"):
        splits.read(path, "the images")


def test_a_missing_file_or_manifest_is_refused(written):
    path, _ = written
    moved = path.rename(path.with_name("moved"))
    with pytest.raises(InputError, match=r"splits\.csv is missing"):
        splits.read(path, "the images")
    moved.rename(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(InputError, match=r"splits\.json does not exist"):
        splits.read(path, "the images")

"""A split that grows: new groups stay whole, bring the shares nearer, and never join two partitions."""

from collections import Counter

import pytest
from tiny import tree

from pipeline.config.schema import Split
from pipeline.core.errors import InputError
from pipeline.dataset import splits


def index_of(sizes, first=0):
    groups = [str(first + number) for number, size in enumerate(sizes) for _ in range(size)]
    return [{"id": f"{first}-{at}", "group": group, "digest": f"{first}-{at}"} for at, group in enumerate(groups)]


@pytest.mark.parametrize("sizes", [[1] * 100, [1] * 20, [1, 2, 3, 4] * 10, [1]])
def test_new_groups_bring_the_shares_nearer_and_stay_whole(tmp_path, sizes):
    table, old = tmp_path / "splits.csv", index_of([1] * 500)
    splits.write(old, table, Split(), "old")
    index = [*old, *index_of(sizes, first=1000)]
    counts = splits.write(index, table, Split(), "new")
    rows = splits.read(table, "new")
    for name, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
        assert abs(counts[name] - share * len(index)) <= max(sizes)
    assert max(Counter(group for group, _ in {(row["group"], row["partition"]) for row in rows}).values()) == 1


def test_a_new_image_that_joins_two_partitions_is_refused(tmp_path):
    """A copy of an image of one group, which a table puts into another."""
    table, old = tmp_path / "splits.csv", index_of([2] * 20)
    splits.write(old, table, Split(), "old")
    written = tree(tmp_path)
    partition = {row["group"]: row["partition"] for row in splits.read(table, "old")}
    trained, tested = (next(group for group in partition if partition[group] == name) for name in ("train", "test"))
    joined = [{**row, "group": trained if row["group"] == tested else row["group"]} for row in old]
    with pytest.raises(InputError, match=rf"group {trained} .*\(train\).*\(test\)"):
        splits.write([*joined, {"id": "new", "group": trained, "digest": "new"}], table, Split(), "new")
    assert {name: content for name, content in tree(tmp_path).items() if name in written} == written


def test_a_partition_that_would_be_empty_is_refused(tmp_path):
    table, old = tmp_path / "splits.csv", index_of([1] * 20)
    splits.write(old, table, Split(), "old")
    left = [row for row, said in zip(old, splits.read(table, "old"), strict=True) if said["partition"] != "test"]
    with pytest.raises(InputError, match="none in test"):
        splits.write(left, table, Split(), "new")

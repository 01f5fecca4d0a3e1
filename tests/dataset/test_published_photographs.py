"""The table of the photographs that the shipped weights are trained on."""

import re

import pytest
from tiny import ROOT

from docs import photographs
from pipeline.core import csv_files

TABLE = ROOT / photographs.TABLE
FREE = re.compile(r"CC0 1\.0|Public domain|Unlicense / public domain|MIT|CC BY [24]\.0")  # not CC BY-SA


@pytest.fixture(scope="module")
def rows():
    return csv_files.read(TABLE, photographs.COLUMNS)


def test_every_photograph_is_free_to_use_and_has_an_author(rows):
    assert len({row["file"] for row in rows}) == len(rows) == 3600
    assert all(row["author"] and row["source"] and re.fullmatch("[0-9a-f]{64}", row["sha256"]) for row in rows)
    assert not any("\\" in row["author"] for row in rows)
    assert [row["licence"] for row in rows if not re.match(FREE.pattern + r"(?!-)", row["licence"])] == []


def test_groups_are_those_of_the_rule_and_named_after_their_first_file(rows):
    first = {}
    assert all(row["group"] == first.setdefault(photographs.subject(row), row["file"]) for row in rows)
    assert len(first) < len(rows)


def test_photographs_of_one_subject_are_one_group(tmp_path, monkeypatch):
    sources = {
        "a.jpg": "marcusklasson/GroceryStoreDataset dataset/train/Fruit/Plum/Plum_1.jpg @1",
        "b.jpg": "marcusklasson/GroceryStoreDataset dataset/val/Fruit/Plum/Plum_2.jpg @1",
        "c.jpg": "LukeSmithxyz/based.cooking static/pix/ravioli-01.webp @1",
        "d.jpg": "ronaldl29/public-domain-recipes static/pix/ravioli-02.webp @1",
        "e.jpg": "Oldpel/flower_photos dataset/train/roses/1.jpg @1",
        "f.jpg": "Oldpel/flower_photos dataset/train/roses/2.jpg @1",
        "g.jpg": "Oldpel/flower_photos dataset/train/tulips/3.jpg @1",
        "h.jpg": "Obmutescence/COCO-MINI val2017/000000012280.jpg @1",
        "i.jpg": "Obmutescence/COCO-MINI val2017/000000012281.jpg @1",
    }
    author = "Ann (https://www.flickr.com/photos/ann/1/)"
    rows = [{"file": name, "source": source, "licence": "MIT", "author": author, "terms": "open"}
            for name, source in sources.items()]  # fmt: skip
    rows.append({**rows[0], "file": "j.jpg", "terms": "share-alike"})
    rows[3]["author"] = r"K\304\201rlis"
    csv_files.write(tmp_path / "SOURCES.csv", rows[0], rows)
    for name in sources:
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(photographs, "TABLE", tmp_path / "table.csv")
    photographs.main(tmp_path)
    written = csv_files.read(tmp_path / "table.csv", photographs.COLUMNS)
    groups = {row["file"]: row["group"] for row in written}
    assert {row["author"] for row in written} == {author, "Kārlis"}
    assert "".join(group[0] for group in groups.values()) == "aacceeghi"

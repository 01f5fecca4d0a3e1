"""The file of scores per image."""

import warnings

import numpy as np
import pytest
from pyarrow import parquet

from pipeline.core import csv_files, parquet_files
from pipeline.core.errors import InputError
from pipeline.evaluation import per_image

NASTY = [
    "NA",
    "null",
    "nan",
    "None",
    "",
    "a,b",
    'say "so"',
    "two\nlines",
    " spaces ",
    "#",
    "001",
    "1e5",
    "é",
    "'",
    "\\",
]


def table_of(ids):
    return [{"id": name, "group": f"{name}!", "partition": "test"} for name in ids]


def test_reading_returns_what_was_written_for_any_id(tmp_path):
    numbers = np.resize([0.1 + 0.2, np.nan, np.inf, -np.inf, 5e-324, 1 / 3, 1e150, -0.0, 123456789.123456789], 15)
    answers = {"model": {"accuracy": numbers, "mse": numbers**2}, "NA": {"accuracy": numbers[::-1]}}
    path = tmp_path / "per_image.csv"
    per_image.write(path, "null", "NA", table_of(NASTY), answers)
    read = per_image.read(path)
    assert (read.ids, read.groups) == (NASTY, [f"{name}!" for name in NASTY])
    assert (read.partitions, read.rows) == (["test"] * 15, list(range(15)))
    assert {answer: set(found) for answer, found in read.answers.items()} == {
        "model": {"accuracy", "mse", "rmse"}, "NA": {"accuracy"}
    }  # fmt: skip
    np.testing.assert_array_equal(read.answers["model"]["accuracy"], numbers)
    assert np.signbit(read.answers["model"]["accuracy"][7])
    np.testing.assert_array_equal(read.answers["model"]["mse"], numbers**2)
    np.testing.assert_array_equal(read.answers["NA"]["accuracy"], numbers[::-1])
    # Python's csv reader finds the same, and equal inputs give equal bytes.
    rows = csv_files.read(path, per_image.COLUMNS)
    assert [row["id"] for row in rows[:15]] == NASTY and list(rows[0]) == list(per_image.COLUMNS)
    assert {(row["run"], row["dataset"]) for row in rows} == {("null", "NA")}
    typed = parquet.read_table(parquet_files.write_beside(path, per_image.TYPES))
    assert {field.name: str(field.type) for field in typed.schema} == per_image.TYPES
    assert typed["id"].to_pylist()[:15] == NASTY and typed["row"].to_pylist()[:15] == list(range(15))
    rows = csv_files.read(path, per_image.COLUMNS)
    np.testing.assert_array_equal(typed["value"].to_numpy(), [float(row["value"]) for row in rows])
    per_image.write(tmp_path / "again.csv", "null", "NA", table_of(NASTY), answers)
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()
    again = parquet_files.write_beside(tmp_path / "again.csv", per_image.TYPES)
    assert again.read_bytes() == path.with_suffix(".parquet").read_bytes()


def test_any_double_is_read_back_exactly(tmp_path):
    """Without `float_precision`, which pandas 3.1 deprecates; earlier versions round differently by default."""
    bits = np.random.default_rng(0).integers(0, 2**64, 20_000, dtype=np.uint64)
    values = np.concatenate([bits.view(np.float64), np.random.default_rng(1).random(20_000), [1.7976931348623157e308]])
    images = table_of(map(str, range(len(values))))
    per_image.write(tmp_path / "per_image.csv", "r", "d", images, {"model": {"mse": values}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = per_image.read(tmp_path / "per_image.csv").answers["model"]["mse"]
    np.testing.assert_array_equal(found, values)
    typed = parquet.read_table(parquet_files.write_beside(tmp_path / "per_image.csv", per_image.TYPES))
    np.testing.assert_array_equal(typed.to_pandas().query("metric == 'mse'")["value"], values)


def test_some_answers_can_be_read_and_a_missing_one_is_missing(tmp_path):
    path = tmp_path / "per_image.csv"
    per_image.write(path, "r", "d", table_of("ab"), {"model": {"mse": np.ones(2)}, "gray": {"mse": np.zeros(2)}})
    assert list(per_image.read(path, ["gray"]).answers) == ["gray"]
    other = per_image.read(path, ["shuffled"])
    assert (other.answers, other.ids) == ({}, ["a", "b"])


def test_no_images_give_a_file_of_no_rows(tmp_path):
    per_image.write(tmp_path / "per_image.csv", "r", "d", [], {})
    assert (tmp_path / "per_image.csv").read_text() == ",".join(per_image.COLUMNS) + "\n"
    assert per_image.read(tmp_path / "per_image.csv").answers == {}
    assert parquet.read_table(parquet_files.write_beside(tmp_path / "per_image.csv", per_image.TYPES)).num_rows == 0


HEADER = ",".join(per_image.COLUMNS) + "\n"


@pytest.mark.parametrize(
    "content",
    ["", "run,value\n1,2\n", HEADER + "r,d,test,a,a,0,model,mse,wide\n", HEADER + "r,d,test,a,a,one,model,mse,1\n",
     HEADER + "r,d,test,a,a,0,model,mse,1\nr,d,test,a,a,0,gray,mse,1\nr,d,test,b,b,1,gray,mse,1\n",
     HEADER + "r,d,test,a,a,0,model,mse,1,2,3\nr,d\n", "\x00\x00"],
)  # fmt: skip
def test_a_malformed_file_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "per_image.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=r"per_image\.csv") as caught:
        per_image.read(path)
    assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(InputError, match=r"per_image\.csv"):
        per_image.read(path)

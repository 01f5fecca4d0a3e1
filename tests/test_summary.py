"""The summary of all runs: ranking, remarks, and folders that cannot be read."""

import math

import pytest
import yaml

from pipeline import scores
from pipeline.files import read_csv, write_csv
from pipeline.summary import write_summary


def put(results, run, validation, test=15.0, mean=17.0, info=None, dataset="sample"):
    """Write a results folder; info False: without run.yaml."""

    def row(partition, answer, metric, value, n=9):
        return dict(zip(scores.COLUMNS, (run, dataset, partition, n, answer, metric, value, ""), strict=True))

    rows = [
        row("validation", "model", "rmse", validation),
        row("validation", "model", "accuracy", 0.61239),
        row("validation", "majority", "accuracy", 0.51),
        row("test", "model", "rmse", test),
        row("test", "model", "accuracy", 0.6),
        row("test", "model", "psnr", 23.456),
        row("test", "model", "ssim", 0.91234),
        row("test", "model", "ciede2000", 9.876),
        row("test", "gray", "rmse", 18.0),
        row("test", "mean", "rmse", mean),
        row("test", "majority", "accuracy", 0.52),
        *scores.paper_rows(run, dataset),
    ]
    (results / run).mkdir(parents=True)
    write_csv(results / run / "metrics.csv", scores.COLUMNS, rows)
    if info is not False:
        values = {
            "run": run, "dataset": dataset, "status": "finished", "weights_evaluated": "best", "epochs": 7,
            "embedding": {"weights": "random"},
        }  # fmt: skip
        (results / run / "run.yaml").write_text(yaml.safe_dump(values | (info or {})))


def table(results):
    """The rows of the Markdown table by heading."""
    lines = [line for line in (results / "summary.md").read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert len({len(row) for row in cells}) == 1
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def test_runs_are_ranked_by_validation_and_never_by_test(tmp_path):
    put(tmp_path, "base_lr1e-1", math.nan, test=1.0)
    put(tmp_path, "base_lr1e-2", 16.0, test=5.0)
    put(tmp_path, "base_lr1e-3", 15.0, test=16.0)
    put(tmp_path, "base_lr1e-4", 100.0, test=2.0)
    write_summary(tmp_path)
    assert [row["run"] for row in table(tmp_path)] == ["base_lr1e-3", "base_lr1e-2", "base_lr1e-4", "base_lr1e-1"]
    assert "ranked by validation RMSE" in (tmp_path / "summary.md").read_text()


def test_datasets_are_ranked_apart(tmp_path):
    put(tmp_path, "base_lr1e-2", 16.0, dataset="sample", info={"dataset": "sample"})
    put(tmp_path, "base_lr1e-3", 17.0, dataset="kaggle", info={"dataset": "kaggle"})
    put(tmp_path, "base_lr1e-4", 15.0, dataset="sample", info={"dataset": "sample"})
    write_summary(tmp_path)
    assert [row["run"] for row in table(tmp_path)] == ["base_lr1e-3", "base_lr1e-4", "base_lr1e-2"]


def test_a_row_says_everything_of_a_run(tmp_path):
    put(tmp_path, "base_lr1e-4", 14.126)
    write_summary(tmp_path)
    assert table(tmp_path) == [
        {
            "run": "base_lr1e-4",
            "dataset": "sample",
            "embedding weights": "**RANDOM**",
            "epochs": "7",
            "status": "finished, best weights",
            "validation RMSE": "14.13",
            "validation accuracy": "0.6124",
            "majority (validation)": "0.5100",
            "paper (validation)": "0.5735",
            "test accuracy": "0.6000",
            "majority (test)": "0.5200",
            "paper (test)": "0.5688",
            "test RMSE": "15.00",
            "gray RMSE": "18.00",
            "mean RMSE": "17.00",
            "PSNR": "23.46",
            "SSIM": "0.9123",
            "CIEDE2000": "9.88",
            "remark": "",
        }
    ]


@pytest.mark.parametrize(("test", "worse"), [(16.999, False), (17.0, True), (17.5, True), (math.nan, True)])
def test_a_run_that_does_not_beat_the_mean_colour_is_told_so(tmp_path, test, worse):
    put(tmp_path, "base_lr1e-4", 14.0, test=test)
    write_summary(tmp_path)
    assert table(tmp_path)[0]["remark"] == ("not better than the mean colour" if worse else "")


def test_nothing_is_claimed_where_numbers_are_missing(tmp_path):
    put(tmp_path, "mine_lr1e-4", 14.0, info=False)
    path = tmp_path / "mine_lr1e-4" / "metrics.csv"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if ",mean," not in line))
    write_summary(tmp_path)
    (row,) = table(tmp_path)
    assert (row["remark"], row["mean RMSE"], row["paper (test)"], row["epochs"]) == ("", "–", "–", "–")
    assert (row["embedding weights"], row["status"], row["dataset"]) == ("unknown", "unknown", "sample")


def test_what_run_yaml_says_stays_in_its_cell(tmp_path):
    put(
        tmp_path, "base_lr1e-4", 14.0, info={"status": "diverged in epoch 3\n|x|", "embedding": {"weights": "imagenet"}}
    )
    write_summary(tmp_path)
    (row,) = table(tmp_path)
    assert row["status"] == "diverged in epoch 3 \\|x\\|, best weights"
    assert row["embedding weights"] == "imagenet"


@pytest.mark.parametrize("text", ["a: [", "- 1\n", "\x00", ""])
def test_an_unreadable_run_yaml_costs_only_its_columns(tmp_path, text):
    put(tmp_path, "base_lr1e-4", 14.0)
    (tmp_path / "base_lr1e-4" / "run.yaml").write_text(text)
    write_summary(tmp_path)
    (row,) = table(tmp_path)
    assert (row["status"], row["validation RMSE"]) == ("run.yaml unreadable", "14.00")


HEADER = ",".join(scores.COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "does not exist"),
        (b"", "received an empty file"),
        (HEADER.encode(), "has no rows"),
        (b"run,value\n1,2\n", "expected the columns"),
        (HEADER.encode() + b"broken,sample,test,9,network,rmse,wide\n", "line 2: expected a number, received 'wide'"),
        (HEADER.encode() + b"broken,sample,test\n", "expected a number"),
        (HEADER.encode() + b"base_lr1e-1,sample,test,9,network,rmse,1\n", "received 'base_lr1e-1'"),
        (b"\xff\xfe\x00", "expected a CSV file"),
    ],
)
def test_a_folder_that_cannot_be_read_is_named_and_left_out(tmp_path, content, reason):
    put(tmp_path, "base_lr1e-4", 14.0)
    (tmp_path / "broken").mkdir()
    if content is not None:
        (tmp_path / "broken" / "metrics.csv").write_bytes(content)
    write_summary(tmp_path)
    text = (tmp_path / "summary.md").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("- broken: ")]
    assert reason in line and str(tmp_path) not in line
    assert [row["run"] for row in table(tmp_path)] == ["base_lr1e-4"]
    assert {row["run"] for row in read_csv(tmp_path / "summary.csv", scores.COLUMNS)} == {"base_lr1e-4"}


def test_the_long_table_keeps_every_value_as_written_sorted_by_run(tmp_path):
    put(tmp_path, "base_lr1e-4", 0.1 + 0.2)
    put(tmp_path, "arch1_lr1e-2", math.nan)
    write_summary(tmp_path)
    rows = read_csv(tmp_path / "summary.csv", scores.COLUMNS)
    parts = [read_csv(tmp_path / run / "metrics.csv", scores.COLUMNS) for run in ("arch1_lr1e-2", "base_lr1e-4")]
    assert rows == parts[0] + parts[1]
    assert {"nan", "0.30000000000000004"} <= {row["value"] for row in rows}


def test_reference_rows_without_a_run_get_the_folders(tmp_path):
    put(tmp_path, "base_lr1e-4", 14.0)
    with (tmp_path / "base_lr1e-4" / "metrics.csv").open("a") as file:
        file.write(",sample,train,9,gray,rmse,19.0\n")
    write_summary(tmp_path)
    assert read_csv(tmp_path / "summary.csv", scores.COLUMNS)[-1]["run"] == "base_lr1e-4"


def test_the_same_results_give_the_same_bytes(tmp_path):
    for order in ("12", "21"):
        for which in order:
            put(tmp_path / order, f"base_lr1e-{which}", 14.0)
        write_summary(tmp_path / order)
        write_summary(tmp_path / order)
    for name in ("summary.csv", "summary.md"):
        assert (tmp_path / "12" / name).read_bytes() == (tmp_path / "21" / name).read_bytes()


def test_no_results_give_empty_tables(tmp_path):
    write_summary(tmp_path / "results")
    assert "There are no runs yet." in (tmp_path / "results" / "summary.md").read_text()
    assert (tmp_path / "results" / "summary.csv").read_text() == HEADER

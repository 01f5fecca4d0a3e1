"""The summary of all runs: ranking, remarks, intervals, and folders that cannot be read."""

import math

import pytest
from pyarrow import parquet
from summaries import put, table

from pipeline.core import csv_files, files
from pipeline.evaluation import scores
from pipeline.results.summary import write_summary

pytestmark = pytest.mark.usefixtures("drawn")


def test_runs_are_ranked_by_validation_and_never_by_test(tmp_path):
    put(tmp_path, "base_lr1e-1", math.nan, test=1.0)
    put(tmp_path, "base_lr1e-2", 16.0, test=5.0)
    put(tmp_path, "base_lr1e-3", 15.0, test=16.0)
    put(tmp_path, "base_lr1e-4", 100.0, test=2.0)
    write_summary(tmp_path)
    ranked = ["base_lr1e-3", "base_lr1e-2", "base_lr1e-4", "base_lr1e-1"]
    assert [row["run"] for row in table(tmp_path)] == ranked
    assert list(dict.fromkeys(row["run"] for row in csv_files.read(tmp_path / "summary.csv", scores.COLUMNS))) == ranked
    text = (tmp_path / "summary.md").read_text()
    assert "ranked by validation RMSE" in text and "No run is ranked or chosen by a test score." in text


def test_datasets_are_ranked_apart(tmp_path):
    put(tmp_path, "base_lr1e-2", 16.0, dataset="sample", info={"dataset": "sample"})
    put(tmp_path, "base_lr1e-3", 17.0, dataset="kaggle", info={"dataset": "kaggle"})
    put(tmp_path, "base_lr1e-4", 15.0, dataset="sample", info={"dataset": "sample"})
    write_summary(tmp_path)
    assert [row["run"] for row in table(tmp_path, "## Dataset kaggle")] == ["base_lr1e-3"]
    assert [row["run"] for row in table(tmp_path)] == ["base_lr1e-4", "base_lr1e-2"]


def test_runs_that_were_scored_on_other_images_stand_apart(tmp_path, drawn):
    for name, validation, mean in (
        ("base_lr1e-2", 16.0, 17.0),
        ("base_lr1e-3", 15.0, 17.0),
        ("base_lr1e-4", 9.0, 12.5),
    ):
        put(tmp_path, name, validation, mean=mean)
    put(tmp_path, "base_lr1e-4_s1", 10.0, mean=17.0)
    write_summary(tmp_path)
    assert [row["run"] for row in table(tmp_path)] == ["base_lr1e-4_s1", "base_lr1e-3", "base_lr1e-2"]
    assert [row["run"] for row in table(tmp_path, "## Dataset sample, scored on other images")] == ["base_lr1e-4"]
    assert "Spread over training seeds" not in (tmp_path / "summary.md").read_text()
    assert [(path.name, len(points)) for path, points, _ in drawn] == [
        ("sweep_sample.png", 3),
        ("sweep_sample_2.png", 1),
    ]


def test_a_row_says_everything_of_a_run(tmp_path):
    put(tmp_path, "base_lr1e-4", 14.126)
    write_summary(tmp_path)
    assert table(tmp_path) == [
        {
            "run": "base_lr1e-4",
            "embedding weights": "Inception-ResNet-v2, **RANDOM** (seed 0; not ImageNet features)",
            "epochs": "7",
            "status": "finished, best weights",
            "RMSE, validation": "14.13",
            "accuracy, validation": "0.6124",
            "majority: accuracy, validation": "0.5100",
            "paper: accuracy, validation": "0.5735",
            "minus paper: accuracy, validation": "+0.0389",
            "accuracy, test": "0.6000",
            "majority: accuracy, test": "0.5200",
            "paper: accuracy, test": "0.5688",
            "minus paper: accuracy, test": "+0.0312",
            "RMSE, test": "15.00",
            "gray: RMSE, test": "18.00",
            "mean colour: RMSE, test": "17.00",
            "PSNR, test": "23.46",
            "SSIM, test": "0.9123",
            "gray: PSNR, test": "22.25",
            "CIEDE2000, test": "9.88",
            "gray: CIEDE2000, test": "10.75",
            "another image's embedding: RMSE, test": "15.50",
            "remark": UNSURE,
        }
    ]


UNSURE = "better, but without an interval this may be chance"
NOT_BETTER = "RMSE no better than mean colour"


@pytest.mark.parametrize(
    ("test", "remark"),
    [(16.999, UNSURE), (17.0, NOT_BETTER), (17.5, NOT_BETTER), (math.nan, "no answer: not a number")],
)
def test_without_differences_the_scores_decide_the_remark(tmp_path, test, remark):
    put(tmp_path, "base_lr1e-4", 14.0, test=test)
    write_summary(tmp_path)
    assert table(tmp_path)[0]["remark"] == remark


@pytest.mark.parametrize(
    ("verdict", "test", "expected"),
    [
        ("better", 15.0, ""),
        ("no clear difference", 15.0, "RMSE no better than mean colour"),
        ("worse", 19.0, "RMSE no better than mean colour"),
        ("no interval", 15.0, "better, but without an interval this may be chance"),
        ("no interval", 17.0, "RMSE no better than mean colour"),
        ("no interval", math.nan, "no answer: not a number"),
    ],
)
def test_the_remark_follows_the_verdict_on_the_test_images(tmp_path, verdict, test, expected):
    put(tmp_path, "base_lr1e-4", 14.0, test=test, verdict=verdict)
    write_summary(tmp_path)
    assert table(tmp_path)[0]["remark"] == expected


def test_intervals_stand_beside_their_numbers(tmp_path):
    put(tmp_path, "base_lr1e-4", 14.126, ends=(13.004, 15.25))
    write_summary(tmp_path)
    (row,) = table(tmp_path)
    assert (row["RMSE, validation"], row["RMSE, test"]) == ("14.13 (13.00 to 15.25)", "15.00 (13.00 to 15.25)")
    assert (row["gray: RMSE, test"], row["accuracy, validation"]) == ("18.00", "0.6124")


def test_the_difference_to_the_paper_is_signed_and_only_where_the_paper_has_a_number(tmp_path):
    put(tmp_path, "base_lr1e-4", 14.0)
    put(tmp_path, "base_lr1e-5", 15.0)
    put(tmp_path, "base_lr1e-4_s1", 16.0)
    path = tmp_path / "base_lr1e-5" / "metrics.csv"
    path.write_text(path.read_text().replace("model,accuracy,0.61239", "model,accuracy,0.5"))
    write_summary(tmp_path)
    assert [row["minus paper: accuracy, validation"] for row in table(tmp_path)] == ["+0.0389", "−0.0224", "–"]
    assert {row["answer"] for row in csv_files.read(tmp_path / "summary.csv", scores.COLUMNS)} >= {"paper", "model"}
    assert "minus paper" not in (tmp_path / "summary.csv").read_text()


def test_nothing_is_claimed_where_numbers_are_missing(tmp_path):
    put(tmp_path, "mine_lr1e-4", 14.0, info=False)
    path = tmp_path / "mine_lr1e-4" / "metrics.csv"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if ",mean," not in line))
    write_summary(tmp_path)
    (row,) = table(tmp_path)
    assert (row["mean colour: RMSE, test"], row["paper: accuracy, test"], row["epochs"]) == ("–", "–", "–")
    assert (row["remark"], row["embedding weights"], row["status"]) == ("not compared", "unknown", "unknown")


def test_what_run_yaml_says_stays_in_its_cell(tmp_path):
    put(
        tmp_path, "base_lr1e-4", 14.0, info={"status": "diverged in epoch 3\n|x|", "embedding": {"weights": "imagenet"}}
    )
    write_summary(tmp_path)
    (row,) = table(tmp_path)
    assert row["status"] == "diverged in epoch 3 \\|x\\|, best weights"
    assert row["embedding weights"] == "Inception-ResNet-v2, ImageNet"


@pytest.mark.parametrize("text", ["a: [", "- 1\n", "\x00"])
def test_an_unreadable_run_yaml_costs_only_its_columns(tmp_path, text):
    put(tmp_path, "base_lr1e-4", 14.0)
    (tmp_path / "base_lr1e-4" / "run.yaml").write_text(text)
    write_summary(tmp_path)
    (row,) = table(tmp_path)
    assert (row["status"], row["RMSE, validation"]) == ("unknown", "14.00")
    assert "- base_lr1e-4: run.yaml" in (tmp_path / "summary.md").read_text()


HEADER = ",".join(scores.COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "contains neither metrics.csv"),
        (b"", "received an empty file"),
        (HEADER.encode(), "expected rows, received none"),
        (b"run,value\n1,2\n", "expected the columns"),
        (
            HEADER.encode() + b"broken,sample,test,9,network,rmse,wide,,,\n",
            "metrics.csv, line 2",
        ),
        (HEADER.encode() + b"broken,sample,test\n", "metrics.csv, line 2"),
        (HEADER.encode() + b"base_lr1e-1,sample,test,9,network,rmse,1,,,\n", "received base_lr1e-1"),
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
    assert {row["run"] for row in csv_files.read(tmp_path / "summary.csv", scores.COLUMNS)} == {"base_lr1e-4"}


def test_the_long_table_keeps_every_value_as_written_in_the_order_of_the_ranking(tmp_path):
    put(tmp_path, "base_lr1e-4", 0.1 + 0.2)
    put(tmp_path, "arch1_lr1e-2", math.nan)
    write_summary(tmp_path)
    rows = csv_files.read(tmp_path / "summary.csv", scores.COLUMNS)
    parts = [csv_files.read(tmp_path / run / "metrics.csv", scores.COLUMNS) for run in ("base_lr1e-4", "arch1_lr1e-2")]
    assert rows == parts[0] + parts[1]
    assert {"nan", "0.30000000000000004"} <= {row["value"] for row in rows}
    typed = parquet.read_table(tmp_path / "summary.parquet")
    assert {field.name: str(field.type) for field in typed.schema} == scores.TYPES
    assert [str(value) for value in typed["value"].to_pylist()] == [row["value"] for row in rows]
    assert [f"{n}" * (n is not None) for n in typed["n"].to_pylist()] == [row["n"] for row in rows]
    assert set(typed["low"].to_pylist()) == {None} and typed["settings"].to_pylist() == [r["settings"] for r in rows]
    assert "summary.parquet" in files.read_json(tmp_path / "summary.json")["files"]


def test_reference_rows_without_a_run_get_the_folders(tmp_path):
    put(tmp_path, "base_lr1e-4", 14.0)
    with (tmp_path / "base_lr1e-4" / "metrics.csv").open("a") as file:
        file.write(",sample,train,9,gray,rmse,19.0,,,\n")
    write_summary(tmp_path)
    assert csv_files.read(tmp_path / "summary.csv", scores.COLUMNS)[-1]["run"] == "base_lr1e-4"


def test_the_same_results_give_the_same_bytes(tmp_path):
    for order in ("12", "21"):
        for which in order:
            put(tmp_path / order, f"base_lr1e-{which}", 14.0)
        write_summary(tmp_path / order)
        write_summary(tmp_path / order)
    for name in ("summary.csv", "summary.parquet", "summary.md"):
        assert (tmp_path / "12" / name).read_bytes() == (tmp_path / "21" / name).read_bytes()


def test_no_results_give_empty_tables(tmp_path):
    write_summary(tmp_path / "results")
    assert "There are no runs yet." in (tmp_path / "results" / "summary.md").read_text()
    assert (tmp_path / "results" / "summary.csv").read_text() == HEADER

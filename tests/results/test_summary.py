"""The summary of all runs: ranking, remarks, intervals, seeds, and folders that cannot be read."""

import math

import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline.config.runs import Run
from pipeline.core.files import read_csv, write_csv
from pipeline.evaluation import paired, per_image, scores
from pipeline.evaluation.vocabulary import number
from pipeline.figures import sweeps
from pipeline.results.comparison import compare_runs
from pipeline.results.summary import write_summary


@pytest.fixture
def figures_drawn():
    """For tests of the figures themselves; see `drawn`."""


@pytest.fixture(autouse=True)
def drawn(request, monkeypatch):
    """What would be drawn: path, points, lines. Only tests that ask for `figures_drawn` draw; it takes a second."""
    found = []
    if "figures_drawn" not in request.fixturenames:
        monkeypatch.setattr(sweeps, "sweep", lambda path, dataset, points, lines: found.append((path, points, lines)))
    return found


def put(results, run, validation, test=15.0, mean=17.0, info=None, dataset="sample", verdict=None, ends=None):
    """Write a results folder.

    info False: without run.yaml; verdict: that of differences.csv, which is not there without one; ends: those of the
    intervals of the model's RMSE.
    """

    def row(partition, answer, metric, value, n=9):
        low, high = ends if ends and (answer, metric) == ("model", "rmse") else ("", "")
        told = "" if ends else "no interval: 3 groups, fewer than 10"
        values = (run, dataset, partition, n, answer, metric, value, low, high, told)
        return dict(zip(scores.COLUMNS, values, strict=True))

    rows = [
        row("validation", "model", "rmse", validation),
        row("validation", "model", "accuracy", 0.61239),
        row("validation", "model", "ciede2000", 9.5),
        row("validation", "majority", "accuracy", 0.51),
        row("validation", "gray", "ciede2000", 11.0),
        row("validation", "mean", "ciede2000", 10.5),
        row("test", "model", "rmse", test),
        row("test", "model", "accuracy", 0.6),
        row("test", "model", "psnr", 23.456),
        row("test", "model", "ssim", 0.91234),
        row("test", "model", "ciede2000", 9.876),
        row("test", "gray", "rmse", 18.0),
        row("test", "gray", "psnr", 22.25),
        row("test", "gray", "ciede2000", 10.75),
        row("test", "embedding-shuffled", "rmse", 15.5),
        row("test", "mean", "rmse", mean),
        row("test", "majority", "accuracy", 0.52),
        *scores.paper_rows(run, dataset),
    ]
    (results / run).mkdir(parents=True)
    write_csv(results / run / "metrics.csv", scores.COLUMNS, rows)
    if verdict:
        values = (run, dataset, "test", 9, "model", "mean", "rmse", test - mean, "", "", verdict)
        compared = [dict(zip(paired.COLUMNS, values, strict=True))]
        compared.insert(0, compared[0] | {"partition": "validation", "verdict": "better", "value": -9.0})
        compared.insert(0, compared[0] | {"partition": "test", "against": "gray"})
        write_csv(results / run / "differences.csv", paired.COLUMNS, compared)
    if info is not False:
        values = {
            "run": run, "dataset": dataset, "status": "finished", "weights_evaluated": "best", "epochs": 7,
            "embedding": {"weights": "random"},
        }  # fmt: skip
        (results / run / "run.yaml").write_text(yaml.safe_dump(values | (info or {})))


def table(results, title="## Dataset sample"):
    """The rows of the Markdown table under a title, by heading."""
    text = (results / "summary.md").read_text()
    assert f"{title}\n" in text
    part = text.split(f"{title}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert len({len(row) for row in cells}) == 1
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def test_runs_are_ranked_by_validation_and_never_by_test(tmp_path):
    put(tmp_path, "base_lr1e-1", math.nan, test=1.0)
    put(tmp_path, "base_lr1e-2", 16.0, test=5.0)
    put(tmp_path, "base_lr1e-3", 15.0, test=16.0)
    put(tmp_path, "base_lr1e-4", 100.0, test=2.0)
    write_summary(tmp_path)
    ranked = ["base_lr1e-3", "base_lr1e-2", "base_lr1e-4", "base_lr1e-1"]
    assert [row["run"] for row in table(tmp_path)] == ranked
    assert list(dict.fromkeys(row["run"] for row in read_csv(tmp_path / "summary.csv", scores.COLUMNS))) == ranked
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
            "embedding weights": "**RANDOM**",
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
    assert {row["answer"] for row in read_csv(tmp_path / "summary.csv", scores.COLUMNS)} >= {"paper", "model"}
    assert "minus paper" not in (tmp_path / "summary.csv").read_text()


def test_the_spread_over_seeds_is_that_of_runs_which_differ_in_nothing_else(tmp_path):
    for run, error in (("base_lr1e-4", 14.0), ("base_lr1e-4_s1", 15.0), ("base_lr1e-4_s7", 17.5)):
        put(tmp_path, run, error, test=error + 1)
    put(tmp_path, "base_lr1e-3_s1", 20.0)
    put(tmp_path, "base_lr1e-4_s2_noembed", 21.0)
    put(tmp_path, "my own folder", 22.0)
    write_summary(tmp_path)
    (row,) = table(tmp_path, "## Spread over training seeds")
    assert (row["run, any seed"], row["dataset"], row["seeds"]) == ("base_lr1e-4", "sample", "3")
    expected = np.mean([14, 15, 17.5]), np.std([14, 15, 17.5], ddof=1)
    assert row["RMSE, validation"] == f"{expected[0]:.2f} ± {expected[1]:.2f}" == "15.50 ± 1.80"
    assert (row["RMSE, test"], row["accuracy, validation"], row["CIEDE2000, test"]) == (
        "16.50 ± 1.80", "0.6124 ± 0.0000", "9.88 ± 0.00"
    )  # fmt: skip


SETTINGS = {
    "weights_evaluated": "best", "settings": {"training": {"start_at": "mean"}, "embeddings": {"seed": 0}},
    "configuration": {"training": {"epochs": 3}},
}  # fmt: skip


def test_seeds_of_runs_that_were_trained_otherwise_are_kept_apart(tmp_path):
    for seed, change in enumerate(
        (
            {},
            {},
            {"weights_evaluated": "last"},
            {"configuration": {"training": {"epochs": 9}}},
            {"settings": {"training": {"start_at": "zeros"}, "embeddings": {"seed": 0}}},
        ),
        start=1,
    ):
        put(tmp_path, f"base_lr1e-4_s{seed}", 14.0 + seed, info=SETTINGS | change)
    write_summary(tmp_path)
    (row,) = table(tmp_path, "## Spread over training seeds")
    assert (row["seeds"], row["RMSE, validation"]) == ("2", "15.50 ± 0.71")


def test_named_experiments_are_drawn_and_their_seeds_stand_together(tmp_path, drawn):
    told = {
        "name": "mine", "architecture": "base", "learning_rate": "1e-3", "l2": "0", "batch_size": 5, "embedding": True
    }  # fmt: skip
    for name, seed in (("mine", 7), ("mine_s1", 1), ("mine_s2", 2)):
        info = {"settings": {"run": name, "experiment": told | {"seed": seed}}}
        put(tmp_path, name, 14.0 + seed, info=info)
    write_summary(tmp_path)
    (row,) = table(tmp_path, "## Spread over training seeds")
    assert (row["run, any seed"], row["seeds"], row["RMSE, validation"]) == ("mine", "3", "17.33 ± 3.21")
    ((_, points, _),) = drawn
    assert [(point.name, point.run.learning_rate) for point in points] == [
        ("mine", "1e-3"), ("mine_s1", "1e-3"), ("mine_s2", "1e-3"),
    ]  # fmt: skip


def test_seeds_of_two_datasets_are_kept_apart_and_one_seed_has_no_spread(tmp_path):
    put(tmp_path, "base_lr1e-4", 14.0, dataset="sample", info={"dataset": "sample"})
    put(tmp_path, "base_lr1e-4_s1", 15.0, dataset="kaggle", info={"dataset": "kaggle"})
    write_summary(tmp_path)
    assert "Spread over training seeds" not in (tmp_path / "summary.md").read_text()


def test_a_diverged_seed_leaves_no_spread_to_be_told(tmp_path):
    put(tmp_path, "base_lr1e-4", 14.0)
    put(tmp_path, "base_lr1e-4_s1", math.nan)
    write_summary(tmp_path)
    (row,) = table(tmp_path, "## Spread over training seeds")
    assert row["RMSE, validation"] == "NaN ± NaN"
    assert row["RMSE, test"] == "15.00 ± 0.00"


def with_images(results, run, better=0.0, n=30, images="f1"):
    """What `compare_runs` reads."""
    rng = np.random.default_rng(0)
    mse = rng.uniform(200, 260, n) - better
    found = {"mse": mse, "accuracy": 0.6 - mse / 2000, "ciede2000": mse / 20}
    table = [{"id": str(i), "group": f"{i:02d}", "partition": "test"} for i in range(n)]
    per_image.write(results / run / "per_image.csv", run, "sample", table, {"model": found})
    path = results / run / "run.yaml"
    record = yaml.safe_load(path.read_text()) | {"fingerprints": {"images": images, "split": "s"}}
    path.write_text(yaml.safe_dump(record))


NOEMBED = "## With and without the embedding"


def test_a_run_stands_beside_the_same_network_without_the_embedding(tmp_path):
    for run, better in (("base_lr1e-4_s1", 20.0), ("base_lr1e-4_s1_noembed", 0.0), ("base_lr1e-3_noembed", 0.0)):
        put(tmp_path, run, 14.0)
        with_images(tmp_path, run, better)
    write_summary(tmp_path)
    rows = table(tmp_path, NOEMBED)
    assert [row["metric"] for row in rows] == ["RMSE", "accuracy", "CIEDE2000"]
    assert {(row["run"], row["without"]) for row in rows} == {("base_lr1e-4_s1", "base_lr1e-4_s1_noembed")}
    assert {row["verdict"] for row in rows} == {"with the embedding: better"}
    compared = compare_runs(tmp_path / "base_lr1e-4_s1", tmp_path / "base_lr1e-4_s1_noembed")[0]
    of = {row["metric"]: row for row in compared}
    for row, metric in zip(rows, ("rmse", "accuracy", "ciede2000"), strict=True):
        difference, low, high = (number(of[metric][name], metric, sign=True) for name in ("difference", "low", "high"))
        assert (row["difference"], row["95 % interval"]) == (difference, f"{low} to {high}")


def test_with_few_groups_the_embedding_is_not_called_better(tmp_path):
    for run, better in (("base_lr1e-4", 20.0), ("base_lr1e-4_noembed", 0.0)):
        put(tmp_path, run, 14.0)
        with_images(tmp_path, run, better, n=9)
    write_summary(tmp_path)
    rows = table(tmp_path, NOEMBED)
    assert {row["95 % interval"] for row in rows} == {"9 groups, fewer than 10"}
    assert {row["verdict"] for row in rows} == {"with the embedding: no interval"}


def test_runs_of_other_images_are_not_compared_and_the_reason_is_told(tmp_path):
    for run, images in (("base_lr1e-4", "f1"), ("base_lr1e-4_noembed", "f2")):
        put(tmp_path, run, 14.0)
        with_images(tmp_path, run, images=images)
    write_summary(tmp_path)
    (row,) = table(tmp_path, NOEMBED)
    assert (row["difference"], row["95 % interval"]) == ("–", "–")
    assert "other images" in row["verdict"] and str(tmp_path) not in (tmp_path / "summary.md").read_text()


def test_what_other_settings_did_is_not_put_down_to_the_embedding(tmp_path):
    other = {"training": {"start_at": "zeros"}, "embeddings": {"seed": 0}}
    put(tmp_path, "base_lr1e-4", 14.0, info=SETTINGS)
    put(tmp_path, "base_lr1e-4_noembed", 14.0, info=SETTINGS | {"weights_evaluated": "last", "settings": other})
    for run in ("base_lr1e-4", "base_lr1e-4_noembed"):
        with_images(tmp_path, run)
    write_summary(tmp_path)
    (row,) = table(tmp_path, NOEMBED)
    assert (row["difference"], row["95 % interval"]) == ("–", "–")
    told = "they differ in more than the embedding: training.start_at: 'mean', 'zeros'; weights: 'best', 'last'"
    assert row["verdict"] == f"not compared: {told}"


def test_settings_of_an_embedding_that_the_twin_has_not_do_not_count(tmp_path):
    other = {"training": {"start_at": "mean"}, "embeddings": {"seed": 9}}
    put(tmp_path, "base_lr1e-4", 14.0, info=SETTINGS)
    put(tmp_path, "base_lr1e-4_noembed", 14.0, info=SETTINGS | {"settings": other})
    for run, better in (("base_lr1e-4", 20.0), ("base_lr1e-4_noembed", 0.0)):
        with_images(tmp_path, run, better)
    write_summary(tmp_path)
    assert {row["verdict"] for row in table(tmp_path, NOEMBED)} == {"with the embedding: better"}


def test_without_such_a_pair_there_is_no_table(tmp_path):
    put(tmp_path, "base_lr1e-4", 14.0)
    put(tmp_path, "base_lr1e-3_noembed", 14.0)
    write_summary(tmp_path)
    assert NOEMBED not in (tmp_path / "summary.md").read_text()


def test_the_sweep_is_of_the_validation_scores_of_all_named_runs(tmp_path, drawn):
    put(tmp_path, "base_lr1e-4", 14.0)
    put(tmp_path, "arch1_lr1e-2_l2-0_bs3_s4_noembed", math.nan)
    put(tmp_path, "my own folder", 16.0)
    write_summary(tmp_path)
    ((path, points, lines),) = drawn
    assert path == tmp_path / "sweep.png"
    assert lines["majority", "accuracy"] == 0.51
    assert (lines["mean", "ciede2000"], lines["gray", "ciede2000"]) == (10.5, 11.0)
    found = ((0.61239, None, None), (9.5, None, None))
    names = ("arch1_lr1e-2_l2-0_bs3_s4_noembed", "base_lr1e-4")
    assert points == [sweeps.SweepPoint(name, Run.parse(name), found) for name in names]


def test_each_dataset_has_its_own_sweep_and_old_ones_go(tmp_path, drawn):
    (tmp_path / "sweep_old.png").touch()
    (tmp_path / "sweep_old.svg").touch()
    (tmp_path / "sweep_notes.txt").touch()
    put(tmp_path, "sweep_lr2.5e-4", 14.0, dataset="kaggle", info={"dataset": "kaggle"})
    put(tmp_path, "base_lr1e-4", 14.0)
    write_summary(tmp_path)
    assert sorted(path.name for path, _, _ in drawn) == ["sweep_kaggle.png", "sweep_sample.png"]
    assert sorted(path.name for path in tmp_path.glob("sweep*")) == ["sweep_lr2.5e-4", "sweep_notes.txt"]


def test_the_sweep_is_drawn_as_picture_and_vector(tmp_path, figures_drawn):
    for run, error in (("base_lr1e-4", 14.0), ("base_lr1e-3", 15.0), ("base_lr1e-1", math.nan)):
        put(tmp_path, run, error)
    write_summary(tmp_path)
    with Image.open(tmp_path / "sweep.png") as picture:
        assert picture.size[0] > 300 and len(picture.convert("L").getcolors()) > 10
    assert (tmp_path / "sweep.svg").read_text().rstrip().endswith("</svg>")
    before = {kind: (tmp_path / f"sweep.{kind}").read_bytes() for kind in ("png", "svg")}
    write_summary(tmp_path)
    assert before == {kind: (tmp_path / f"sweep.{kind}").read_bytes() for kind in ("png", "svg")}


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
    assert row["embedding weights"] == "imagenet"


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
        (HEADER.encode(), "has no rows"),
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
    assert {row["run"] for row in read_csv(tmp_path / "summary.csv", scores.COLUMNS)} == {"base_lr1e-4"}


def test_the_long_table_keeps_every_value_as_written_in_the_order_of_the_ranking(tmp_path):
    put(tmp_path, "base_lr1e-4", 0.1 + 0.2)
    put(tmp_path, "arch1_lr1e-2", math.nan)
    write_summary(tmp_path)
    rows = read_csv(tmp_path / "summary.csv", scores.COLUMNS)
    parts = [read_csv(tmp_path / run / "metrics.csv", scores.COLUMNS) for run in ("base_lr1e-4", "arch1_lr1e-2")]
    assert rows == parts[0] + parts[1]
    assert {"nan", "0.30000000000000004"} <= {row["value"] for row in rows}


def test_reference_rows_without_a_run_get_the_folders(tmp_path):
    put(tmp_path, "base_lr1e-4", 14.0)
    with (tmp_path / "base_lr1e-4" / "metrics.csv").open("a") as file:
        file.write(",sample,train,9,gray,rmse,19.0,,,\n")
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

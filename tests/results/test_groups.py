"""Runs that belong together: several seeds of one experiment, and with and without the embedding."""

import math

import numpy as np
import pytest
import yaml
from summaries import put, table

from pipeline.evaluation import per_image
from pipeline.evaluation.vocabulary import number
from pipeline.results.comparison import compare_runs
from pipeline.results.summary import write_summary

pytestmark = pytest.mark.usefixtures("drawn")


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
    assert "different images" in row["verdict"] and str(tmp_path) not in (tmp_path / "summary.md").read_text()


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
    assert row["verdict"] == f"not compared, because {told}"


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

"""Scores: measures per image, and metrics over partitions with their resamples."""

import itertools
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tiny import MEASURED, literal

from pipeline.config import paper
from pipeline.core import csv_files
from pipeline.evaluation import intervals, measures, metrics, per_image, predictors, scores
from pipeline.evaluation.predictors import Batch
from pipeline.evaluation.scoring import Scores
from pipeline.images import lab

NAMES = ["train", "test", "test", "validation", "test", "train"]


def images(seed=0, n=6):
    """L, ab and a prediction of random photographs of few colours."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (n, 3, 4, 3), np.uint8).repeat(4, axis=1).repeat(3, axis=2)
    lightness, ab = lab.from_rgb(rgb)
    predicted = (128 + 0.5 * (ab - 128.0) + rng.normal(0, 5, ab.shape)).astype(np.float32)
    return lightness, ab, predicted


def truth(names, lightness, ab):
    """With the weights of the partitions' colours, as the baselines count them."""
    weights = {
        name: metrics.rarity(np.bincount(metrics.color_bins(ab[np.array(names) == name]).ravel(), minlength=676))
        for name in set(names)
    }
    return measures.Truth(lightness, ab, np.stack([weights[name] for name in names]))


def measured(true, predicted, cuts=(0, None), threads=1):
    found = Scores(len(predicted))
    with ThreadPoolExecutor(threads) as pool:
        for start, end in itertools.pairwise(cuts):
            part = slice(start, end)
            batch = Batch(np.arange(len(predicted))[part], true[part])
            found.measure(pool, batch, {scores.MODEL: predicted[part]})
    return found.answers


def rows_of(answers, names, groups=None, settings=""):
    chosen = scores.samples(names, groups or [str(i) for i in range(len(names))])
    return scores.rows("base_lr1e-4", "sample", scores.summed(answers, chosen), chosen, settings)


def scored(names, lightness, ab, predicted, **how):
    return rows_of(measured(truth(names, lightness, ab), predicted, **how), names)


def value(rows, partition, metric):
    (found,) = [row["value"] for row in rows if (row["partition"], row["metric"]) == (partition, metric)]
    return found


def assert_same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_rows_come_in_order_and_count_images():
    rows = scored(NAMES, *images())
    assert [tuple(row) for row in rows] == [scores.COLUMNS] * len(rows)
    computed = [metric for metric in MEASURED if metric != "loss"]
    assert [(row["partition"], row["metric"]) for row in rows] == [(p, m) for p in scores.PARTITIONS for m in computed]
    assert {(row["partition"], row["n"]) for row in rows} == {("train", 2), ("validation", 1), ("test", 3)}
    assert {(row["run"], row["dataset"], row["answer"]) for row in rows} == {("base_lr1e-4", "sample", "model")}


@pytest.mark.parametrize("partition", scores.PARTITIONS)
def test_metrics_follow_their_definitions(partition):
    lightness, ab, predicted = images()
    rows = scored(NAMES, lightness, ab, predicted)
    here = np.array(NAMES) == partition
    expected = literal(lightness[here], ab[here], predicted[here])
    assert set(expected) == set(MEASURED) - {"loss"}
    for metric, number in expected.items():
        assert value(rows, partition, metric) == pytest.approx(number, rel=1e-9), metric


def test_metrics_of_a_set_are_not_means_over_images():
    lightness, ab, predicted = images()
    predicted[1] = 128 + 2 * (ab[1] - 128.0)  # more colourful than the truth; the others are less
    answers = measured(truth(NAMES, lightness, ab), predicted)[scores.MODEL]
    rows = rows_of({scores.MODEL: answers}, NAMES)
    test = np.array(NAMES) == "test"
    for metric in ("rmse", "psnr_pooled", "auc_rebalanced", "chroma_ratio", "delta_cf_set"):
        of_images = measures.METRICS[metric].of(answers)[test]
        assert abs(value(rows, "test", metric) - of_images.mean()) > 1e-6, metric


@pytest.mark.parametrize(("cuts", "threads"), [
    ((0, 1, 2, 3, 4, 5, 6), 1), ((0, 4, 6), 2), ((0, 0, 5, 6), 2), ((0, 6), 4), ((0, 6), 9),
])  # fmt: skip
def test_neither_batches_nor_threads_change_a_bit(cuts, threads):
    lightness, ab, predicted = images()
    one = truth(NAMES, lightness, ab)
    at_once = measures.measure(one, predicted)
    assert not any(np.isnan(values).any() for values in at_once.values())
    assert_same(measured(one, predicted, cuts=cuts, threads=threads)[scores.MODEL], at_once)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_images_changes_no_value_and_no_interval(seed):
    lightness, ab, predicted = images(n=36)
    names, groups = NAMES * 6, [f"g{i % 17}" for i in range(36)]
    order = np.random.default_rng(seed).permutation(36)
    one = rows_of(measured(truth(names, lightness, ab), predicted), names, groups)
    mixed, mixed_groups = [names[i] for i in order], [groups[i] for i in order]
    again = truth(mixed, lightness[order], ab[order])
    two = rows_of(measured(again, predicted[order]), mixed, mixed_groups)
    assert sum(row["low"] != "" for row in one) >= 14
    for a, b in zip(one, two, strict=True):
        assert a | {"low": 0, "high": 0} == b | {"low": 0, "high": 0}
        if a["low"] != "":
            assert (b["low"], b["high"]) == pytest.approx((a["low"], a["high"]), rel=1e-9)


def test_only_sets_of_ten_groups_have_intervals():
    lightness, ab, predicted = images(n=24)
    names = ["train"] * 10 + ["validation"] * 9 + ["test"] * 5
    rows = rows_of(measured(truth(names, lightness, ab), predicted), names, settings="finished")
    for row in rows:
        notes = {
            "train": "finished",
            "validation": "finished; no interval: 9 groups, fewer than 10",
            "test": "finished; no interval: 5 groups, fewer than 10",
        }
        if row["metric"] == "auc_rebalanced":
            notes["train"] += "; no interval: fewer than 200 groups"
        assert row["settings"] == notes[row["partition"]]
        if notes[row["partition"]] == "finished":
            assert row["low"] < row["high"] and row["low"] <= row["value"] <= row["high"], row
        else:
            assert row["low"] == row["high"] == ""
    paired = rows_of(measured(truth(names, lightness, ab), predicted), names, [f"g{i // 2}" for i in range(24)])
    assert {row["low"] for row in paired} == {""}
    assert {r["settings"] for r in paired if r["partition"] == "test"} == {"no interval: 3 groups, fewer than 10"}


def test_intervals_are_those_of_the_metrics_without_each_image():
    lightness, ab, predicted = images(n=12)
    answers = measured(truth(["test"] * 12, lightness, ab), predicted)
    rows = {row["metric"]: row for row in rows_of(answers, ["test"] * 12, list("abcdefghijkl"))}
    columns, found = answers[scores.MODEL], {"rmse": [], "chroma_ratio": [], "psnr_pooled": []}
    for chosen in [range(12), *(np.delete(range(12), place) for place in range(12))]:
        found["rmse"].append(np.sqrt(columns["mse"][chosen].mean()))
        found["chroma_ratio"].append(columns["chroma"][chosen].sum() / columns["chroma_true"][chosen].sum())
        found["psnr_pooled"].append(20 * np.log10(255) - 10 * np.log10(columns["rgb_mse"][chosen].mean()))
    for metric, values in found.items():
        ends = rows[metric]["low"], rows[metric]["high"]
        assert ends == pytest.approx(intervals.interval(values)[1:], rel=1e-9), metric


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("error")
def test_one_value_that_is_not_finite_leaves_only_accuracy(bad):
    lightness, ab, predicted = images()
    good = scored(NAMES, lightness, ab, predicted)
    predicted[1, 0, 0, 0] = bad
    rows = scored(NAMES, lightness, ab, predicted)
    for metric in set(MEASURED) - {"loss"}:
        assert math.isnan(value(rows, "test", metric)), metric
        assert value(rows, "train", metric) == value(good, "train", metric)


@pytest.mark.filterwarnings("error")
def test_a_diverged_model_has_no_scores():
    lightness, ab, predicted = images(n=12)
    rows = scored(["test"] * 12, lightness, ab, np.full_like(predicted, np.nan))
    assert {row["metric"] for row in rows} == set(MEASURED) - {"loss"}
    for row in rows:
        assert math.isnan(row["value"]) and row["low"] == row["high"] == ""
        assert row["settings"] == "no interval: not a finite number for every image"


def test_the_true_colours_score_perfectly_and_are_written_in_full(tmp_path):
    lightness, ab, _ = images()
    rows = scored(NAMES, lightness, ab, ab.astype(np.float32))
    best = {
        "mse": 0, "rmse": 0, "accuracy": 1, "psnr": math.inf, "psnr_pooled": math.inf, "ssim": 1, "ciede2000": 0,
        "ciede2000_p95": 0, "auc": 1, "auc_rebalanced": 1, "delta_cf_images": 0, "delta_cf_set": 0, "chroma_ratio": 1,
    }  # fmt: skip
    assert {metric: value(rows, "test", metric) for metric in best} == pytest.approx(best, rel=1e-12)
    third = {"loss": np.array([np.float32(0.1)], float), **dict.fromkeys(["mse"], np.array([np.nan]))}
    rows += rows_of({"x": third}, ["test"])
    csv_files.write(tmp_path / "metrics.csv", scores.COLUMNS, rows)
    text = [row["value"] for row in csv_files.read(tmp_path / "metrics.csv", scores.COLUMNS)]
    assert {"inf", "nan", repr(float(np.float32(0.1)))} <= set(text)
    np.testing.assert_array_equal([float(value) for value in text], [row["value"] for row in rows])


def test_loss_comes_first_where_it_is_known():
    lightness, ab, predicted = images()
    answers = measured(truth(NAMES, lightness, ab), predicted)
    answers["other"] = dict(answers[scores.MODEL])
    answers["other"]["loss"] = answers["other"]["mse"] + 0.25
    rows = rows_of(answers, NAMES)
    assert "loss" not in {row["metric"] for row in rows if row["answer"] == scores.MODEL}
    mine = [row for row in rows if row["answer"] == "other" and row["partition"] == "test"]
    assert [row["metric"] for row in mine] == list(MEASURED)
    assert mine[0]["value"] == pytest.approx(mine[1]["value"] + 0.25, rel=1e-12)


def test_the_truth_is_converted_once_for_several_answers(monkeypatch):
    lightness, ab, predicted = images()
    calls = []
    convert = lab.to_rgb
    monkeypatch.setattr(lab, "to_rgb", lambda *arguments: calls.append(1) or convert(*arguments))
    one = truth(NAMES, lightness, ab)
    for answer in (predicted, predicted + 1, predicted + 2):
        measures.measure(one, answer)
    assert len(calls) == 4


def test_the_majority_answer_has_an_accuracy_and_nothing_else():
    lightness, ab, _ = images()
    found = Scores(len(NAMES))
    with ThreadPoolExecutor(1) as pool:
        answer = np.broadcast_to(np.array([0.0, 1.0]), ab.shape)
        batch = Batch(np.arange(len(NAMES)), truth(NAMES, lightness, ab))
        found.measure(pool, batch, {predictors.MAJORITY: answer}, [predictors.MAJORITY])
    rows = rows_of(found.answers, NAMES)
    assert [(row["partition"], row["metric"]) for row in rows] == [(p, "accuracy") for p in scores.PARTITIONS]
    test = ab[np.array(NAMES) == "test"]
    assert value(rows, "test", "accuracy") == pytest.approx((test[..., 1] > test[..., 0]).mean())


def test_paper_rows_hold_what_the_paper_reports_and_no_count(tmp_path):
    rows = scores.paper_rows("base_lr1e-4", "kaggle")
    assert [(row["partition"], row["value"]) for row in rows] == [("validation", 0.57347536), ("test", 0.568752)]
    csv_files.write(tmp_path / "rows.csv", scores.COLUMNS, rows)
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    assert lines[1].startswith("base_lr1e-4,kaggle,validation,,paper,accuracy,0.57347536,,,")


@pytest.mark.parametrize("run", ["base_lr1e-4_l2-1e-1", "base_lr1e-4_s1", "base_lr1e-4_noembed", "other"])
def test_no_paper_rows_without_numbers(run):
    assert paper.RUNS.get(run) is None or paper.RUNS[run].test is None
    assert scores.paper_rows(run, "kaggle") == []


@pytest.mark.parametrize("bad", [None, np.nan])
def test_metrics_follow_from_the_per_image_file(tmp_path, bad):
    """Recomputed by plain means of the file's values."""
    lightness, ab, predicted = images(n=12)
    if bad is not None:
        predicted[7, 2, 2, 1] = bad
    names = NAMES * 2
    answers = measured(truth(names, lightness, ab), predicted)
    path = tmp_path / "per_image.csv"
    table = [{"id": str(i), "group": str(i), "partition": name} for i, name in enumerate(names)]
    per_image.write(path, "r", "d", table, answers)
    found = {}
    for row in csv_files.read(path, per_image.COLUMNS):
        found.setdefault((row["partition"], row["metric"]), []).append(float(row["value"]))
    rows = rows_of(answers, names)
    assert math.isnan(value(rows, "test", "rmse")) == (bad is not None)
    for partition in scores.PARTITIONS:
        mean = {metric: np.mean(v) for (name, metric), v in found.items() if name == partition}
        expected = mean | {
            "rmse": np.sqrt(mean["mse"]), "psnr_pooled": 10 * np.log10(255**2 / mean["rgb_mse"]),
            "auc_rebalanced": mean["auc_weighted"] / mean["rarity"],
            "delta_cf_set": abs(mean["colourfulness"] - mean["colourfulness_true"]),
            "chroma_ratio": mean["chroma"] / mean["chroma_true"],
        }  # fmt: skip
        for metric in set(MEASURED) - {"loss"}:
            assert value(rows, partition, metric) == pytest.approx(expected[metric], rel=1e-12, nan_ok=True), metric
    read = per_image.read(path)
    assert str(rows_of(read.answers, read.partitions, read.groups)) == str(rows)

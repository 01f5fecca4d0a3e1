"""Scores over partitions: definitions, batches, answers without a network, the paper's numbers."""

import itertools
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio

from pipeline import lab, metrics, paper, scores
from pipeline.files import read_csv, write_csv

NAMES = ["train", "test", "test", "validation", "test", "train"]


def images(seed: int = 0, n: int = len(NAMES)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """L, ab and a prediction of random photographs of few colours."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (n, 3, 4, 3), np.uint8).repeat(4, axis=1).repeat(3, axis=2)
    lightness, ab = lab.from_rgb(rgb)
    predicted = (128 + 0.5 * (ab - 128.0) + rng.normal(0, 5, ab.shape)).astype(np.float32)
    return lightness, ab, predicted


def scored(names, lightness, ab, predicted, cuts=(0, None)) -> list[dict]:
    result = scores.Scores()
    for start, end in itertools.pairwise(cuts):
        part = slice(start, end)
        result.add(scores.Truth(names[part], lightness[part], ab[part]), predicted[part])
    return result.rows("base_lr1e-4", "sample", scores.MODEL)


def value(rows, partition, metric, answer=None):
    found = [
        row
        for row in rows
        if (row["partition"], row["metric"]) == (partition, metric) and answer in (None, row["answer"])
    ]
    assert len(found) == 1
    return found[0]["value"]


def test_rows_come_in_order_and_count_images():
    lightness, ab, predicted = images()
    rows = scored(NAMES, lightness, ab, predicted)
    assert [tuple(row) for row in rows] == [scores.COLUMNS] * len(rows)
    computed = [metric for metric in scores.METRICS if metric != "loss"]
    assert [(row["partition"], row["metric"]) for row in rows] == [(p, m) for p in scores.PARTITIONS for m in computed]
    assert {(row["partition"], row["n"]) for row in rows} == {("train", 2), ("validation", 1), ("test", 3)}
    assert {(row["run"], row["dataset"], row["answer"]) for row in rows} == {("base_lr1e-4", "sample", "model")}


def test_means_follow_their_definitions():
    lightness, ab, predicted = images()
    rows = scored(NAMES, lightness, ab, predicted)
    test = np.array(NAMES) == "test"
    error = (predicted[test].astype(float) - ab[test]) ** 2
    assert value(rows, "test", "mse") == pytest.approx(error.mean(), rel=1e-12)
    assert value(rows, "test", "rmse") == pytest.approx(math.sqrt(error.mean()), rel=1e-12)
    agree = predicted[test].argmax(-1) == ab[test].argmax(-1)
    assert value(rows, "test", "accuracy") == pytest.approx(agree.mean(), rel=1e-12)
    answers, truths = lab.to_rgb(lightness[test], predicted[test]), lab.to_rgb(lightness[test], ab[test])
    noise = [peak_signal_noise_ratio(t, p, data_range=255) for p, t in zip(answers, truths, strict=True)]
    assert value(rows, "test", "psnr") == pytest.approx(np.mean(noise), rel=1e-12)
    assert value(rows, "test", "ssim") == pytest.approx(metrics.ssim(answers, truths).mean(), rel=1e-12)
    difference = deltaE_ciede2000(rgb2lab(answers), rgb2lab(truths)).mean()
    assert value(rows, "test", "ciede2000") == pytest.approx(difference, rel=1e-9)


@pytest.mark.parametrize("cuts", [(0, 1, 2, 3, 4, 5, 6), (0, 4, 6), (0, 0, 5, 6)])
def test_neither_batches_nor_order_change_a_bit(cuts):
    lightness, ab, predicted = images()
    whole = scored(NAMES, lightness, ab, predicted)
    assert scored(NAMES, lightness, ab, predicted, cuts) == whole
    order = np.random.default_rng(len(cuts)).permutation(len(NAMES))
    assert scored([NAMES[i] for i in order], lightness[order], ab[order], predicted[order], cuts) == whole


def test_threads_may_add_batches_side_by_side():
    lightness, ab, predicted = images(n=48)
    names = NAMES * 8
    result = scores.Scores()
    with ThreadPoolExecutor(4) as pool:
        truths = [scores.Truth([names[i]], lightness[i, None], ab[i, None]) for i in range(48)]
        list(pool.map(result.add, truths, predicted[:, None]))
    assert result.rows("base_lr1e-4", "sample", scores.MODEL) == scored(names, lightness, ab, predicted)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("error")
def test_one_value_that_is_not_finite_leaves_only_accuracy(bad):
    lightness, ab, predicted = images()
    good = scored(NAMES, lightness, ab, predicted)
    predicted[1, 0, 0, 0] = bad
    rows = scored(NAMES, lightness, ab, predicted)
    for metric in ("mse", "rmse", "psnr", "ssim", "ciede2000"):
        assert math.isnan(value(rows, "test", metric))
        assert value(rows, "train", metric) == value(good, "train", metric)
    assert 0 < value(rows, "test", "accuracy") < 1


@pytest.mark.filterwarnings("error")
def test_a_diverged_model_scores_the_share_of_index_0():
    lightness, ab, predicted = images()
    rows = scored(["test"] * len(NAMES), lightness, ab, np.full_like(predicted, np.nan))
    assert value(rows, "test", "accuracy") == pytest.approx((ab[..., 0] >= ab[..., 1]).mean())
    assert math.isnan(value(rows, "test", "rmse"))


def test_the_true_colours_score_perfectly_and_are_written_in_full(tmp_path):
    lightness, ab, _ = images()
    rows = scored(NAMES, lightness, ab, ab.astype(np.float32))
    assert [value(rows, "test", m) for m in ("mse", "rmse", "accuracy", "psnr", "ciede2000")] == [0, 0, 1, math.inf, 0]
    third = scores.Scores()
    third.add(scores.Truth(["test"], lightness[:1], ab[:1]), np.full((1, 12, 12, 2), np.nan))
    rows += third.rows("r", "d", "x", {"test": {"loss": np.float32(0.1)}})
    write_csv(tmp_path / "metrics.csv", scores.COLUMNS, rows)
    text = [row["value"] for row in read_csv(tmp_path / "metrics.csv", scores.COLUMNS)]
    assert {"inf", "nan", repr(float(np.float32(0.1)))} <= set(text)
    np.testing.assert_array_equal([float(value) for value in text], [row["value"] for row in rows])


def test_extra_metrics_stand_in_their_place_and_only_where_there_are_images():
    lightness, ab, predicted = images(n=1)
    result = scores.Scores()
    result.add(scores.Truth(["validation"], lightness, ab), predicted)
    rows = result.rows("r", "d", "model", {"validation": {"loss": 3.5}, "test": {"loss": 4.5}})
    assert [row["metric"] for row in rows] == list(scores.METRICS)
    assert {row["partition"] for row in rows} == {"validation"}
    assert rows[0]["value"] == 3.5


def test_the_truth_is_converted_once_for_several_answers(monkeypatch):
    lightness, ab, predicted = images()
    calls = []
    convert = lab.to_rgb
    monkeypatch.setattr(lab, "to_rgb", lambda *arguments: calls.append(1) or convert(*arguments))
    truth = scores.Truth(NAMES, lightness, ab)
    for answer in (predicted, predicted + 1, predicted + 2):
        scores.Scores().add(truth, answer)
    assert len(calls) == 4


def test_a_truth_of_other_shapes_or_partitions_is_refused():
    lightness, ab, _ = images()
    with pytest.raises(ValueError, match="holdout"):
        scores.Truth([*NAMES[:-1], "holdout"], lightness, ab)
    with pytest.raises(ValueError, match="received 5"):
        scores.Truth(NAMES[:-1], lightness, ab)
    with pytest.raises(ValueError, match="expected k partitions"):
        scores.Truth(NAMES, lightness, ab[:, :-1])


def references(majority_index=1, mean=(131.25, 126.5)):
    lightness, ab, _ = images()
    batches = [(NAMES[:4], lightness[:4], ab[:4]), (NAMES[4:], lightness[4:], ab[4:])]
    return ab[np.array(NAMES) == "test"].astype(float), scores.score_references(batches, mean, majority_index, "sample")


def test_gray_and_mean_answers():
    test, rows = references()
    assert value(rows, "test", "rmse", "gray") == pytest.approx(math.sqrt(((test - 128) ** 2).mean()))
    assert value(rows, "test", "rmse", "mean") == pytest.approx(math.sqrt(((test - [131.25, 126.5]) ** 2).mean()))
    index_0 = (test[..., 0] >= test[..., 1]).mean()
    assert value(rows, "test", "accuracy", "gray") == pytest.approx(index_0)
    assert value(rows, "test", "accuracy", "mean") == pytest.approx(index_0)
    assert {(row["run"], row["dataset"]) for row in rows} == {("", "sample")}


@pytest.mark.parametrize("index", [0, 1])
def test_the_majority_answer_has_an_accuracy_and_nothing_else(index):
    test, rows = references(index)
    mine = [row for row in rows if row["answer"] == "majority"]
    assert [(row["partition"], row["metric"]) for row in mine] == [(p, "accuracy") for p in scores.PARTITIONS]
    share = (test[..., 1] > test[..., 0]).mean()
    assert value(mine, "test", "accuracy") == pytest.approx(share if index else 1 - share)


def test_a_majority_index_that_is_none_is_refused():
    with pytest.raises(ValueError, match="0 or 1"):
        references(2)


def test_paper_rows_hold_what_the_paper_reports_and_no_count(tmp_path):
    rows = scores.paper_rows("base_lr1e-4", "kaggle")
    assert [(row["partition"], row["value"]) for row in rows] == [("validation", 0.57347536), ("test", 0.568752)]
    write_csv(tmp_path / "rows.csv", scores.COLUMNS, rows)
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    assert lines[1] == "base_lr1e-4,kaggle,validation,,paper,accuracy,0.57347536,"


@pytest.mark.parametrize("run", ["base_lr1e-4_l2-1e-1", "base_lr1e-4_s1", "other"])
def test_no_paper_rows_without_numbers(run):
    assert paper.RUNS.get(run) is None or paper.RUNS[run].test is None
    assert scores.paper_rows(run, "kaggle") == []

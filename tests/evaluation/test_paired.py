"""Paired differences and the findings derived from them, above all for runs that learned nothing."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tiny import MEASURED

from pipeline.core import csv_files
from pipeline.evaluation import intervals, measures, metrics, paired, predictors, scores, vocabulary
from pipeline.evaluation.predictors import Batch, ceiling_answer, partners
from pipeline.evaluation.scoring import Scores
from pipeline.images import lab

N = 24  # images, 16x16 pixels, all of the test partition


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(3)
    rgb = np.clip(rng.uniform(40, 220, (N, 4, 4, 1)) * (1.0, 0.8, 0.6) + rng.normal(0, 25, (N, 4, 4, 3)), 0, 255)
    rgb = np.clip(rgb.repeat(4, 1).repeat(4, 2) + rng.normal(0, 3, (N, 16, 16, 3)), 0, 255)
    lightness, ab = lab.from_rgb(rgb.astype(np.uint8))
    weights = metrics.rarity(np.bincount(metrics.color_bins(ab).ravel(), minlength=metrics.COLOR_BINS))
    return measures.Truth(lightness, ab, np.tile(weights, (N, 1)))


@pytest.fixture(scope="module")
def baselines(truth):
    """The measured baselines, with a mean colour that is not that of the test images."""
    mean = truth.ab.mean(axis=(0, 1, 2)) + [0.4, -0.7]
    predictions = {
        predictors.GRAY: np.full(truth.ab.shape, 128.0),
        predictors.MEAN: np.broadcast_to(mean, truth.ab.shape),
        predictors.MAJORITY: np.broadcast_to([0.0, 1.0], truth.ab.shape),
        predictors.SHUFFLED: truth.ab[partners([str(i) for i in range(N)], 0)],
        predictors.CEILING: ceiling_answer(truth.ab),
    }
    found = Scores(N)
    with ThreadPoolExecutor(1) as pool:
        found.measure(pool, Batch(np.arange(N), truth), predictions, [predictors.MAJORITY])
    return mean, found.answers


def judge(truth, baselines, answer, groups=N, **own):
    """Rows of differences and of metrics of a network that predicts `answer`."""
    found = {scores.MODEL: measures.measure(truth, answer)}
    found |= {name: measures.measure(truth, other) for name, other in own.items()}
    chosen = scores.samples(["test"] * N, [str(i % groups) for i in range(N)])
    over = scores.summed(found | baselines[1], chosen)
    rows = scores.rows("r", "d", over, chosen)
    return paired.difference_rows("r", "d", over, chosen), rows


def row_of(rows, against, metric):
    (found,) = [row for row in rows if (row["against"], row["metric"]) == (against, metric)]
    return found


def better_than_chance(truth, noise=3.0):
    """The truth, half as colourful, with noise."""
    rng = np.random.default_rng(5)
    return (128 + 0.7 * (truth.ab - 128.0) + rng.normal(0, noise, truth.ab.shape)).astype(np.float32)


def test_a_model_that_sees_colours_is_called_better(truth, baselines, tmp_path):
    rows, numbers = judge(truth, baselines, better_than_chance(truth))
    for against in (predictors.GRAY, predictors.MEAN, predictors.SHUFFLED):
        assert row_of(rows, against, "rmse")["verdict"] == "better"
        assert row_of(rows, against, "ssim")["verdict"] == "better"
    assert row_of(rows, predictors.CEILING, "rmse")["verdict"] == "worse"
    sentences = paired.findings("finished", numbers, rows)
    assert (
        sentences[0].startswith("RMSE ")
        and ": better (difference -" in sentences[0]
        and "95 % interval -" in sentences[0]
    )
    assert "all but gray" not in " ".join(sentences)
    assert any("of the true pictures' chroma" in sentence for sentence in sentences)
    assert paired.remark(rows) == ""
    # Rows read from the files give the same words.
    csv_files.write(tmp_path / "differences.csv", paired.COLUMNS, rows)
    csv_files.write(tmp_path / "metrics.csv", scores.COLUMNS, numbers)
    read = csv_files.read(tmp_path / "differences.csv", paired.COLUMNS)
    assert paired.findings("finished", csv_files.read(tmp_path / "metrics.csv", scores.COLUMNS), read) == sentences
    assert paired.remark(read) == ""


@pytest.mark.parametrize(("before", "verdict"), [(9.0, "better"), (3.0, "no clear difference"), (1.0, "worse")])
def test_the_findings_say_what_training_added_to_the_starting_weights(truth, baselines, before, verdict):
    after = better_than_chance(truth)
    rows, numbers = judge(truth, baselines, after, **{scores.START: better_than_chance(truth, before)})
    difference = row_of(rows, scores.START, "ciede2000")
    assert difference["verdict"] == verdict
    (sentence,) = (each for each in paired.findings("finished", numbers, rows) if "starting weights" in each)
    own = next(row["value"] for row in numbers if (row["answer"], row["metric"]) == ("model", "ciede2000"))
    assert f"CIEDE2000 {own:.2f} against {own - difference['value']:.2f} " in sentence
    assert f": {verdict} (difference " in sentence
    assert "starting weights" not in " ".join(paired.findings("finished", numbers, judge(truth, baselines, after)[0]))


def test_differences_are_paired(truth, baselines):
    """The interval is that of the difference on the same images, which is narrower than those of both answers."""
    answer = better_than_chance(truth)
    rows, _ = judge(truth, baselines, answer)
    own, other = measures.measure(truth, answer)["mse"], baselines[1][predictors.SHUFFLED]["mse"]
    chosen = [range(N), *(np.delete(range(N), place) for place in range(N))]
    gaps = [np.sqrt(own[c].mean()) - np.sqrt(other[c].mean()) for c in chosen]
    row = row_of(rows, predictors.SHUFFLED, "rmse")
    assert (row["low"], row["high"]) == pytest.approx(intervals.interval(gaps)[1:], rel=1e-9)
    assert row["value"] == pytest.approx(np.sqrt(own.mean()) - np.sqrt(other.mean()), rel=1e-12)
    assert (row["n"], row["run"], row["dataset"], row["partition"], row["answer"]) == (N, "r", "d", "test", "model")


def test_each_metric_with_a_direction_has_a_row(truth, baselines):
    rows, _ = judge(truth, baselines, better_than_chance(truth))
    directed = [name for name in MEASURED if vocabulary.term(name).better and name != "loss"]
    for against in (predictors.GRAY, predictors.MEAN, predictors.SHUFFLED, predictors.CEILING):
        assert [row["metric"] for row in rows if row["against"] == against] == directed
    assert [row["metric"] for row in rows if row["against"] == predictors.MAJORITY] == ["accuracy"]
    assert all(tuple(row) == paired.COLUMNS for row in rows)


@pytest.mark.parametrize("groups", [N, 5])
def test_a_model_against_itself_differs_by_nothing(truth, baselines, groups):
    answer = better_than_chance(truth)
    rows, _ = judge(truth, baselines, answer, groups, **{scores.EMBEDDING_SHUFFLED: answer})
    mine = [row for row in rows if row["against"] == scores.EMBEDDING_SHUFFLED]
    assert len(mine) == 12
    for row in mine:
        assert row["value"] == 0.0
        if groups == N and row["metric"] != "auc_rebalanced":
            assert (row["low"], row["high"], row["verdict"]) == (0.0, 0.0, "no clear difference")
        else:
            assert (row["low"], row["high"], row["verdict"]) == ("", "", "no interval")


def test_two_perfect_answers_differ_by_nothing_though_their_psnr_is_infinite(truth, baselines):
    perfect = truth.ab.astype(np.float32)
    rows, _ = judge(truth, baselines, perfect, **{scores.EMBEDDING_MEAN: perfect})
    assert row_of(rows, scores.EMBEDDING_MEAN, "psnr")["value"] == 0.0
    assert row_of(rows, scores.EMBEDDING_MEAN, "psnr_pooled")["verdict"] == "no clear difference"
    against_gray = row_of(rows, predictors.GRAY, "psnr")
    assert (against_gray["value"], against_gray["verdict"]) == (math.inf, "no interval")


def test_compare_returns_the_difference_and_its_interval():
    low, high = np.array([1.0, 1.1, 0.9, 1.2]), np.array([3.0, 3.1, 2.9, 3.3])
    assert paired.compare(low, high)[0] == -2.0
    value, *ends = paired.compare(high, low)
    assert value == 2.0 and tuple(ends) == intervals.interval(high - low)[1:] and ends[0] < 2 < ends[1]
    assert paired.compare(low[:1], high[:1]) == (-2.0, None, None)
    assert paired.compare(np.array([math.nan] * 4), low)[1:] == (None, None)
    assert paired.compare(np.array([math.inf] * 4), np.array([math.inf] * 4)) == (0.0, 0.0, 0.0)
    assert paired.compare(low * (1 + 1e-7), low) == (0.0, 0.0, 0.0)
    assert paired.compare(low * 1.001, low)[0] == pytest.approx(0.001)


BAD = ("gray", "mean", "noise", "colour")


def bad(kind, truth, baselines):
    """The prediction of a network that learned nothing, and its colour if it is constant."""
    a, b = baselines[0]
    return {
        "gray": (np.full(truth.ab.shape, 128, np.float32), (128, 128)),
        "mean": (np.broadcast_to(np.float32([a, b]), truth.ab.shape), (round(a), round(b))),
        "noise": (np.random.default_rng(1).uniform(80, 176, truth.ab.shape).astype(np.float32), None),
        "colour": (np.broadcast_to(np.float32([170, 90]), truth.ab.shape), (170, 90)),
    }[kind]


@pytest.mark.parametrize("groups", [N, 5])
@pytest.mark.parametrize("kind", BAD)
def test_findings_on_a_bad_model_are_plain(truth, baselines, kind, groups):
    answer, only = bad(kind, truth, baselines)
    rows, numbers = judge(truth, baselines, answer, groups)
    sentences = paired.findings("finished", numbers, rows, only)
    text = "\n".join(sentences)
    missed = ["RMSE no better than mean colour"]
    if kind != "mean":
        missed += ["RMSE no better than gray", "CIEDE2000 no better than gray"]
    assert paired.remark(rows) == "; ".join([*missed, "accuracy no better than majority"])
    if only:
        assert sentences[0] == (
            f"The network answers one colour everywhere, a = {only[0]}, b = {only[1]}: it has learned no colours."
        )
    of_mean = next(sentence for sentence in sentences if "the training images' mean colour" in sentence)
    of_gray = next(sentence for sentence in sentences if sentence.startswith("RMSE") and "for gray" in sentence)
    assert "better" not in of_mean
    if kind == "mean":
        same = "no clear difference (difference +0.00, 95 % interval +0.00 to +0.00)"
        assert of_mean.endswith(f": {same if groups == N else 'no difference'}.")
    else:
        assert (": worse (" if groups == N else ": worse on these images") in of_mean
    if kind == "gray":
        assert "better" not in of_gray and "The colours are all but gray: 0% of the true pictures' chroma." in sentences
    if kind in ("noise", "colour"):
        assert "worse" in of_gray and "all but gray" not in text
    if groups != N:
        assert "95 % interval" not in text


@pytest.mark.parametrize(
    ("verdict", "value", "remark"),
    [
        ("better", -1.0, "RMSE better than mean colour and gray; CIEDE2000 no better than gray"),
        ("no interval", -1.0, "RMSE on these images better than mean colour and gray; CIEDE2000 no better than gray"),
        ("worse", 1.0, "RMSE no better than mean colour; RMSE no better than gray; CIEDE2000 no better than gray"),
    ],
)
def test_a_remark_on_another_metric_says_what_rmse_says(verdict, value, remark):
    def row(metric, against, value, verdict):
        values = ("r", "d", "test", 9, "model", against, metric, value, "", "", verdict)
        return dict(zip(paired.COLUMNS, values, strict=True))

    rows = [row("rmse", name, value, verdict) for name in (predictors.GRAY, predictors.MEAN)]
    assert paired.remark([*rows, row("ciede2000", predictors.GRAY, 1.0, "worse")]) == remark


def test_without_an_interval_better_may_be_chance(truth, baselines):
    rows, numbers = judge(truth, baselines, better_than_chance(truth), groups=5)
    sentences = paired.findings("finished", numbers, rows)
    assert sentences[0].endswith(": better on these images, but without an interval this may be chance.")
    assert paired.remark(rows) == "better, but without an interval this may be chance"


@pytest.mark.parametrize("share", [1.0, 0.1])
def test_the_only_finding_on_a_diverged_model_is_that(truth, baselines, share):
    answer = better_than_chance(truth)
    answer[: max(1, int(share * N))] = np.nan
    rows, numbers = judge(truth, baselines, answer)
    sentences = paired.findings("diverged in epoch 3", numbers, rows)
    assert sentences == ["The network's answers are not numbers (diverged in epoch 3), so they cannot be scored."]
    assert row_of(rows, predictors.MEAN, "rmse")["verdict"] == "no interval"
    assert paired.remark(rows) == "no answer: not a number"
    assert row_of(rows, predictors.MAJORITY, "accuracy")["verdict"] == "no interval"


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "no clear difference"), (4.0, "better"), (-2.0, "worse")])
def test_findings_say_whether_the_embedding_matters(truth, baselines, shift, verdict):
    answer = better_than_chance(truth, noise=4.0)
    wrong = better_than_chance(truth, noise=4.0 + shift)
    rows, numbers = judge(truth, baselines, answer, **{scores.EMBEDDING_SHUFFLED: wrong})
    (sentences,) = [s for s in paired.findings("finished", numbers, rows) if s.startswith("Does the embedding matter?")]
    assert f": {verdict} (difference " in sentences
    without = [row for row in rows if row["against"] != scores.EMBEDDING_SHUFFLED]
    assert not any("embedding" in sentence for sentence in paired.findings("finished", numbers, without))


def test_only_test_images_enter_findings(truth, baselines):
    rows, numbers = judge(truth, baselines, better_than_chance(truth))
    other = [{**row, "partition": "validation", "value": 99.0, "verdict": "worse"} for row in rows]
    worse = [{**row, "partition": "train", "value": math.nan} for row in numbers]
    assert paired.findings("finished", numbers + worse, rows + other) == paired.findings("finished", numbers, rows)
    assert paired.remark(other + rows) == ""
    assert paired.remark(other) == "not compared"

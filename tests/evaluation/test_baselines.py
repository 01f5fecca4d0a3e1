"""Baselines: every number recomputed from the stores by independent code, for any batch size."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import MEASURED, Dataset, literal, shown, tree, value

from pipeline.config.schema import Evaluation
from pipeline.core import csv_files
from pipeline.core.errors import InputError
from pipeline.dataset import splits
from pipeline.evaluation import per_image, predictors, scores
from pipeline.evaluation.baselines import read_baselines, score_baselines
from pipeline.evaluation.predictors import ceiling_answer, partners
from pipeline.images import jpeg

# Some baselines put one colour on every lightness, which leaves sRGB.


def written(dataset):
    """The bytes of the baselines' files, by path."""
    return {
        name: content for name, content in tree(dataset.folder).items() if name.startswith(("baselines", "pictures"))
    }


@pytest.fixture
def own(referenced, tmp_path):
    """A copy of `referenced` that the test may change."""
    return Dataset(shutil.copytree(referenced.folder, tmp_path / "data" / "tiny"))


@pytest.fixture(scope="module")
def rows(referenced):
    return csv_files.read(referenced.baselines, scores.COLUMNS)


def by_loop(ab):
    """The ceiling, square by square."""
    answer = np.empty(ab.shape)
    for i, j in np.ndindex(ab.shape[1] // 2, ab.shape[2] // 2):
        square = ab[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].astype(float)
        answer[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = square.sum(axis=(1, 2), keepdims=True) / 4
    return answer


@pytest.mark.parametrize(("partition", "answers"), [
    ("train", ("mean", "shuffled")), ("validation", ("gray", "mean", "shuffled", "ceiling")), ("test", ("shuffled",)),
])  # fmt: skip
def test_every_metric_follows_from_the_stores(referenced, rows, partition, answers):
    here = referenced.rows(partition)
    lightness, ab, _ = referenced.arrays(partition)
    every = np.asarray(referenced.images.array("ab")[:])
    groups = [row["group"] for row in splits.read(referenced.splits, referenced.images.manifest()["fingerprint"])]
    predictions = {
        "gray": np.full(ab.shape, 128.0),
        "mean": np.broadcast_to(every[referenced.rows("train")].mean(axis=(0, 1, 2)), ab.shape),
        "shuffled": every[partners(groups, 0)][here],
        "ceiling": by_loop(ab),
    }
    for answer in answers:
        expected = literal(lightness, ab, predictions[answer])
        assert set(expected) == set(MEASURED) - {"loss"}
        for metric, number in expected.items():
            assert value(rows, partition, answer, metric) == pytest.approx(number, rel=1e-9, abs=1e-12), (
                answer,
                metric,
            )
    if "ceiling" in answers:
        assert 0 < value(rows, partition, "ceiling", "rmse") < 0.5 * value(rows, partition, "mean", "rmse")
        assert value(rows, partition, "gray", "chroma_ratio") == 0
    assert {r["n"] for r in rows if r["partition"] == partition} == {str(len(ab))}


@pytest.mark.parametrize("partition", splits.PARTITIONS)
def test_the_majority_is_that_of_the_training_pixels(referenced, rows, partition):
    train_ab, ab = referenced.arrays("train")[1], referenced.arrays(partition)[1]
    larger = np.mean(train_ab[..., 1] > train_ab[..., 0]) > 0.5
    share = np.mean((ab[..., 1] > ab[..., 0]) == larger)
    assert value(rows, partition, "majority", "accuracy") == pytest.approx(share, rel=1e-12)
    assert {r["metric"] for r in rows if r["answer"] == "majority"} == {"accuracy"}


def test_rows_have_no_run_and_a_reason_for_missing_intervals(referenced, rows):
    assert list(rows[0]) == list(scores.COLUMNS)
    assert {(r["run"], r["dataset"]) for r in rows} == {("", "tiny")}
    assert list(dict.fromkeys(r["answer"] for r in rows)) == list(predictors.BUILT_IN)
    for row in rows:
        reason = {"train": "3 groups", "validation": "2 groups"}.get(row["partition"])
        if reason:
            assert (row["low"], row["high"], row["settings"]) == ("", "", f"no interval: {reason}, fewer than 10")
        elif row["metric"] == "auc_rebalanced":
            assert (row["low"], row["high"]) == ("", "") and "fewer than 200 groups" in row["settings"]
        else:
            assert row["settings"] == ""
            assert float(row["low"]) <= float(row["value"]) <= float(row["high"])


def test_the_per_image_file_gives_the_same_metrics(referenced, rows):
    read = per_image.read(referenced.folder / "baselines_per_image.csv")
    table = splits.read(referenced.splits, referenced.images.manifest()["fingerprint"])
    assert (read.ids, read.groups, read.partitions) == tuple(
        [r[k] for r in table] for k in ("id", "group", "partition")
    )
    test = np.array(read.partitions) == "test"
    for answer in predictors.BUILT_IN:
        mean = {name: values[test].mean() for name, values in read.answers[answer].items()}
        assert value(rows, "test", answer, "accuracy") == pytest.approx(mean["accuracy"], rel=1e-12)
        if answer != "majority":
            rebalanced = mean["auc_weighted"] / mean["rarity"]
            assert value(rows, "test", answer, "auc_rebalanced") == pytest.approx(rebalanced, rel=1e-12)
            assert value(rows, "test", answer, "rmse") == pytest.approx(mean["mse"] ** 0.5, rel=1e-12)


def test_the_test_images_are_written_as_true_and_gray_pictures(referenced):
    lightness, ab, _ = referenced.arrays("test")
    names = [jpeg.name(row) for row in referenced.rows("test")]
    for kind in ("true", "gray"):
        assert sorted(path.name for path in (referenced.folder / "pictures" / kind).iterdir()) == sorted(names)
    for name, level, true in zip(names, lightness, ab, strict=True):
        for kind, expected in (("true", shown(level, true)), ("gray", shown(level, np.full_like(true, 128))[..., 0])):
            with Image.open(referenced.folder / "pictures" / kind / name) as picture:
                assert (picture.format, picture.size) == ("JPEG", (224, 224))
                got = np.asarray(picture).astype(int)
            assert got.shape == expected.shape
            assert np.abs(got - expected).mean() < 4


def test_neither_batches_nor_threads_change_a_byte(referenced, own):
    before = written(own)
    assert before == written(referenced) and len(before) == 3 + 20
    score_baselines(own.images, own.splits, own.baselines, Evaluation(batch_size=16), threads=1)
    assert written(own) == before


def test_another_seed_changes_the_shuffle_only(own, rows):
    before = written(own)
    with pytest.raises(InputError, match=r"baselines\.csv .*seed: 0, now 1"):
        score_baselines(own.images, own.splits, own.baselines, Evaluation(seed=1))
    assert written(own) == before
    score_baselines(own.images, own.splits, own.baselines, Evaluation(seed=1), replace=True)
    after = csv_files.read(own.baselines, scores.COLUMNS)
    assert value(after, "test", "shuffled", "rmse") != value(rows, "test", "shuffled", "rmse")
    assert value(after, "test", "mean", "rmse") == value(rows, "test", "mean", "rmse")
    ends = [[r["low"] for r in found if r["answer"] == "mean" and r["partition"] == "test"] for found in (rows, after)]
    assert ends[0] == ends[1]
    with pytest.raises(InputError, match=r"baselines\.csv .*seed"):
        read_baselines(own.baselines, own.images, own.splits)
    read_baselines(own.baselines, own.images, own.splits, Evaluation(seed=1))


def test_reading_returns_what_was_written(referenced, rows):
    read = read_baselines(referenced.baselines, referenced.images, referenced.splits)
    assert read.rows == rows
    assert list(read.answers) == list(predictors.BUILT_IN)
    ab = referenced.arrays("validation")[1]
    bins = np.floor((ab.astype(float) - 128) / 10).astype(int) + 13
    shares = np.bincount((26 * bins[..., 0] + bins[..., 1]).ravel(), minlength=676) / ab[..., 0].size
    weights = 1 / np.maximum(shares, 1e-4)
    np.testing.assert_allclose(read.rarity["validation"], weights / (shares * weights).sum(), rtol=1e-12)


@pytest.mark.parametrize("name", ["baselines.csv", "baselines_per_image.csv"])
def test_a_changed_or_missing_file_is_refused(own, name):
    path = own.folder / name
    content = path.read_bytes()
    path.write_bytes(content.replace(b"gray", b"grey", 1))
    with pytest.raises(InputError, match=name):
        read_baselines(own.baselines, own.images, own.splits)
    path.unlink()
    with pytest.raises(InputError, match=name):
        read_baselines(own.baselines, own.images, own.splits)


def test_a_failure_leaves_the_old_scores_as_they_were(own, monkeypatch):
    before = written(own)

    def fail(path, levels):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jpeg, "write_jpeg", fail)
    with pytest.raises(OSError, match="No space"):
        score_baselines(own.images, own.splits, own.baselines)
    after = written(own)
    assert after == before
    assert not [path for path in own.folder.iterdir() if path.name.startswith(".")]
    read_baselines(own.baselines, own.images, own.splits)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=40), st.integers(0, 5))
def test_a_partner_is_another_image_and_of_another_group_if_possible(numbers, seed):
    groups = [f"g{number}" for number in numbers]
    chosen = partners(groups, seed)
    assert sorted(chosen) == list(range(len(groups)))
    assert all(row != other for row, other in enumerate(chosen))
    if max(map(groups.count, groups)) <= len(groups) / 2:
        assert all(groups[row] != groups[other] for row, other in enumerate(chosen))
    np.testing.assert_array_equal(chosen, partners(groups, seed))


def test_partners_are_drawn_with_the_seed():
    groups = [f"{row:03d}" for row in range(100)]
    drawn = [partners(groups, seed) for seed in (0, 1)]
    assert (drawn[0] == drawn[1]).mean() < 0.1
    # Drawn, not shifted: neighbours have no neighbouring partners.
    assert (np.diff(drawn[0]) == 1).mean() < 0.1


@pytest.mark.parametrize("shape", [(3, 4, 6, 2), (1, 2, 2, 2), (2, 16, 8, 2)])
def test_the_ceiling_is_the_mean_of_squares(shape):
    ab = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    answer = ceiling_answer(ab)
    np.testing.assert_array_equal(answer, by_loop(ab))
    np.testing.assert_array_equal(ceiling_answer(np.rint(answer).astype(np.uint8)), np.rint(answer))


def test_a_constant_baseline_is_one_read_only_colour():
    counts = np.zeros((256, 256), int)
    counts[[130, 131], [120, 121]] = 1
    mean = predictors.BASELINES["mean"].make(SimpleNamespace(colours={"train": counts}))
    answer = mean(SimpleNamespace(truth=SimpleNamespace(lightness=np.zeros((2, 3, 4)))))
    assert answer.shape == (2, 3, 4, 2)
    assert (answer == [130.5, 120.5]).all()
    with pytest.raises(ValueError, match="read-only"):
        answer[0, 0, 0, 0] = 1

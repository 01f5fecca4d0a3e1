"""What evaluation writes: every number recomputed from the saved model and the stores, by other code."""

import numpy as np
import pytest
import yaml
from evaluations import OWN, RUN, evaluate, result_of, saved_answer, split_of
from PIL import Image
from tiny import MEASURED, RESULT_FILES, literal, rows_of, shown, tree, value

from pipeline.config.schema import Config, Evaluation
from pipeline.core import files
from pipeline.dataset import splits
from pipeline.evaluation import intervals, paired, predictors, scores, vocabulary
from pipeline.images import jpeg


@pytest.mark.slow
@pytest.mark.parametrize(("partition", "answer"), [
    ("train", "embedding-mean"), *(("validation", answer) for answer in OWN),
    ("test", "model"), ("test", "embedding-shuffled"),
])  # fmt: skip
def test_the_runs_own_numbers_are_those_of_the_saved_model(keras, evaluated, partition, answer):
    dataset, directory = evaluated
    model, said = saved_answer(dataset, directory, answer, partition)
    lightness, ab, _ = dataset.arrays(partition)
    assert said.std(axis=(0, 1, 2)).min() > 0.5
    times = len(said) // len(ab)
    assert times == (10 if (partition, answer) == ("test", "embedding-shuffled") else 1)
    expected = literal(np.tile(lightness, (times, 1, 1)), np.tile(ab, (times, 1, 1, 1)), said)
    kernels = [layer.kernel for layer in model.layers if hasattr(layer, "kernel") and layer.name != "encoder_3"]
    expected["loss"] = expected["mse"] + 0.1 * sum(np.square(np.asarray(k, np.float64)).sum() for k in kernels)
    rows = rows_of(result_of(directory) / "metrics.csv")
    mine = [r for r in rows if (r["partition"], r["answer"]) == (partition, answer)]
    assert [r["metric"] for r in mine] == list(MEASURED) and set(expected) == set(MEASURED)
    for metric, number in expected.items():
        assert value(rows, partition, answer, metric) == pytest.approx(number, rel=1e-4, abs=2e-6), metric
    assert {r["n"] for r in mine} == {str(len(ab))}
    if answer != "model":
        own_numbers = {metric: value(rows, partition, "model", metric) for metric in MEASURED}
        assert sum(abs(expected[metric] / own_numbers[metric] - 1) > 1e-3 for metric in MEASURED) >= 8


def test_the_references_rows_are_the_datasets(evaluated):
    dataset, directory = evaluated
    rows = rows_of(result_of(directory) / "metrics.csv")
    theirs = rows_of(dataset.baselines)
    assert [r for r in rows if r["answer"] in predictors.BUILT_IN] == [{**r, "run": RUN} for r in theirs]
    assert {r["answer"] for r in theirs} == set(predictors.BUILT_IN)


def test_rows_have_one_schema(evaluated):
    rows = rows_of(result_of(evaluated[1]) / "metrics.csv")
    assert list(rows[0]) == list(scores.COLUMNS) == [
        "run", "dataset", "partition", "n", "answer", "metric", "value", "low", "high", "settings"
    ]  # fmt: skip
    assert {(r["run"], r["dataset"]) for r in rows} == {(RUN, "tiny")}
    assert list(dict.fromkeys(r["answer"] for r in rows)) == [*OWN, *predictors.BUILT_IN, "paper"]
    told = "embedding weights: EfficientNet-Lite0, ImageNet; best weights of 2 epochs; finished"
    reasons = {
        "train": "; no interval: 3 groups, fewer than 10",
        "validation": "; no interval: 2 groups, fewer than 10",
    }
    for row in (r for r in rows if r["answer"] in OWN):
        few = "; no interval: fewer than 200 groups" * (row["metric"] == "auc_rebalanced")
        assert row["settings"] == told + reasons.get(row["partition"], few)
        if row["partition"] == "test" and row["metric"] != "auc_rebalanced":
            assert float(row["low"]) <= float(row["value"]) <= float(row["high"])
        else:
            assert row["low"] == row["high"] == ""
    (paper_row,) = [r for r in rows if r["answer"] == "paper"]
    assert (paper_row["partition"], paper_row["metric"], float(paper_row["value"])) == ("test", "accuracy", 0.5394033)


def test_the_per_image_file_gives_the_metrics(evaluated):
    dataset, directory = evaluated
    rows = rows_of(result_of(directory) / "metrics.csv")
    images = rows_of(result_of(directory) / "per_image.csv")
    table = split_of(dataset)
    of_image = {(r["answer"], r["metric"], int(r["row"])): r for r in images}
    assert len(of_image) == len(images) and {r["answer"] for r in images} == set(OWN)
    for (_, _, row), found in of_image.items():
        assert (found["id"], found["group"], found["partition"]) == tuple(
            table[row][name] for name in ("id", "group", "partition")
        )
    for answer in OWN:
        for partition in splits.PARTITIONS:
            names = {metric for mine, metric, _ in of_image if mine == answer}
            mean = {
                name: np.mean([float(of_image[answer, name, row]["value"]) for row in dataset.rows(partition)])
                for name in names
            }
            mean["rmse"] = mean["mse"] ** 0.5
            mean["psnr_pooled"] = 10 * np.log10(255**2 / mean["rgb_mse"])
            mean["auc_rebalanced"] = mean["auc_weighted"] / mean["rarity"]
            mean["delta_cf_set"] = abs(mean["colourfulness"] - mean["colourfulness_true"])
            mean["chroma_ratio"] = mean["chroma"] / mean["chroma_true"]
            for metric in MEASURED:
                assert value(rows, partition, answer, metric) == pytest.approx(mean[metric], rel=1e-12), metric


def test_differences_are_paired_with_every_other_answer(evaluated):
    _, directory = evaluated
    rows, numbers = (rows_of(result_of(directory) / f"{name}.csv") for name in ("differences", "metrics"))
    assert list(rows[0]) == list(paired.COLUMNS)
    assert {(r["run"], r["dataset"], r["answer"]) for r in rows} == {(RUN, "tiny", "model")}
    assert list(dict.fromkeys(r["against"] for r in rows)) == [*predictors.BUILT_IN, *OWN[1:]]
    for row in rows:
        expected = [value(numbers, row["partition"], answer, row["metric"]) for answer in ("model", row["against"])]
        assert float(row["value"]) == pytest.approx(expected[0] - expected[1], rel=1e-9, abs=2e-5 * abs(expected[0]))
        if row["partition"] == "test" and row["metric"] != "auc_rebalanced":
            low, high = float(row["low"]), float(row["high"])
            better = vocabulary.term(row["metric"]).better
            assert row["verdict"] == (
                "no clear difference"
                if low <= 0 <= high
                else "better"
                if (high < 0) == (better == "lower")
                else "worse"
            )
        else:
            assert (row["low"], row["high"], row["verdict"]) == ("", "", "no interval")
    of = {}
    for row in rows_of(result_of(directory) / "per_image.csv"):
        if row["partition"] == "test" and row["metric"] == "mse":
            of.setdefault(row["answer"], {})[row["group"]] = float(row["value"])
    one, two = (np.array([of[answer][group] for group in sorted(of[answer])]) for answer in OWN[:2])
    chosen = [range(10), *(np.delete(range(10), place) for place in range(10))]
    gaps = [np.sqrt(one[c].mean()) - np.sqrt(two[c].mean()) for c in chosen]
    (row,) = [r for r in rows if (r["partition"], r["against"], r["metric"]) == ("test", OWN[1], "rmse")]
    assert [float(row["low"]), float(row["high"])] == pytest.approx(intervals.interval(gaps)[1:], rel=1e-7)


def test_pictures_are_the_predicted_test_images(keras, evaluated):
    dataset, directory = evaluated
    rows = dataset.rows("test")
    folder = result_of(directory) / "pictures"
    assert sorted(path.name for path in folder.iterdir()) == sorted(jpeg.name(row) for row in rows)
    lightness, ab, _ = dataset.arrays("test")
    _, said = saved_answer(dataset, directory, "model", "test")
    for row, level, answer, true in zip(rows, lightness, said, ab, strict=True):
        with Image.open(folder / jpeg.name(row)) as picture:
            assert (picture.format, picture.size) == ("JPEG", (224, 224))
            got = np.asarray(picture).astype(int)
        wrong, right = (np.abs(got - shown(level, colours)).mean() for colours in (true, answer))
        assert right < 2 and right < wrong


@pytest.mark.slow
def test_again_with_another_number_of_threads_every_byte_is_the_same(own, evaluated):
    dataset, directory = own
    before = tree(directory)
    assert {path.name for path in result_of(directory).iterdir()} == RESULT_FILES
    evaluate(dataset, directory, threads=1)
    assert tree(directory) == before == tree(evaluated[1])


def test_the_record_tells_what_the_run_was_made_of(evaluated):
    dataset, directory = evaluated
    record = yaml.safe_load((result_of(directory) / "run.yaml").read_text())
    assert list(record) == [
        "run", "dataset", "partitions", "status", "findings", "epochs", "best_epoch", "weights_evaluated",
        "weights_sha256", "embedding", "embedding_weights", "seeds", "fingerprints", "mean_ab", "versions", "backend",
        "settings", "configuration",
    ]  # fmt: skip
    assert (record["run"], record["dataset"], record["status"], record["epochs"]) == (RUN, "tiny", "finished", 2)
    assert record["weights_sha256"] == files.digest_file(directory / "best.weights.h5")
    assert record["embedding"]["weights"] == "imagenet"
    assert record["seeds"] == {"training": 0, "split": 4, "evaluation": 0}
    assert record["fingerprints"]["embeddings"] == dataset.embeddings.manifest()["fingerprint"]
    assert record["configuration"] == Config(evaluation=Evaluation(batch_size=3, pictures=2)).model_dump()
    assert {"keras", "numpy", "python", "tensorflow", "zarr"} <= set(record["versions"])


def test_findings_are_those_of_the_files(evaluated):
    out = result_of(evaluated[1])
    told = yaml.safe_load((out / "run.yaml").read_text())["findings"]
    assert told == paired.findings("finished", rows_of(out / "metrics.csv"), rows_of(out / "differences.csv"))
    assert len(told) == 7 and told[-1].startswith("Does the embedding matter? RMSE ")
    rmse = value(rows_of(out / "metrics.csv"), "test", "model", "rmse")
    assert told[0].startswith(f"RMSE {rmse:.2f} against ")

"""Recognition of colourized pictures, for any batches, and its scores in an evaluation."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import DOT, INCEPTION, Dataset, python, rows_of, value
from tiny_recognition import FRECHET, PARTITIONS, images, known, measured, moments, projection
from tiny_training import DOT_RUN as RUN
from tiny_training import run_training

from pipeline.config.runs import Run
from pipeline.config.schema import Config, Embedding, Evaluation
from pipeline.core.errors import InputError
from pipeline.embedding import recipe, registry
from pipeline.evaluation import frechet, recognition
from pipeline.evaluation.recognition import agreement, first_class
from pipeline.images import lab


def test_agreement_by_hand():
    logits = np.array(
        [
            [9, 1, 8, 2, 7, 3, 6, 4],  # 0, 2, 4, 6, 7 | 5, 3, 1
            [9, 1, 8, 2, 7, 3, 6, 4],
            [9, 1, 8, 2, 7, 3, 6, 4],
            [0, 5, 5, 5, 5, 5, 5, 0],  # ties: 1, 2, 3, 4, 5 | 6
            [0, 5, 5, 5, 5, 5, 5, 0],
            [0, 5, 5, 5, 5, 5, 5, 0],
        ],
        np.float32,
    )
    found = agreement(logits, np.array([0, 7, 5, 1, 5, 6], np.int16))
    assert list(found) == ["recognised_top1", "recognised_top5"]
    np.testing.assert_array_equal(found["recognised_top1"], [1, 0, 0, 1, 0, 0])
    np.testing.assert_array_equal(found["recognised_top5"], [1, 1, 0, 1, 1, 0])
    np.testing.assert_array_equal(first_class(logits), [0, 0, 0, 1, 1, 1])
    assert found["recognised_top1"].dtype == np.float64 and first_class(logits).dtype == np.int16
    assert agreement(logits[:0], np.zeros(0, np.int16))["recognised_top5"].shape == (0,)


@given(st.integers(0, 2**32))
def test_a_picture_agrees_with_itself_and_top5_is_at_least_top1(seed):
    rng = np.random.default_rng(seed)
    logits, others = rng.integers(0, 4, (2, 7, 12)).astype(np.float32)
    assert all(values.all() for values in agreement(logits, first_class(logits)).values())
    found = agreement(logits, first_class(others))
    assert (found["recognised_top1"] <= found["recognised_top5"]).all()


@pytest.mark.parametrize("size", [1, 3, 10])
def test_answers_are_measured_against_true_images_from_a_file(tmp_path, size):
    lightness, ab, answer = images()
    path = tmp_path / "recognition.npz"
    recognition.write(path, known(lightness, ab, size))
    gray = np.full(ab.shape, 128.0)
    answers = {"model": answer, "gray": gray, "true": ab}
    found, columns = measured(recognition.read(path, 10), answers, lightness, ab, 11 - size)

    true_features, true_logits = projection(lab.to_rgb(lightness, ab))
    for name, values in (("model", answer), ("gray", gray), ("true", ab)):
        features, logits = projection(lab.to_rgb(lightness, values))
        expected = agreement(logits, true_logits.argmax(1))
        for measure in ("recognised_top1", "recognised_top5"):
            np.testing.assert_array_equal(columns[name][measure], expected[measure])
        for partition in ("train", "validation", "test"):
            rows = np.array(PARTITIONS) == partition
            distance = frechet.distance(moments(true_features[rows]), moments(features[rows]))
            assert found.distances()[partition][name] == pytest.approx(distance, rel=1e-5, abs=1e-3)
    assert 0 < columns["model"]["recognised_top5"].mean() < 1
    assert columns["true"]["recognised_top1"].all()
    assert all(here["true"] < 1e-3 < here["model"] for here in found.distances().values())


def test_an_image_without_a_finite_prediction_has_nan_and_its_partition_no_distance():
    lightness, ab, answer = images()
    broken = answer.copy()
    broken[4, 0, 0, 0] = np.nan  # a test image
    broken[[1, 6]] = np.inf
    true = known(lightness, ab, 10)
    good, good_columns = measured(true, {"model": answer}, lightness, ab, 4)
    found, columns = measured(true, {"model": broken}, lightness, ab, 4)
    for name, values in columns["model"].items():
        assert np.flatnonzero(np.isnan(values)).tolist() == [1, 4, 6]
        others = [0, 2, 3, 5, 7, 8, 9]
        np.testing.assert_array_equal(values[others], good_columns["model"][name][others])
    assert np.isnan(found.distances()["test"]["model"])
    for partition in ("train", "validation"):
        assert found.distances()[partition] == good.distances()[partition]


def test_recognition_requires_the_official_imagenet_weights(tmp_path, monkeypatch):
    path = tmp_path / "mine.h5"
    path.write_bytes(b"abc")
    for embedding in (Embedding(), Embedding(weights=str(path))):
        assert recipe.recognition(embedding) is None
        assert recognition.load_network(embedding) is None
    downloaded = recipe.recognition(Embedding(weights="imagenet"))
    assert downloaded["md5"] == INCEPTION.weights_md5 and downloaded["precision"] == "float32"
    assert recipe.recognition(Embedding(weights="imagenet", activation="softmax")) == downloaded
    official = replace(INCEPTION, weights_md5="900150983cd24fb0d6963f7d28e17f72")
    monkeypatch.setitem(registry.ENTRIES, INCEPTION.name, official)
    recipe._md5.cache_clear()
    assert recipe.recognition(Embedding(weights=str(path))) == recipe.recognition(Embedding(weights="imagenet"))


def test_importing_recognition_loads_neither_keras_nor_weights(tmp_path):
    code = """
import sys
from pathlib import Path
import pipeline.evaluation.recognition
assert "keras" not in sys.modules and "tensorflow" not in sys.modules
"""
    done = python("-c", code, env={**os.environ, "KERAS_HOME": str(tmp_path / "home")})
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.long
def test_evaluation_and_baselines_score_recognition_with_imagenet_weights(keras, prepared, tmp_path, monkeypatch):
    from pipeline.evaluation.baselines import score_baselines
    from pipeline.results import evaluate

    monkeypatch.setattr(recognition, "load_network", lambda embedding: projection)
    imagenet = Embedding(weights="imagenet")
    dataset = Dataset(shutil.copytree(prepared.folder, tmp_path / "data" / "tiny"))
    score_baselines(dataset.images, dataset.splits, dataset.baselines, embedding=imagenet)
    run_training(dataset, tmp_path / "models" / RUN)
    places = tmp_path / "models" / RUN, tmp_path / "results" / RUN
    out = places[1]
    evaluate.evaluate(
        Run.parse(RUN), *dataset.sources, dataset.baselines, *places, Evaluation(batch_size=3),
        resolved=Config().model_dump(), more_architectures=DOT, embedding=imagenet,
    )  # fmt: skip
    lightness, ab, embeddings = dataset.arrays("validation")
    model = keras.saving.load_model(out / "model.keras")
    answers = {
        "model": np.asarray(model.predict_on_batch([lightness[..., None], embeddings])),
        "gray": np.full(ab.shape, 128),
    }
    features, logits = projection(lab.to_rgb(lightness, ab))
    true, true_class = moments(features), logits.argmax(axis=1)
    rows = rows_of(out / "metrics.csv")
    for answer, predicted in answers.items():
        features, logits = projection(lab.to_rgb(lightness, predicted))
        distance = value(rows, "validation", answer, FRECHET)
        assert distance == pytest.approx(frechet.distance(true, moments(features)), rel=1e-3, abs=1e-6)
        recognised = value(rows, "validation", answer, "recognised_top1")
        assert recognised == pytest.approx(np.mean(logits.argmax(axis=1) == true_class))
    distances = [row for row in rows if row["metric"] == FRECHET]
    assert {row["answer"] for row in distances} == {
        "model", "embedding-shuffled", "embedding-mean", "gray", "mean", "shuffled", "ceiling"
    }  # fmt: skip
    assert all(row["low"] == "" and f"n = {row['n']} alone" in row["settings"] for row in distances)
    # Baselines with other weights are refused.
    with pytest.raises(InputError, match=r"baselines\.csv"):
        evaluate.evaluate(
            Run.parse(RUN), *dataset.sources, dataset.baselines, *places, Evaluation(batch_size=3),
            resolved=Config().model_dump(), more_architectures=DOT, embedding=Embedding(), replace=True,
        )  # fmt: skip

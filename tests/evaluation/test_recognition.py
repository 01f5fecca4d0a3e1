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

TOP1, TOP5 = "recognised_top1_inception_resnet_v2", "recognised_top5_inception_resnet_v2"


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
    found = agreement(logits, np.array([0, 7, 5, 1, 5, 6], np.int16), "inception_resnet_v2")
    assert list(found) == [TOP1, TOP5]
    np.testing.assert_array_equal(found[TOP1], [1, 0, 0, 1, 0, 0])
    np.testing.assert_array_equal(found[TOP5], [1, 1, 0, 1, 1, 0])
    np.testing.assert_array_equal(first_class(logits), [0, 0, 0, 1, 1, 1])
    assert found[TOP1].dtype == np.float64 and first_class(logits).dtype == np.int16
    assert agreement(logits[:0], np.zeros(0, np.int16), "inception_resnet_v2")[TOP5].shape == (0,)


@given(st.integers(0, 2**32))
def test_a_picture_agrees_with_itself_and_top5_is_at_least_top1(seed):
    rng = np.random.default_rng(seed)
    logits, others = rng.integers(0, 4, (2, 7, 12)).astype(np.float32)
    assert all(values.all() for values in agreement(logits, first_class(logits), "inception_resnet_v2").values())
    found = agreement(logits, first_class(others), "inception_resnet_v2")
    assert (found[TOP1] <= found[TOP5]).all()


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
        expected = agreement(logits, true_logits.argmax(1), "inception_resnet_v2")
        for measure in (TOP1, TOP5):
            np.testing.assert_array_equal(columns[name][measure], expected[measure])
        for partition in ("train", "validation", "test"):
            rows = np.array(PARTITIONS) == partition
            distance = frechet.distance(moments(true_features[rows]), moments(features[rows]))
            assert found.distances()[partition][name] == pytest.approx(distance, rel=1e-5, abs=1e-3)
    assert 0 < columns["model"][TOP5].mean() < 1
    assert columns["true"][TOP1].all()
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


def test_recognition_always_has_official_weights(tmp_path, monkeypatch):
    path = tmp_path / "mine.h5"
    path.write_bytes(b"abc")
    assert recipe.recognising(Embedding(), None) is None and recipe.recognition(None) is None
    for embedding in (Embedding(), Embedding(weights="random"), Embedding(network=INCEPTION.name, weights=str(path))):
        by_lite0 = recipe.recognition(recipe.recognising(embedding, "efficientnet_lite0"))
        assert by_lite0["sha256"] == registry.ENTRIES["efficientnet_lite0"].weights_digest[1]
        by_inception = recipe.recognition(recipe.recognising(embedding, INCEPTION.name))
        assert by_inception["md5"] == INCEPTION.weights_digest[1] and by_inception["precision"] == "float32"
    softmax = Embedding(network=INCEPTION.name, activation="softmax", precision="mixed_bfloat16")
    assert recipe.recognition(recipe.recognising(softmax, INCEPTION.name)) == by_inception


def test_recognition_uses_the_embeddings_file_if_it_is_the_official_one(tmp_path, monkeypatch):
    path = tmp_path / "mine.h5"
    path.write_bytes(b"abc")
    embedding = Embedding(network=INCEPTION.name, weights=str(path))
    assert recipe.recognising(embedding, INCEPTION.name).weights == "imagenet"
    official = replace(INCEPTION, weights_digest=("md5", "900150983cd24fb0d6963f7d28e17f72"))
    monkeypatch.setitem(registry.ENTRIES, INCEPTION.name, official)
    assert recipe.recognising(embedding, INCEPTION.name).weights == str(path)
    assert recipe.recognising(embedding, "efficientnet_lite0").weights == "imagenet"


@pytest.mark.parametrize("network", ["mobilenet", "nowhere"])
def test_a_network_that_cannot_recognise_is_refused(network):
    with pytest.raises(InputError, match=f"expected one of .*inception_resnet_v2.*'{network}'"):
        recipe.recognising(Embedding(), network)


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
    imagenet = Embedding(network="inception_resnet_v2")
    dataset = Dataset(shutil.copytree(prepared.folder, tmp_path / "data" / "tiny"))
    score_baselines(dataset.images, dataset.splits, dataset.baselines, recognising=imagenet)
    run_training(dataset, tmp_path / "models" / RUN)
    places = tmp_path / "models" / RUN, tmp_path / "results" / RUN
    out = places[1]
    evaluate.evaluate(
        Run.parse(RUN), *dataset.sources, dataset.baselines, *places, Evaluation(batch_size=3),
        resolved=Config().model_dump(), more_architectures=DOT, recognising=imagenet,
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
        recognised = value(rows, "validation", answer, TOP1)
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
            resolved=Config().model_dump(), more_architectures=DOT, recognising=Embedding(), replace=True,
        )  # fmt: skip

"""Fréchet distance and recognition: against independent computations, for any batches, and with the real network."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from tiny import DOT, INCEPTION, Dataset, photographs, python, rows_of, value
from tiny_training import DOT_RUN as RUN
from tiny_training import run_training

from pipeline.config.runs import Run
from pipeline.config.schema import Config, Embedding, Evaluation
from pipeline.core.errors import InputError
from pipeline.embedding import recipe, registry
from pipeline.evaluation import frechet, measures, metrics, recognition, scores
from pipeline.evaluation.frechet import Moments
from pipeline.evaluation.recognition import Recognition, agreement, first_class
from pipeline.images import lab

FRECHET = "frechet_inception_resnet_v2"
PARTITIONS = ["train", "test", "train", "validation", "test", "train", "test", "train", "validation", "validation"]


def moments(values):
    found = Moments.none(values.shape[1])
    found.add(values)
    return found


def correlated(seed, n, d, offset=0.0):
    """Vectors (n, d) of a random normal distribution."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d) + offset


def textbook(x, y):
    """The literal formula, with scipy's root of the product."""
    s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = sqrtm(s1 @ s2).real
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s1 + s2 - 2 * root)


@pytest.mark.parametrize(("seed", "d"), [(0, 2), (1, 8), (2, 30)])
def test_the_distance_is_the_formula_with_scipys_matrix_root(seed, d):
    x, y = correlated(seed, 200, d), correlated(seed + 10, 300, d)
    assert frechet.distance(moments(x), moments(y)) == pytest.approx(textbook(x, y), rel=1e-9)


@given(st.integers(0, 2**32), st.integers(1, 20))
@settings(max_examples=30, deadline=None)
def test_diagonal_covariances_have_a_closed_form(seed, d):
    rng = np.random.default_rng(seed)
    (m1, m2), (v1, v2) = rng.normal(size=(2, d)), rng.gamma(0.5, size=(2, d))
    one, other = Moments(m1, np.diag(v1) * 99, 100), Moments(m2, np.diag(v2) * 6, 7)
    expected = ((m1 - m2) ** 2 + (np.sqrt(v1) - np.sqrt(v2)) ** 2).sum()
    assert frechet.distance(one, other) == pytest.approx(expected, rel=1e-6, abs=1e-6 * v1.max())


@given(st.integers(0, 2**32), st.integers(2, 40), st.integers(1, 15))
@settings(max_examples=30, deadline=None)
def test_the_distance_is_symmetric_never_negative_and_zero_from_itself(seed, n, d):
    x, y = correlated(seed, n, d), correlated(seed + 1, n + 3, d)
    one, other = moments(x), moments(y)
    size = np.trace(one.covariance) + np.trace(other.covariance)
    assert 0 <= frechet.distance(one, one) < 1e-6 * size
    assert frechet.distance(one, other) == pytest.approx(frechet.distance(other, one), rel=1e-6, abs=1e-6 * size)
    assert frechet.distance(one, other) >= 0
    shift = np.arange(d) + 1.0
    assert frechet.distance(one, moments(x + shift)) == pytest.approx((shift**2).sum(), abs=1e-6 * size)


@pytest.mark.parametrize(("n", "m", "d"), [(12, 12, 300), (5, 400, 60), (2, 2, 9)])
def test_with_fewer_vectors_than_numbers_the_distance_is_still_exact(n, m, d):
    # tr (S1 S2)^(1/2) is the sum of the singular values of X' Y: taken from the data, without any covariance.
    x, y = correlated(3, n, d), correlated(4, m, d)
    spread = [(v - v.mean(0)) / np.sqrt(len(v) - 1) for v in (x, y)]
    root = np.linalg.svd(spread[0] @ spread[1].T, compute_uv=False).sum()
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + sum((v**2).sum() for v in spread) - 2 * root
    assert frechet.distance(moments(x), moments(y)) == pytest.approx(expected, rel=1e-7)
    assert frechet.distance(moments(y), moments(x)) == pytest.approx(expected, rel=1e-7)


def test_vectors_that_are_all_alike_differ_by_their_means():
    alike = moments(np.tile([1.0, 2.0, 3.0], (4, 1)))
    assert frechet.distance(alike, alike) == 0
    assert frechet.distance(alike, moments(np.tile([1.0, 2.0, 7.0], (9, 1)))) == 16
    other = correlated(0, 50, 3)
    expected = ((other.mean(0) - [1, 2, 3]) ** 2).sum() + np.trace(np.cov(other, rowvar=False))
    assert frechet.distance(alike, moments(other)) == pytest.approx(expected)
    assert frechet.distance(moments(other), alike) == pytest.approx(expected)


def test_fewer_images_of_the_same_kind_lie_farther_apart():
    x = correlated(5, 4000, 50)

    def distance(n):
        return frechet.distance(moments(x[:n]), moments(x[-n:]))

    assert distance(20) > 2 * distance(200) > 4 * distance(2000) > 0
    assert "n = 300 alone; n is not above the 1536 features" in frechet.remark(300, FRECHET)
    assert frechet.remark(1536, FRECHET).endswith("may be bias")
    assert frechet.remark(1537, FRECHET) == ("a distance between sets of pictures, comparable at n = 1537 alone")


@given(st.data(), st.sampled_from([0.0, 1e6]))
@settings(max_examples=40, deadline=None)
def test_batches_and_order_do_not_change_the_moments(data, offset):
    n, d = data.draw(st.integers(2, 30)), data.draw(st.integers(1, 6))
    x = correlated(n, n, d, offset)
    parts = np.split(x, sorted(data.draw(st.lists(st.integers(0, n), max_size=6))))  # some are empty
    streamed = Moments.none(d)
    for part in parts:
        streamed.add(part)
    reversed_ = moments(x[::-1])
    spread = np.abs(x - x.mean(0)).max()
    for found in (streamed, reversed_):
        assert found.n == n
        np.testing.assert_allclose(found.mean, x.mean(0), rtol=1e-12, atol=1e-12 * spread)
        expected = np.cov(x, rowvar=False).reshape(d, d)
        np.testing.assert_allclose(found.covariance, expected, rtol=1e-6, atol=1e-6 * spread**2)


def test_features_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(k, 3\), received \(4, 2\)"):
        Moments.none(3).add(np.zeros((4, 2)))


@pytest.mark.parametrize("values", [np.zeros((0, 2)), np.ones((1, 2)), np.array([[1, 2], [np.nan, 1], [2, 2]])])
def test_too_few_vectors_and_vectors_that_are_no_numbers_have_no_distance(values):
    good = moments(correlated(0, 9, 2))
    assert np.isnan(frechet.distance(moments(values), good)) and np.isnan(frechet.distance(good, moments(values)))


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


def projection(rgb):
    """A network for tests: 5 features and 40 logits, linear in the R - G and B - G of a picture's quarters."""
    height, width = (side // 2 for side in rgb.shape[1:3])
    quarters = rgb.reshape(len(rgb), 2, height, 2, width, 3).mean(axis=(2, 4))
    chroma = (quarters[..., [0, 2]] - quarters[..., [1]]).reshape(len(rgb), 8)
    rng = np.random.default_rng(8)
    features = (chroma @ rng.normal(size=(8, 5))).astype(np.float32)
    return features, features @ rng.normal(size=(5, 40)).astype(np.float32)


@pytest.fixture(scope="module")
def images():
    """L and ab (10, 8, 8), and the ab of an answer."""
    rng = np.random.default_rng(2)
    return (
        rng.integers(60, 200, (10, 8, 8), dtype=np.uint8),
        rng.integers(90, 170, (10, 8, 8, 2), dtype=np.uint8),
        rng.normal(128, 15, (10, 8, 8, 2)).astype(np.float32) + rng.normal(0, 30, (10, 1, 1, 2)).astype(np.float32),
    )


def truth(lightness, ab):
    return measures.Truth(lightness, ab, np.ones((len(ab), metrics.COLOR_BINS)))


def measured(true, answers, lightness, ab, size):
    """The recognition of answers in batches of `size`, and their measures."""
    found = Recognition(projection, PARTITIONS, FRECHET, true)
    columns = {answer: {} for answer in answers}
    for start in range(0, len(lightness), size):
        here = slice(start, start + size)
        given_ = {answer: values[here] for answer, values in answers.items()}
        rows = np.arange(len(lightness))[here]
        for answer, parts in found.measure(rows, truth(lightness[here], ab[here]), given_).items():
            for name, values in parts.items():
                columns[answer].setdefault(name, []).append(values)
    return found, {
        answer: {name: np.concatenate(parts) for name, parts in here.items()} for answer, here in columns.items()
    }


def known(lightness, ab, size):
    return measured(None, {}, lightness, ab, size)[0].true


@pytest.mark.parametrize("size", [1, 3, 10])
def test_answers_are_measured_against_the_true_images_read_from_a_file(images, tmp_path, size):
    lightness, ab, answer = images
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


def test_an_image_without_an_answer_has_no_number_and_its_partition_no_distance(images):
    lightness, ab, answer = images
    broken = answer.copy()
    broken[4, 0, 0, 0] = np.nan  # a test image
    broken[[1, 6]] = np.inf
    true = known(lightness, ab, 10)
    whole, whole_columns = measured(true, {"model": answer}, lightness, ab, 4)
    found, columns = measured(true, {"model": broken}, lightness, ab, 4)
    for name, values in columns["model"].items():
        assert np.flatnonzero(np.isnan(values)).tolist() == [1, 4, 6]
        kept = [0, 2, 3, 5, 7, 8, 9]
        np.testing.assert_array_equal(values[kept], whole_columns["model"][name][kept])
    assert np.isnan(found.distances()["test"]["model"])
    for partition in ("train", "validation"):
        assert found.distances()[partition] == whole.distances()[partition]


def test_the_file_of_true_images_is_read_as_written_and_has_the_same_bytes(images, tmp_path):
    one, two = tmp_path / "a.npz", tmp_path / "b.npz"
    true = known(*images[:2], 4)
    recognition.write(one, true)
    recognition.write(two, known(*images[:2], 4))
    assert one.read_bytes() == two.read_bytes()
    found = recognition.read(one, 10)
    np.testing.assert_array_equal(found.classes, true.classes)
    assert found.classes.dtype == np.int16 and set(found.moments) == set(PARTITIONS)
    for partition, moments_ in true.moments.items():
        assert found.moments[partition].n == moments_.n
        np.testing.assert_array_equal(found.moments[partition].mean, moments_.mean)
        np.testing.assert_allclose(found.moments[partition].scatter, moments_.scatter, rtol=1e-12)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


@pytest.mark.parametrize("content", [b"", b"no zip file", "half", "object", "other", None])
def test_a_file_that_is_not_of_these_images_is_refused_in_one_line(images, tmp_path, content):
    path = tmp_path / "recognition.npz"
    recognition.write(path, known(*images[:2], 4))
    if content is None:
        path.unlink()
    elif content == "half":
        path.write_bytes(path.read_bytes()[:500])
    elif content == "object":
        np.savez(path, classes=np.array([{}], object))
    elif content == "other":
        np.savez(path, numbers=np.zeros(3))
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"recognition\.npz") as caught:
        recognition.read(path, 10)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_number_of_images_is_refused(images, tmp_path):
    recognition.write(tmp_path / "a.npz", known(*images[:2], 4))
    with pytest.raises(InputError, match=r"a\.npz: .* 11 images, .*10"):
        recognition.read(tmp_path / "a.npz", 11)


def test_distances_go_into_metrics_and_come_back_from_rows():
    over = {"test": {"gray": {"mse": np.zeros(3)}, "mean": {}}}
    given_ = {"test": {"gray": 12.345678901234567, "mean": float("nan")}}
    frechet.put(over, given_, FRECHET)
    np.testing.assert_array_equal(over["test"]["gray"][FRECHET], [12.345678901234567])
    assert set(over["test"]["gray"]) == {"mse", FRECHET}
    rows = [
        {**dict.fromkeys(scores.COLUMNS, ""), "partition": "test", "answer": a, "metric": m, "value": v}
        for a, m, v in (("gray", FRECHET, "12.345678901234567"), ("gray", "mse", "3"))
    ]
    assert frechet.read(rows) == {"test": {"gray": 12.345678901234567}}


def test_only_the_official_imagenet_weights_recognise(tmp_path, monkeypatch):
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


def test_nothing_is_loaded_at_import_neither_keras_nor_a_file_of_weights(tmp_path):
    code = """
import sys
from pathlib import Path
import pipeline.evaluation.recognition
assert "keras" not in sys.modules and "tensorflow" not in sys.modules
"""
    done = python("-c", code, env={**os.environ, "KERAS_HOME": str(tmp_path / "home")})
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "home").exists()


@pytest.fixture
def small(keras):
    """A network of one convolution, average pooling and a head, as the real one ends."""
    given_ = keras.Input((299, 299, 3))
    inner = keras.layers.Conv2D(8, 7, strides=5, activation="relu", kernel_initializer=keras.initializers.HeNormal(1))
    pooled = keras.layers.GlobalAveragePooling2D()(inner(given_))
    head = keras.layers.Dense(1000, kernel_initializer=keras.initializers.HeNormal(2))
    return keras.Model(given_, head(pooled))


def pictures(n):
    return lab.to_rgb(*photographs(n))


@pytest.mark.parametrize(("first", "last"), [(0, 3), (2, 5), (3, 4), (1, 11), (4, 4)])
def test_batches_do_not_change_a_pictures_numbers(small, first, last):
    from pipeline.embedding.network import FeatureNetwork

    network, rgb = FeatureNetwork(INCEPTION, small, 4), pictures(11)
    features, logits = network(rgb)
    assert (features.shape, features.dtype) == ((11, 8), np.float32)
    assert (logits.shape, logits.dtype) == ((11, 1000), np.float32)
    assert len(np.unique(logits[:, 0])) == 11
    for whole, part in zip((features, logits), network(rgb[first:last]), strict=True):
        assert part.tobytes() == whole[first:last].tobytes() and part.shape == (last - first, *whole.shape[1:])


def test_pictures_are_preprocessed_as_in_keras_and_features_enter_the_head(small, keras):
    from pipeline.embedding.network import FeatureNetwork, Photograph

    rgb = pictures(2)
    resized = keras.ops.image.resize(rgb.astype(np.float32), (299, 299), data_format="channels_last")
    expected = keras.applications.inception_resnet_v2.preprocess_input(np.array(resized))
    np.testing.assert_allclose(np.asarray(Photograph(INCEPTION, dtype="float32")(rgb)), expected, atol=1e-6)
    features, logits = FeatureNetwork(INCEPTION, small, 2)(rgb)
    kernel, bias = (np.asarray(variable) for variable in small.layers[-1].weights)
    np.testing.assert_allclose(logits, features @ kernel + bias, rtol=1e-4, atol=1e-5)
    map_ = keras.Model(small.inputs, small.layers[1].output)(expected)
    np.testing.assert_allclose(features, np.asarray(map_).mean(axis=(1, 2)), rtol=1e-4)


def test_gray_pictures_have_the_embeddings_of_their_lightness(small):
    from pipeline.embedding.network import EmbeddingNetwork, FeatureNetwork

    lightness, _ = photographs(3)
    gray = lab.gray_levels()[lightness][..., None].repeat(3, axis=-1)
    _, logits = FeatureNetwork(INCEPTION, small, 2)(gray)
    np.testing.assert_allclose(
        logits, EmbeddingNetwork(INCEPTION, small, 2)(lightness)["embedding"], rtol=1e-5, atol=1e-5
    )


def test_features_are_computed_in_float32_and_as_logits_whatever_embeddings_are(keras, monkeypatch):
    from pipeline.embedding import network as networks

    built = []

    def network(embedding, weights):
        built.append((embedding.activation, weights, keras.config.dtype_policy().name))
        given_ = keras.Input((299, 299, 3))
        return keras.Model(given_, keras.layers.Dense(1000)(keras.layers.GlobalAveragePooling2D()(given_)))

    monkeypatch.setattr(networks, "build_network", network)
    keras.config.set_dtype_policy("mixed_bfloat16")
    embedding = Embedding(weights="imagenet", activation="softmax", precision="mixed_bfloat16", batch_size=2)
    loaded = recognition.load_network(embedding)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert built == [("logits", "imagenet", "float32")]
    rgb = pictures(3)
    features, _ = loaded(rgb)
    np.testing.assert_allclose(features, rgb.mean(axis=(1, 2)) / 127.5 - 1, atol=2e-3)  # bfloat16 is off by more


@pytest.mark.long
def test_the_real_network_gives_1536_features_and_the_embeddings_logits(keras, tmp_path):
    from pipeline.embedding import network as networks

    saved = tmp_path / "embedding_network.weights.h5"
    embeddings = networks.load(Embedding(batch_size=4), saved)
    network = networks.load_features(Embedding(weights=str(saved), batch_size=4, activation="softmax"))
    lightness = networks.calibration_images()[:5]
    gray = lab.gray_levels()[lightness][..., None].repeat(3, axis=-1)
    features, logits = network(gray)
    assert features.shape == (5, INCEPTION.features) and logits.shape == (5, 1000)
    expected = embeddings(lightness)["embedding"]
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert (features >= 0).all() and features.std(axis=0).mean() > 0
    for whole, part in zip((features, logits), network(gray[1:3]), strict=True):
        assert part.tobytes() == whole[1:3].tobytes()


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
    true, true_class = Moments.none(features.shape[1]), logits.argmax(axis=1)
    true.add(features)
    rows = rows_of(out / "metrics.csv")
    for answer, predicted in answers.items():
        features, logits = projection(lab.to_rgb(lightness, predicted))
        moments = Moments.none(features.shape[1])
        moments.add(features)
        distance = value(rows, "validation", answer, FRECHET)
        assert distance == pytest.approx(frechet.distance(true, moments), rel=1e-3, abs=1e-6)
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

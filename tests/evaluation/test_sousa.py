"""Colours by example: each step against other arithmetic, and the whole predictor."""

import cv2
import numpy as np
import pytest
from evaluations import split_of
from skimage.data import chelsea, coffee
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from pipeline.core.errors import InputError
from pipeline.evaluation import pixel_features, sousa, untrained
from pipeline.evaluation.metrics import COLOR_BINS
from pipeline.evaluation.scoring import Dataset
from pipeline.images import lab

SIDE = 112


def photograph(rgb):
    """L and ab of a photograph, reduced to 112 x 112 pixels."""
    lightness, ab = lab.from_rgb(cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
    return np.ascontiguousarray(lightness), np.ascontiguousarray(ab)


@pytest.fixture(scope="module")
def cat():
    return photograph(chelsea())


@pytest.fixture(scope="module")
def cup():
    return photograph(coffee())


def test_a_pixels_mean_variance_and_spectrum_are_those_of_its_window(cat):
    light = cat[0] / 255
    found = pixel_features.describe(cat[0]).reshape(SIDE, SIDE, -1)
    assert found.dtype == np.float32 and found.shape[2] == 3 * 104 + 2 + 441
    for y, x in ((40, 60), (10, 101)):
        window = light[y - 10 : y + 11, x - 10 : x + 11]
        moments, spectrum = found[y, x, 312:314], found[y, x, 314:]
        np.testing.assert_allclose(moments, [window.mean(), window.var()], rtol=1e-3)
        np.testing.assert_allclose(np.sort(spectrum), np.sort(np.abs(np.fft.fft2(window)).ravel()), rtol=0, atol=1e-3)


def test_descriptors_tell_gradients_and_see_less_detail_in_blurs(cat):
    flat = pixel_features.describe(np.full((30, 40), 90, np.uint8))
    assert flat.shape == (1200, 755) and np.ptp(flat[:, :312], axis=0).max() == 0
    noisy = np.random.default_rng(0).integers(0, 255, (30, 40)).astype(np.uint8)
    sharp, _, blurred = np.split(pixel_features.describe(noisy)[:, :312], 3, axis=1)
    assert not np.allclose(sharp, blurred, atol=0.01)


def test_features_are_scaled_to_the_samples_ranges_and_reduced_to_thirty(cat, cup):
    draw = np.random.default_rng(0)
    features = pixel_features.describe(cat[0])[draw.choice(SIDE**2, 200, replace=False)]
    features[:, 5] = 7.0  # constant
    others = pixel_features.describe(cup[0])[:200]
    samples, project = sousa.projection(features)
    scaler = MinMaxScaler().fit(features.astype(np.float64))
    other = scaler.transform(others.astype(np.float64))
    other[:, 5] = 0  # says nothing about the colour
    reference = PCA(30, svd_solver="full").fit(scaler.transform(features.astype(np.float64)))
    assert samples.shape == (200, 30)
    expected = [reference.transform(each) for each in (other, scaler.transform(features.astype(np.float64)))]
    np.testing.assert_allclose(distances(project(others), samples), distances(*expected), atol=1e-2)


def distances(one, other):
    """Which the kernel takes; the components' order and signs mean nothing."""
    return np.linalg.norm(one[:, None] - other, axis=-1)


def test_margins_are_those_of_ordinary_support_vector_machines():
    draw = np.random.default_rng(3)
    centres = draw.normal(size=(5, 30)) * 1.5
    numbers = np.repeat([0, 2, 3, 7, 8], 60)
    samples = (np.repeat(centres, 60, axis=0) + draw.normal(size=(300, 30))).astype(np.float32)
    pixels = draw.normal(size=(sousa.BLOCK + 100, 30)).astype(np.float32) * 2
    found = sousa.margins(samples, numbers, pixels)
    assert found.shape == (len(pixels), 5)
    for place, number in enumerate([0, 2, 3, 7, 8]):
        machine = SVC(C=1.0, gamma=0.1).fit(samples.astype(np.float64), numbers == number)
        np.testing.assert_allclose(found[:, place], machine.decision_function(pixels.astype(np.float64)), atol=5e-3)


def test_colours_are_reduced_by_k_means(cat):
    palette, numbers = sousa.quantised(cat[1], 8, np.random.default_rng(0))
    pixels = cat[1].reshape(-1, 2).astype(float)
    assert palette.shape == (8, 2)
    np.testing.assert_array_equal(numbers, ((pixels[:, None] - palette) ** 2).sum(axis=-1).argmin(axis=1))
    for number, colour in enumerate(palette):
        np.testing.assert_allclose(pixels[numbers == number].mean(axis=0), colour, atol=0.5)
    few = np.tile(np.array([[10, 20], [200, 30]], np.uint8), (50, 1)).reshape(10, 10, 2)
    assert sorted(map(tuple, sousa.quantised(few, 16, np.random.default_rng(0))[0])) == [(10, 20), (200, 30)]


def test_borders_cost_least_along_edges():
    lightness = np.full((20, 30), 60, np.uint8)
    lightness[:, 15:] = 200
    right, down = sousa.borders(lightness)
    assert (right.shape, down.shape) == ((20, 29), (19, 30))
    assert (right[:, 14] < 1).all() and right[:, :10].min() > 9.9
    for weights in sousa.borders(np.full((20, 30), 60, np.uint8)):
        np.testing.assert_allclose(weights, 10)


def test_a_photograph_gets_its_own_colours_back_as_an_example(cat):
    found = sousa.coloured(cat[0], *cat, (0, 0), colours=16)
    palette, _ = sousa.quantised(cat[1], 16, np.random.default_rng((0, 0)))
    assert {tuple(each) for each in found.reshape(-1, 2)} <= {tuple(each) for each in palette.astype(np.float32)}
    error = np.sqrt(np.mean((found - cat[1].astype(float)) ** 2))
    assert error < 0.6 * np.sqrt(np.mean((cat[1].astype(float) - cat[1].mean(axis=(0, 1))) ** 2))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_with_any_number_of_threads(cat, cup):
    once = sousa.coloured(cup[0], *cat, (5, 9), colours=16)
    for threads in (1, 2):
        with threadpool_limits(threads):
            np.testing.assert_array_equal(sousa.coloured(cup[0], *cat, (5, 9), colours=16), once)
    assert (sousa.coloured(cup[0], *cat, (6, 9), colours=16) != once).any()


def test_an_example_of_one_colour_gives_that_colour(cat):
    ab = np.full((SIDE, SIDE, 2), (140, 120), np.uint8)
    assert (sousa.coloured(cat[0], cat[0], ab, (0, 0), colours=16) == (140, 120)).all()


@pytest.fixture
def given(dataset, monkeypatch):
    """The tiny dataset as a predictor gets it, with few samples, which is fast."""
    monkeypatch.setattr(sousa, "SAMPLES", 300)
    return lambda **options: untrained.Given(data_of(dataset), **{"seed": 0, **options})


def data_of(dataset, **changes):
    rarity = {name: np.ones(COLOR_BINS) for name in ("train", "validation", "test")}
    table = [{**row, **changes} for row in split_of(dataset)]
    return Dataset(dataset.images, table, rarity, {"embedding": dataset.embeddings}, ("validation", "test"))


def test_the_example_is_the_nearest_training_photograph_of_another_group(dataset, given):
    own = given()
    embeddings = np.asarray(dataset.embeddings.array("embedding")[:], np.float64)
    train = dataset.rows("train")
    centred = embeddings - embeddings[train].mean(axis=0)
    cosine = centred @ centred.T / np.outer(*[np.linalg.norm(centred, axis=1)] * 2)
    rows = np.arange(15)  # training photographs too, whose nearest would be themselves
    found = sousa.Sousa(own, sousa.Options()).examples(own.data.batch(rows))
    for row, example in zip(rows, found, strict=True):
        others = [each for each in train if own.data.groups[each] != own.data.groups[row]]
        assert example == max(others, key=lambda each: cosine[row, each])
    assert set(found) <= set(train)


def test_a_dataset_of_one_group_has_no_examples(dataset):
    data = data_of(dataset, group="same")
    with pytest.raises(InputError, match="group"):
        sousa.Sousa(untrained.Given(data, 0), sousa.Options()).examples(data.batch(np.array([0])))


@pytest.mark.slow
def test_batches_workers_and_schedulers_change_nothing(given):
    kind = untrained.choose({"name": "sousa", "colours": 4})
    rows = np.flatnonzero(np.array(given().data.partitions) == "test")[:3]
    whole = untrained.Answers(kind, given())
    ab = whole.own(whole_batch := given().data.batch(rows))
    assert ab.shape == (3, 224, 224, 2) and np.isfinite(ab).all()
    for scheduler, workers in (("threads", 2), ("synchronous", 1)):
        answers = untrained.Answers(kind, given(scheduler=scheduler, workers=workers))
        singly = np.concatenate([answers.own(whole_batch[place : place + 1]) for place in range(3)])
        np.testing.assert_array_equal(singly, ab)
    assert (untrained.Answers(kind, given(seed=1)).own(whole_batch) != ab).any()

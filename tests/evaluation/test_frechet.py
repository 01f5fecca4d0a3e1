"""The Fréchet distance against its formula, and the moments that it takes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from tiny_recognition import FRECHET, moments

from pipeline.evaluation import frechet, scores
from pipeline.evaluation.frechet import Moments


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
def test_the_distance_is_exact_with_fewer_vectors_than_features(n, m, d):
    # tr (S1 S2)^(1/2) is the sum of the singular values of X' Y: taken from the data, without any covariance.
    x, y = correlated(3, n, d), correlated(4, m, d)
    spread = [(v - v.mean(0)) / np.sqrt(len(v) - 1) for v in (x, y)]
    root = np.linalg.svd(spread[0] @ spread[1].T, compute_uv=False).sum()
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + sum((v**2).sum() for v in spread) - 2 * root
    assert frechet.distance(moments(x), moments(y)) == pytest.approx(expected, rel=1e-7)
    assert frechet.distance(moments(y), moments(x)) == pytest.approx(expected, rel=1e-7)


def test_identical_vectors_differ_by_their_means():
    same = moments(np.tile([1.0, 2.0, 3.0], (4, 1)))
    assert frechet.distance(same, same) == 0
    assert frechet.distance(same, moments(np.tile([1.0, 2.0, 7.0], (9, 1)))) == 16
    other = correlated(0, 50, 3)
    expected = ((other.mean(0) - [1, 2, 3]) ** 2).sum() + np.trace(np.cov(other, rowvar=False))
    assert frechet.distance(same, moments(other)) == pytest.approx(expected)
    assert frechet.distance(moments(other), same) == pytest.approx(expected)


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
def test_too_few_vectors_and_nan_have_no_distance(values):
    good = moments(correlated(0, 9, 2))
    assert np.isnan(frechet.distance(moments(values), good)) and np.isnan(frechet.distance(good, moments(values)))


def test_distances_go_into_metrics_and_come_back_from_rows():
    over = {"test": {"gray": {"mse": np.zeros(3)}, "mean": {}}}
    distances = {"test": {"gray": 12.345678901234567, "mean": float("nan")}}
    frechet.put(over, distances, FRECHET)
    np.testing.assert_array_equal(over["test"]["gray"][FRECHET], [12.345678901234567])
    assert set(over["test"]["gray"]) == {"mse", FRECHET}
    rows = [
        {**dict.fromkeys(scores.COLUMNS, ""), "partition": "test", "answer": a, "metric": m, "value": v}
        for a, m, v in (("gray", FRECHET, "12.345678901234567"), ("gray", "mse", "3"))
    ]
    assert frechet.read(rows) == {"test": {"gray": 12.345678901234567}}

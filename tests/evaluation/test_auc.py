"""AuC and rebalanced AuC against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_metrics import auc, pictures

from pipeline.evaluation import metrics


def literal_auc(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    distance = np.linalg.norm(predicted.astype(float) - true, axis=-1)
    return np.mean([(distance <= threshold).mean(axis=(1, 2)) for threshold in range(151)], axis=0)


def test_auc_by_hand():
    true = np.full((1, 1, 5, 2), 128, np.uint8)
    # Distances 0, 5 (3-4-5), 5 and a bit, 150 and 200.1: they meet 151, 146, 145, 1 and 0 of the thresholds.
    predicted = true + np.array([[0, 0], [3, -4], [3, 4.001], [-90, 120], [200.1, 0]])
    expected = [151 / 151, 146 / 151, 145 / 151, 1 / 151, 0]
    assert metrics.auc_credit(predicted, true)[0, 0].tolist() == pytest.approx(expected, rel=1e-14)
    assert auc(predicted, true)[0] == pytest.approx(443 / 755, rel=1e-14)


def test_auc_equals_the_loop_over_thresholds():
    rng = np.random.default_rng(4)
    true = rng.integers(0, 256, (4, 40, 40, 2), np.uint8)
    # Whole numbers meet thresholds exactly; tenths in float32 are never quite what they say.
    for predicted in (
        rng.integers(0, 256, true.shape),
        (true + rng.integers(-300, 300, true.shape) / 10).astype(np.float32),
        rng.normal(128, 30, true.shape),
        np.full(true.shape, 128.0),
    ):
        np.testing.assert_allclose(auc(predicted, true), literal_auc(predicted, true), rtol=1e-13)


def test_auc_of_every_whole_distance():
    true = np.zeros((1, 1, 256, 2), np.uint8)
    predicted = np.zeros((1, 1, 256, 2))
    predicted[..., 1] = np.arange(256)
    counts = metrics.auc_credit(predicted, true)[0, 0] * 151
    np.testing.assert_allclose(counts, [max(0, 151 - distance) for distance in range(256)], rtol=1e-14)


def test_auc_of_nan_and_infinity():
    true = np.zeros((2, 1, 2, 2), np.uint8)
    predicted = np.zeros((2, 1, 2, 2))
    predicted[0, 0, 0, 0], predicted[1, 0, 0, 0] = math.nan, math.inf
    values = auc(predicted, true)
    assert math.isnan(values[0]) and values[1] == 0.5


def test_color_bins_have_their_edges_at_multiples_of_10():
    levels = np.arange(256, dtype=np.uint8)
    along_a = metrics.color_bins(np.stack([levels, np.zeros_like(levels)], axis=-1))
    along_b = metrics.color_bins(np.stack([np.zeros_like(levels), levels], axis=-1))
    expected = [math.floor((level - 128) / 10) + 13 for level in range(256)]
    assert along_b.tolist() == expected and expected[127:129] == [12, 13] and expected[137:139] == [13, 14]
    assert along_a.tolist() == [26 * number for number in expected]
    assert metrics.COLOR_BINS == 676 and metrics.color_bins(np.full(2, 255, np.uint8)) == 675


def test_rarity_by_hand():
    counts = np.zeros(metrics.COLOR_BINS, int)
    counts[[3, 5, 8]] = 900_000, 99_990, 10  # the last holds 1/100,000: it is weighted as 1/10,000
    weights = metrics.rarity(counts)
    raw = np.array([1 / 0.9, 1 / 0.09999, 10_000])
    scale = 0.9 * raw[0] + 0.09999 * raw[1] + 0.00001 * raw[2]  # 1 + 1 + 0.1
    assert scale == pytest.approx(2.1)
    np.testing.assert_allclose(weights[[3, 5, 8]], raw / scale, rtol=1e-12)
    assert set(weights[counts == 0]) == {weights[8]}
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1)
    assert metrics.rarity(np.zeros(metrics.COLOR_BINS, int)).tolist() == [1] * metrics.COLOR_BINS


def test_rebalanced_auc_by_hand():
    # Two images of four pixels, seven of them near gray, one red. Gray is right about seven and 100 off the red.
    true = np.full((2, 2, 2, 2), 128, np.uint8)
    true[1, 1, 1] = 228, 128
    gray = np.full(true.shape, 128.0)
    bins = metrics.color_bins(true)
    weights = metrics.rarity(np.bincount(bins.ravel(), minlength=metrics.COLOR_BINS))[bins]
    # 1/p is 8/7 and 8, their mean over pixels 2.
    np.testing.assert_allclose(weights.ravel(), [4 / 7] * 7 + [4], rtol=1e-14)
    above, below = metrics.weighted_auc(metrics.auc_credit(gray, true), weights)
    np.testing.assert_allclose(above, [4 / 7, (3 * 4 / 7 + 4 * 51 / 151) / 4], rtol=1e-14)
    np.testing.assert_allclose(below, [4 / 7, (3 * 4 / 7 + 4) / 4], rtol=1e-14)
    # Over the set both colours count equally: half perfect, half 51 of 151.
    assert above.sum() / below.sum() == pytest.approx((1 + 51 / 151) / 2, rel=1e-14)
    assert auc(gray, true).mean() == pytest.approx((7 + 51 / 151) / 8, rel=1e-14)
    with pytest.raises(ValueError, match="one shape"):
        metrics.weighted_auc(weights[:1], weights)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_rebalanced_auc_properties(seed, n):
    predicted, true = pictures(seed, n, 2), pictures(seed + 1, n, 2)
    bins = metrics.color_bins(true)
    weights = metrics.rarity(np.bincount(bins.ravel(), minlength=metrics.COLOR_BINS))[bins]
    assert weights.mean() == pytest.approx(1)
    above, below = metrics.weighted_auc(metrics.auc_credit(predicted, true), weights)
    assert np.all((above >= 0) & (above <= below))
    assert metrics.weighted_auc(metrics.auc_credit(true, true), weights)[0].tolist() == below.tolist()
    plain = metrics.weighted_auc(metrics.auc_credit(predicted, true), np.ones(bins.shape))
    np.testing.assert_allclose(plain[0], auc(predicted, true), rtol=1e-14)

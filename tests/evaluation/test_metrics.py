"""Properties that all formulas of metrics have."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_metrics import auc, ciede2000, pictures, psnr

from pipeline.evaluation import metrics


def absolute_colourfulness(rgb):
    return metrics.colourfulness(rgb, absolute=True)


RGB_METRICS = (psnr, metrics.ssim, ciede2000)
AB_METRICS = (metrics.accuracy, metrics.squared_error, auc)
PAIRED = [(m, 3) for m in (*RGB_METRICS, metrics.squared_error)] + [(m, 2) for m in AB_METRICS]
ALONE = [(metrics.colourfulness, 3), (absolute_colourfulness, 3), (metrics.chroma, 2)]


def test_identical_images_are_perfect():
    rgb = pictures(5)
    assert psnr(rgb, rgb).tolist() == [math.inf] * 3
    np.testing.assert_allclose(metrics.ssim(rgb, rgb), 1, atol=1e-12)
    assert ciede2000(rgb, rgb).tolist() == [0] * 3
    assert metrics.squared_error(rgb, rgb).tolist() == [0] * 3
    assert auc(rgb[..., :2], rgb[..., :2]).tolist() == [1] * 3


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.permutations(range(4)), st.integers(1, 3))
def test_each_image_is_measured_alone(seed, order, cut):
    for measure, channels in PAIRED:
        predicted, true = pictures(seed, 4, channels), pictures(seed + 1, 4, channels)
        values = measure(predicted, true)
        assert values.shape == (4,) and values.dtype == np.float64
        assert measure(predicted[order], true[order]).tolist() == values[order].tolist()
        apart = np.concatenate([measure(predicted[:cut], true[:cut]), measure(predicted[cut:], true[cut:])])
        assert apart.tolist() == values.tolist()
    for measure, channels in ALONE:
        shown = pictures(seed, 4, channels)
        values = measure(shown)
        assert values.shape == (4,) and values.dtype == np.float64
        assert measure(shown[order]).tolist() == values[order].tolist()
        assert np.concatenate([measure(shown[:cut]), measure(shown[cut:])]).tolist() == values.tolist()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_bounds_and_symmetry(seed):
    x, y = pictures(seed), pictures(seed + 1)
    of_ab = (
        lambda p, t: metrics.squared_error(p[..., :2], t[..., :2]),
        lambda p, t: auc(p[..., :2], t[..., :2]),
    )
    for measure in (*RGB_METRICS, *of_ab):
        np.testing.assert_allclose(measure(x, y), measure(y, x), rtol=1e-9, atol=1e-12)
    assert np.all(np.abs(metrics.ssim(x, y)) <= 1)
    assert np.all(psnr(x, y) >= 0)
    assert np.all((ciede2000(x, y) > 0) & (ciede2000(x, y) < 130))
    for measure in AB_METRICS:
        assert np.all(measure(x[..., :2], y[..., :2]) >= 0)
    for measure in (metrics.accuracy, auc):
        assert np.all(measure(x[..., :2], y[..., :2]) <= 1)
    for shown in (metrics.colourfulness(x), absolute_colourfulness(x), metrics.chroma(x[..., :2])):
        assert np.all((shown > 0) & (shown < 256 * math.sqrt(2)))


def test_the_same_values_in_another_memory_layout_give_the_same_result():
    predicted, true = pictures(8, channels=2).astype(np.float32), pictures(9, channels=2)
    turned = np.asfortranarray(predicted)
    assert metrics.squared_error(turned, true).tolist() == metrics.squared_error(predicted, true).tolist()


def test_no_images_give_no_values():
    for measure, channels in PAIRED:
        none = np.empty((0, 13, 17, channels), np.uint8)
        assert measure(none, none).shape == (0,)
    for measure, channels in ALONE:
        assert measure(np.empty((0, 13, 17, channels), np.uint8)).shape == (0,)
    assert [part.shape for part in metrics.weighted_auc(np.empty((0, 4, 4)), np.empty((0, 4, 4)))] == [(0,), (0,)]
    assert metrics.ciede2000_map(np.empty((0, 4, 5, 3)), np.empty((0, 4, 5, 3))).shape == (0, 4, 5)


@pytest.mark.parametrize("measure", [*AB_METRICS, metrics.ssim])
def test_shapes_that_would_broadcast_are_refused(measure):
    with pytest.raises(ValueError, match="one shape"):
        measure(pictures(1, n=1), pictures(2, n=3))

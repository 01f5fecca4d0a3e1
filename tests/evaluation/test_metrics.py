"""Each metric against its formula, another implementation or published numbers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from pipeline.evaluation import metrics
from pipeline.images import lab

# Sharma, Wu and Dalal 2005, table 1: two CIE Lab colours and their CIEDE2000 difference.
SHARMA = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""
PAIRS = np.array([line.split() for line in SHARMA.split("\n") if line], float)


def psnr(predicted, true):
    return metrics.psnr_of_error(metrics.squared_error(predicted, true))


def ciede2000(predicted, true):
    return metrics.ciede2000_of_lab(rgb2lab(predicted), rgb2lab(true))


def auc(predicted, true):
    return metrics.auc_credit(predicted, true).reshape(len(true), math.prod(true.shape[1:3])).mean(axis=1)


RGB_METRICS = (psnr, metrics.ssim, ciede2000)
AB_METRICS = (metrics.accuracy, metrics.squared_error, auc)
PAIRED = [(m, 3) for m in (*RGB_METRICS, metrics.squared_error)] + [(m, 2) for m in AB_METRICS]


def absolute_colourfulness(rgb):
    return metrics.colourfulness(rgb, absolute=True)


ALONE = [(metrics.colourfulness, 3), (absolute_colourfulness, 3), (metrics.chroma, 2)]


def pictures(seed: int, n: int = 3, channels: int = 3) -> np.ndarray:
    """Noise on a slope: neither flat nor pure noise."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(40, 200, 13)[None, :, None, None] * rng.uniform(0.5, 1.2, (n, 1, 17, channels))
    return np.clip(slope + rng.normal(0, 12, (n, 13, 17, channels)), 0, 255).astype(np.uint8)


def test_accuracy_counts_ties_and_nan_as_index_0():
    nan = math.nan
    predicted = np.array([[1, 2], [2, 1], [3, 3], [nan, nan], [5, nan], [nan, 5], [1, 2]], float)
    a_larger = np.full((7, 2), (9, 4), np.uint8)
    b_larger = a_larger[:, ::-1]
    tied = np.full((7, 2), 7, np.uint8)
    truth = np.stack([a_larger, b_larger, tied])[:, None]
    answers = np.stack([predicted] * 3)[:, None]
    assert metrics.accuracy(answers, truth).tolist() == [5 / 7, 2 / 7, 5 / 7]


def test_accuracy_is_agreement_of_argmax():
    rng = np.random.default_rng(1)
    predicted, true = rng.integers(0, 4, (5, 9, 8, 2)).astype(np.float32), rng.integers(0, 4, (5, 9, 8, 2), np.uint8)
    expected = (predicted.argmax(-1) == true.argmax(-1)).mean(axis=(1, 2))
    np.testing.assert_allclose(metrics.accuracy(predicted, true), expected, rtol=1e-15)


def test_squared_error_takes_the_prediction_unrounded():
    true = np.full((2, 4, 4, 2), 250, np.uint8)
    predicted = np.full((2, 4, 4, 2), 250.25, np.float32)
    predicted[1, ..., 1] = 300
    assert metrics.squared_error(predicted, true).tolist() == [0.0625, (0.0625 + 2500) / 2]


def test_squared_error_does_not_wrap_around_and_keeps_nan():
    true = np.array([0, 255], np.uint8).reshape(1, 1, 1, 2).repeat(2, axis=0)
    predicted = np.array([[255, 0], [np.nan, 0]], np.float16).reshape(2, 1, 1, 2)
    values = metrics.squared_error(predicted, true)
    assert values[0] == 255**2
    assert np.isnan(values[1])


def test_psnr_and_ssim_equal_scikit_image():
    predicted, true = pictures(1), pictures(2)
    predicted[1] = true[1] // 2
    for i, (mine, similarity) in enumerate(zip(psnr(predicted, true), metrics.ssim(predicted, true), strict=True)):
        assert mine == pytest.approx(peak_signal_noise_ratio(true[i], predicted[i], data_range=255), rel=1e-12)
        expected = structural_similarity(
            true[i],
            predicted[i],
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=-1,
        )
        assert similarity == pytest.approx(expected, abs=1e-6)


def test_ssim_equals_its_formula_in_one_window():
    # An 11x11 image has one whole window: Wang et al., equations 6, 13-15 and their Gaussian weights.
    x, y = pictures(3, n=1)[:, :11, :11], pictures(4, n=1)[:, :11, :11]
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weights = np.outer(line, line) / line.sum() ** 2
    values = []
    for channel in range(3):
        p, t = x[0, ..., channel].astype(float), y[0, ..., channel].astype(float)
        mp, mt = (weights * p).sum(), (weights * t).sum()
        vp, vt = (weights * (p - mp) ** 2).sum(), (weights * (t - mt) ** 2).sum()
        covariance = (weights * (p - mp) * (t - mt)).sum()
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        values.append((2 * mp * mt + c1) * (2 * covariance + c2) / ((mp**2 + mt**2 + c1) * (vp + vt + c2)))
    assert metrics.ssim(x, y)[0] == pytest.approx(np.mean(values), abs=1e-9)


def test_identical_images_are_perfect():
    rgb = pictures(5)
    assert psnr(rgb, rgb).tolist() == [math.inf] * 3
    np.testing.assert_allclose(metrics.ssim(rgb, rgb), 1, atol=1e-12)
    assert ciede2000(rgb, rgb).tolist() == [0] * 3
    assert metrics.squared_error(rgb, rgb).tolist() == [0] * 3
    assert auc(rgb[..., :2], rgb[..., :2]).tolist() == [1] * 3


def test_psnr_of_one_level_everywhere():
    rgb = np.full((1, 12, 12, 3), 100, np.uint8)
    assert psnr(rgb, rgb + np.uint8(1))[0] == pytest.approx(48.1308, abs=1e-4)


def test_pooled_psnr_is_that_of_the_mean_error():
    predicted, true = pictures(1), pictures(2)
    predicted[1] = true[1] // 2
    # All images as one tall image: its error is that of the set.
    tall = peak_signal_noise_ratio(true.reshape(-1, 17, 3), predicted.reshape(-1, 17, 3), data_range=255)
    pooled = metrics.psnr_of_error(metrics.squared_error(predicted, true).mean())
    assert float(pooled) == pytest.approx(tall, rel=1e-12)
    assert metrics.psnr_of_error([0, 1, math.nan, 255**2]).tolist() == pytest.approx(
        [math.inf, 20 * math.log10(255), math.nan, 0], nan_ok=True
    )


@pytest.mark.parametrize("pair", PAIRS, ids=[str(i) for i in range(1, len(PAIRS) + 1)])
def test_ciede2000_of_sharmas_pairs(pair):
    first, second = pair[:3].reshape(1, 1, 1, 3), pair[3:6].reshape(1, 1, 1, 3)
    assert metrics.ciede2000_of_lab(first, second)[0] == pytest.approx(pair[6], abs=5.1e-5)


def test_sharmas_table_is_whole():
    assert PAIRS.shape == (34, 7)


def test_ciede2000_of_rgb_is_the_mean_over_pixels():
    # sRGB red against green: 86.61 (Lindbloom's calculator); the other half of the image is identical.
    red, green = np.zeros((2, 1, 2, 2, 3), np.uint8)
    red[..., 0] = green[..., 1] = 255
    green[:, 0] = red[:, 0]
    assert ciede2000(red, green)[0] == pytest.approx(86.61 / 2, abs=0.02)


def test_ciede2000_map_equals_scikit_image_pixel_by_pixel():
    first, second = rgb2lab(pictures(1)), rgb2lab(pictures(2))
    differences = metrics.ciede2000_map(first, second)
    assert differences.shape == (3, 13, 17) and differences.dtype == np.float64
    np.testing.assert_array_equal(differences, deltaE_ciede2000(first, second))
    np.testing.assert_allclose(metrics.ciede2000_of_lab(first, second), differences.mean(axis=(1, 2)), rtol=1e-14)


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


def test_auc_of_what_is_no_number_or_infinite():
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
    # Over the set both colours count alike: half perfect, half 51 of 151.
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


def test_colourfulness_by_hand():
    # Two pixels, (200, 100, 50) and (0, 100, 150): rg 100 and -100, yb 100 and -100.
    opposite = np.array([[200, 100, 50], [0, 100, 150]], np.uint8)
    # (200, 100, 0) and (100, 100, 100): rg 100 and 0, yb 150 and 0; nothing negative, so both variants agree.
    one_sided = np.array([[200, 100, 0], [100, 100, 100]], np.uint8)
    shown = np.stack([opposite, one_sided])[:, None]
    both = math.hypot(50, 75) + 0.3 * math.hypot(50, 75)
    np.testing.assert_allclose(metrics.colourfulness(shown), [100 * math.sqrt(2), both], rtol=1e-14)
    absolute = metrics.colourfulness(shown, absolute=True)
    np.testing.assert_allclose(absolute, [0.3 * 100 * math.sqrt(2), both], rtol=1e-14)


def test_colourfulness_and_chroma_of_one_colour():
    for absolute in (False, True):
        flat = np.broadcast_to(np.array([[[[7, 7, 7]]], [[[30, 10, 50]]]], np.uint8), (2, 5, 7, 3))
        expected = [0, 0.3 * math.hypot(20, 30)]
        assert metrics.colourfulness(flat, absolute).tolist() == pytest.approx(expected, rel=1e-14)
    ab = np.broadcast_to(np.array([[[[128, 128]]], [[[131, 124]]]], np.uint8), (2, 5, 7, 2))
    assert metrics.chroma(ab).tolist() == [0, 5]
    assert metrics.chroma(ab + 0.5).tolist() == pytest.approx([math.hypot(0.5, 0.5), math.hypot(3.5, 3.5)])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_colourfulness_is_the_formula(seed):
    rgb = pictures(seed)
    for absolute in (False, True):
        for image, value in zip(rgb.astype(float), metrics.colourfulness(rgb, absolute), strict=True):
            red, green, blue = image[..., 0], image[..., 1], image[..., 2]
            rg, yb = red - green, (red + green) / 2 - blue
            if absolute:
                rg, yb = np.abs(rg), np.abs(yb)
            deviation, bias = math.hypot(rg.std(), yb.std()), math.hypot(rg.mean(), yb.mean())
            assert value == pytest.approx(deviation + 0.3 * bias, rel=1e-12)
    gray = np.repeat(rgb[..., :1], 3, axis=-1)
    assert metrics.colourfulness(gray).tolist() == [0] * 3


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


def test_the_round_trip_through_stored_lab_is_hardly_visible():
    rgb = pictures(6)
    assert np.all(ciede2000(lab.to_rgb(*lab.from_rgb(rgb)), rgb) < 1)

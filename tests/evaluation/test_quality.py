"""Accuracy, squared error, PSNR and SSIM against their formulas and scikit-image."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from tiny_metrics import pictures, psnr

from pipeline.evaluation import metrics


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
    # An 11x11 image has one complete window: Wang et al., equations 6, 13-15 and their Gaussian weights.
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

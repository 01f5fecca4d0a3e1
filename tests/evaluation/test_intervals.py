"""The intervals against theory, against images left out one by one, on real errors, and at their edges."""

import math
import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.evaluation.intervals import FEWEST_GROUPS, Jackknife, interval, verdict


def alone(n: int) -> list[str]:
    return [f"image-{i:05d}" for i in range(n)]


def test_the_interval_of_a_mean_of_symmetric_values_is_students():
    half = np.random.default_rng(1).gamma(2, 3, 200)
    values = np.concatenate([half, -half])
    means = Jackknife(alone(400)).means({"x": values})["x"]
    assert means.shape == (401,) and means.dtype == np.float64
    value, low, high = interval(means)
    half_width = stats.t.ppf(0.9825, 399 / 2) * values.std(ddof=1) / math.sqrt(400)
    assert value == means[0] == math.fsum(values) / 400
    assert (low, high) == pytest.approx((value - half_width, value + half_width), rel=1e-9)


def test_a_skewed_mean_has_a_longer_interval_on_the_side_of_the_tail():
    values = np.random.default_rng(2).lognormal(0, 1, 12)
    values = np.concatenate([values, [values.max() * 3]])
    value, low, high = interval(Jackknife(alone(13)).means({"x": values})["x"])
    error = values.std(ddof=1) / math.sqrt(13)
    assert value - low == pytest.approx(stats.t.ppf(0.9825, 6) * error, rel=1e-9)
    # The upper end is where Hall's transformation of the mean's t statistic reaches the quantile.
    skewness = stats.skew(values) / math.sqrt(13)
    t = (value - high) / error
    assert t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6 == pytest.approx(-stats.t.ppf(0.9825, 6))
    assert high - value > value - low
    mirrored = interval(Jackknife(alone(13)).means({"x": -values})["x"])
    assert mirrored == pytest.approx((-value, -high, -low), rel=1e-9)


@pytest.mark.parametrize("n", [10, 20, 56])
def test_intervals_of_skewed_errors_contain_the_true_value_in_93_percent_of_samples_or_more(n):
    rng = np.random.default_rng(2)
    # Squared errors of photographs are about lognormal, with this spread; groups have 1 to 4 images in common.
    sizes = rng.integers(1, 5, n)
    groups = [f"group {group}" for group in np.repeat(np.arange(n), sizes)]
    jackknife, sigma = Jackknife(groups), 0.9
    columns = {
        str(i): np.repeat(rng.lognormal(5, sigma, n), sizes) * rng.lognormal(0, 0.2, len(groups)) for i in range(1500)
    }
    true = math.sqrt(math.exp(5 + (sigma**2 + 0.2**2) / 2))
    found = [interval(np.sqrt(means)) for means in jackknife.means(columns).values()]
    assert 0.93 <= np.mean([low <= true <= high for _, low, high in found]) <= 0.99


def test_whole_groups_are_left_out():
    sizes = np.arange(1, 13)
    groups = [f"g{i:02d}" for i in range(12) for _ in range(i + 1)]
    values = np.random.default_rng(4).normal(size=len(groups))
    means = Jackknife(groups).means({"x": values})["x"]
    expected = [np.mean([v for v, g in zip(values, groups, strict=True) if g != f"g{i:02d}"]) for i in range(12)]
    np.testing.assert_allclose(means[1:], expected, rtol=1e-12, atol=1e-13)
    assert means[0] == pytest.approx(values.mean(), rel=1e-12) and len(values) == sizes.sum()


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(30)), st.integers(0, 2**31), st.integers(1, 3))
def test_the_order_of_images_does_not_matter(order, seed, per_group):
    groups = [f"g{i // per_group}" for i in range(30)]
    values = np.random.default_rng(seed).normal(size=30)
    means = Jackknife(groups).means({"x": values})["x"]
    turned = Jackknife([groups[i] for i in order]).means({"x": values[order]})["x"]
    assert turned[0] == means[0]
    np.testing.assert_allclose(turned, means, rtol=1e-12, atol=1e-13)


def test_differences_are_paired():
    rng = np.random.default_rng(6)
    hard = rng.normal(20, 5, 500)  # errors that both answers share
    ours, theirs = hard + rng.normal(0.3, 0.5, 500), hard
    means = Jackknife(alone(500)).means({"ours": ours, "difference": ours - theirs})
    against = Jackknife(alone(500)).means({"theirs": theirs})["theirs"]
    np.testing.assert_allclose(means["ours"] - against, means["difference"], atol=1e-12)
    value, low, high = interval(means["ours"] - against)
    assert value == pytest.approx(0.3, abs=0.1) and 0 < low < high
    _, low_ours, high_ours = interval(means["ours"])
    assert high - low < (high_ours - low_ours) / 5
    assert interval(means["ours"] - means["ours"]) == (0, 0, 0)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3, 1e20, -7e-300])
@pytest.mark.parametrize("n", [10, 49, 1000])
def test_constant_values_give_an_interval_without_width(constant, n):
    groups = [f"g{i % 11}" for i in range(n)]
    value, low, high = interval(Jackknife(groups).means({"x": np.full(n, constant)})["x"])
    assert low == value == high == constant


def test_no_mean_leaves_the_range_of_the_values_and_no_interval_what_is_possible():
    errors = np.zeros(40)
    errors[:2] = 0.1, 1 / 3  # means enter a root or a logarithm
    means = Jackknife([f"g{i // 2}" for i in range(40)]).means({"mse": errors})["mse"]
    assert means.min() == 0
    value, low, high = interval(means, 0.0, 0.02)
    assert low == 0.0 < value < high == 0.02
    assert interval(means)[1] < 0 and interval(means)[2] > 0.02
    assert interval(means, 0.0, math.inf)[2] == interval(means)[2]


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        ([], "0 groups, fewer than 10"),
        (["only"] * 5, "1 group, fewer than 10"),
        (["a", "b", "c", "a"], "3 groups, fewer than 10"),
        (alone(9), "9 groups, fewer than 10"),
    ],
)
def test_too_few_groups_give_the_mean_and_the_reason(groups, reason):
    jackknife = Jackknife(groups)
    assert jackknife.reason == reason
    values = np.arange(len(groups), dtype=float)
    means = jackknife.means({"x": values})["x"]
    assert means.shape == (1,)
    value, low, high = interval(means)
    assert low is None and high is None
    assert math.isnan(value) if not groups else value == values.mean()
    assert verdict(low, high, "higher") == "no interval"


def test_ten_groups_are_enough():
    jackknife = Jackknife(alone(FEWEST_GROUPS))
    assert jackknife.reason == ""
    value, low, high = interval(jackknife.means({"x": np.arange(10.0)})["x"])
    assert low < value < high


def test_values_that_are_not_finite_have_a_mean_and_no_interval():
    values = np.random.default_rng(8).normal(size=(7, 20))
    values[1, 3] = math.nan
    values[2, 3] = math.inf
    values[3, 3], values[3, 4] = math.inf, -math.inf
    values[4, :] = math.nan
    values[5, 3], values[5, 4] = math.nan, math.inf
    values[6, :] = 1e308  # finite, but for its sum
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jackknife = Jackknife(alone(20))
        means = jackknife.means({str(i): row for i, row in enumerate(values)})
        alone_mean = jackknife.means({"x": values[0]})["x"]
        intervals = [interval(row) for row in means.values()]
    assert means["0"].tolist() == alone_mean.tolist()
    expected = [math.nan, math.inf, math.nan, math.nan, math.nan, math.inf]
    assert [value for value, _, _ in intervals[1:]] == pytest.approx(expected, nan_ok=True)
    for name in "123456":
        assert np.isnan(means[name][1:]).all() and means[name].shape == (21,)
    assert all((low, high) == (None, None) for _, low, high in intervals[1:])


def test_infinities_of_both_answers_have_no_interval():
    # The PSNR of identical images: inf - inf.
    means = Jackknife(alone(20)).means({"x": np.full(20, math.inf)})["x"]
    with np.errstate(invalid="ignore"):
        value, low, high = interval(means - means)
    assert math.isnan(value) and low is None and high is None


def test_a_column_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"psnr of shape \(20,\)"):
        Jackknife(alone(20)).means({"psnr": np.zeros(19)})


@pytest.mark.parametrize(
    ("low", "high", "better", "expected"),
    [
        (0.1, 0.2, "higher", "better"),
        (0.1, 0.2, "lower", "worse"),
        (-0.2, -0.1, "higher", "worse"),
        (-0.2, -0.1, "lower", "better"),
        (-0.1, 0.2, "higher", "no clear difference"),
        (0.0, 0.2, "higher", "no clear difference"),
        (-0.2, 0.0, "lower", "no clear difference"),
        (0.0, 0.0, "lower", "no clear difference"),
        (None, None, "higher", "no interval"),
        (math.nan, math.nan, "higher", "no interval"),
    ],
)
def test_verdicts(low, high, better, expected):
    assert verdict(low, high, better) == expected


def test_intervals_of_15000_images_take_no_time():
    columns = {str(i): np.random.default_rng(i).normal(size=15_000) for i in range(20)}
    jackknife, start = Jackknife(alone(15_000)), time.perf_counter()
    found = [interval(means) for means in jackknife.means(columns).values()]
    assert len(found) == 20 and time.perf_counter() - start < 2

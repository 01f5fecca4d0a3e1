"""The bootstrap against theory, against resampling one by one, and at its edges."""

import math
import time
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.bootstrap import DRAWS, FEWEST_GROUPS, Bootstrap, interval, verdict


def alone(n: int) -> list[str]:
    return [f"image-{i:05d}" for i in range(n)]


def test_one_image_groups_give_the_classic_bootstrap_of_the_mean():
    values = np.random.default_rng(1).gamma(2, 3, 400)
    means = Bootstrap(alone(400), draws=4000).means({"x": values})["x"]
    assert means.shape == (4001,) and means.dtype == np.float64
    assert means[0] == math.fsum(values) / 400
    analytic = values.std() / math.sqrt(400)
    assert means[1:].std() == pytest.approx(analytic, rel=0.05)
    assert means[1:].mean() == pytest.approx(means[0], abs=5 * analytic / math.sqrt(4000))
    value, low, high = interval(means)
    assert value == means[0]
    assert (low, high) == pytest.approx((value - 1.96 * analytic, value + 1.96 * analytic), abs=0.3 * analytic)


def test_intervals_contain_the_true_mean_about_as_often_as_they_claim():
    rng = np.random.default_rng(2)
    bootstrap = Bootstrap([f"group {i // 3}" for i in range(180)])
    # Groups with something in common: 60 groups of 3 images. The mean is 5.
    columns = {str(i): 5 + np.repeat(rng.normal(0, 1, 60), 3) + rng.normal(0, 1, 180) for i in range(400)}
    intervals = [interval(means) for means in bootstrap.means(columns).values()]
    assert 0.91 <= np.mean([low <= 5 <= high for _, low, high in intervals]) <= 0.98


def test_whole_groups_are_drawn():
    rng = np.random.default_rng(3)
    groups = [f"archive-{i % 40}" for i in range(800)]
    level = {group: rng.normal() for group in groups}
    values = np.array([level[group] for group in groups])  # images of a group are equal: 40 values, not 800
    by_group = Bootstrap(groups).means({"x": values})["x"][1:].std()
    by_image = Bootstrap(alone(800)).means({"x": values})["x"][1:].std()
    assert by_group == pytest.approx(by_image * math.sqrt(20), rel=0.1)


def test_a_resample_is_the_mean_of_the_images_in_it():
    # Groups of 1 to 12 images, each with one value of its own: every mean is a ratio of sums over drawn groups.
    sizes = np.arange(1, 13)
    groups = [f"g{i:02d}" for i in range(12) for _ in range(i + 1)]
    per_group = np.random.default_rng(4).normal(size=12)
    bootstrap = Bootstrap(groups, seed=7, draws=50)
    means = bootstrap.means({"x": np.repeat(per_group, sizes)})["x"]
    drawn = np.random.default_rng(7).integers(12, size=(50, 12))
    expected = [(per_group * sizes)[draw].sum() / sizes[draw].sum() for draw in drawn]
    np.testing.assert_allclose(means[1:], expected, rtol=1e-12, atol=1e-13)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(30)), st.integers(0, 2**31), st.integers(1, 3))
def test_the_order_of_images_does_not_matter(order, seed, per_group):
    groups = [f"g{i // per_group}" for i in range(30)]
    values = np.random.default_rng(seed).normal(size=30)
    means = Bootstrap(groups, seed, 40).means({"x": values})["x"]
    turned = Bootstrap([groups[i] for i in order], seed, 40).means({"x": values[order]})["x"]
    assert turned[0] == means[0]
    np.testing.assert_allclose(turned, means, rtol=1e-12, atol=1e-13)


def test_the_same_groups_and_seed_give_the_same_resamples():
    values = np.random.default_rng(5).normal(size=300)
    first, second = Bootstrap(alone(300)), Bootstrap(alone(300))
    means = first.means({"x": values})["x"].tolist()
    assert first.means({"x": values})["x"].tolist() == means
    # Other columns must not change the rounding, or two equal answers would differ.
    others = {str(i): values * i for i in range(7)}
    assert second.means({**others, "x": values})["x"].tolist() == means
    assert Bootstrap(alone(300), seed=1).means({"x": values})["x"].tolist()[1:] != means[1:]


def test_differences_are_paired():
    rng = np.random.default_rng(6)
    hard = rng.normal(20, 5, 500)  # errors that both answers share
    ours, theirs = hard + rng.normal(0.3, 0.5, 500), hard
    means = Bootstrap(alone(500)).means({"ours": ours, "difference": ours - theirs})
    against = Bootstrap(alone(500)).means({"theirs": theirs})["theirs"]
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
    value, low, high = interval(Bootstrap(groups).means({"x": np.full(n, constant)})["x"])
    assert low == value == high == constant


def test_no_mean_of_resamples_leaves_the_range_of_the_values():
    # Many resamples contain only images without error; their mean enters a root or a logarithm.
    errors = np.zeros(40)
    errors[:2] = 0.1, 1 / 3
    means = Bootstrap([f"g{i // 2}" for i in range(40)]).means({"mse": errors})["mse"]
    assert 200 < (means == 0).sum() < 500 and means.min() == 0


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
    bootstrap = Bootstrap(groups)
    assert bootstrap.reason == reason
    values = np.arange(len(groups), dtype=float)
    means = bootstrap.means({"x": values})["x"]
    assert means.shape == (1,)
    value, low, high = interval(means)
    assert low is None and high is None
    assert math.isnan(value) if not groups else value == values.mean()
    assert verdict(low, high, "higher") == "no interval"


def test_ten_groups_are_enough():
    bootstrap = Bootstrap(alone(FEWEST_GROUPS))
    assert bootstrap.reason == ""
    value, low, high = interval(bootstrap.means({"x": np.arange(10.0)})["x"])
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
        bootstrap = Bootstrap(alone(20), draws=25)
        means = bootstrap.means({str(i): row for i, row in enumerate(values)})
        alone_mean = bootstrap.means({"x": values[0]})["x"]
        intervals = [interval(row) for row in means.values()]
    assert means["0"].tolist() == alone_mean.tolist()
    expected = [math.nan, math.inf, math.nan, math.nan, math.nan, math.inf]
    assert [value for value, _, _ in intervals[1:]] == pytest.approx(expected, nan_ok=True)
    for name in "123456":
        assert np.isnan(means[name][1:]).all() and means[name].shape == (26,)
    assert all((low, high) == (None, None) for _, low, high in intervals[1:])


def test_infinities_of_both_answers_have_no_interval():
    # The PSNR of identical images: inf - inf.
    means = Bootstrap(alone(20)).means({"x": np.full(20, math.inf)})["x"]
    with np.errstate(invalid="ignore"):
        value, low, high = interval(means - means)
    assert math.isnan(value) and low is None and high is None


def test_a_column_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"psnr of shape \(20,\)"):
        Bootstrap(alone(20)).means({"psnr": np.zeros(19)})


def test_as_many_resamples_lie_below_an_interval_as_above():
    assert interval(np.array([3.0, *range(1001)])) == (3, pytest.approx(25), pytest.approx(975))


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


def test_time_and_memory_at_full_size():
    n = 15_000
    columns = {str(i): np.random.default_rng(i).normal(size=n) for i in range(20)}
    groups = alone(n)
    tracemalloc.start()
    try:
        start = time.perf_counter()
        means = Bootstrap(groups).means(columns)
        seconds = time.perf_counter() - start
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert means["19"].shape == (1 + DRAWS,)
    assert peak < 30e6  # all draws at once would take 120 MB
    assert seconds < 10

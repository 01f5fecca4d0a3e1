"""The 313 classes of colour against arithmetic written out by hand."""

import math

import numpy as np
import pytest

from pipeline.images import ab_bins

DRAWS = np.random.default_rng(0)


def test_the_classes_are_the_released_ones():
    centres = ab_bins.centres()
    assert centres.shape == (313, 2) and len({tuple(each) for each in centres.tolist()}) == 313
    assert (centres % 10 == 0).all()
    assert centres[[0, 5, 312]].tolist() == [[-90, 50], [-80, 20], [100, 0]]
    assert centres.min(axis=0).tolist() == [-90, -110] and centres.max(axis=0).tolist() == [100, 100]
    assert [int((centres[:, 0] == a).sum()) for a in range(-90, 101, 10)] == [
        5, 8, 10, 12, 14, 15, 16, 16, 17, 18, 18, 18, 19, 20, 19, 20, 20, 19, 19, 10,
    ]  # fmt: skip


@pytest.mark.parametrize(("neighbours", "sigma"), [(5, 5.0), (10, 5.0), (1, 2.0)])
def test_a_colour_is_shared_by_its_nearest_classes(neighbours, sigma):
    classes, shares = ab_bins.soft_labels(neighbours, sigma)
    assert classes.shape == shares.shape == (256, 256, neighbours)
    np.testing.assert_allclose(shares.sum(axis=-1), 1, rtol=1e-6)
    for a, b in [(128, 128), (0, 0), (255, 255), *DRAWS.integers(0, 256, (40, 2)).tolist()]:
        distances = [math.dist((a - 128, b - 128), centre) for centre in ab_bins.centres().tolist()]
        nearest = sorted(range(313), key=lambda each: distances[each])[:neighbours]
        least = distances[nearest[0]] ** 2
        parts = [math.exp((least - distances[each] ** 2) / (2 * sigma**2)) for each in nearest]
        assert classes[a, b].tolist() == nearest
        np.testing.assert_allclose(shares[a, b], [part / sum(parts) for part in parts], rtol=1e-5)


def test_the_prior_is_the_smoothed_frequency():
    counts = np.zeros((256, 256), np.int64)
    counts[128, 128], counts[168, 98] = 3, 1  # exactly at (0, 0) and (40, -30)
    prior = ab_bins.prior(counts, neighbours=1, sigma=5.0)
    raw = {(0, 0): 0.75, (40, -30): 0.25}
    centres = [tuple(map(int, each)) for each in ab_bins.centres()]
    expected = []
    for here in centres:
        kernel = {there: math.exp(-(math.dist(here, there) ** 2) / 50) for there in centres}
        expected.append(sum(kernel[there] * share for there, share in raw.items()) / sum(kernel.values()))
    np.testing.assert_allclose(prior, np.array(expected) / sum(expected), rtol=1e-12)
    assert prior.argmax() == centres.index((0, 0))


@pytest.mark.parametrize(("mixing", "power"), [(0.5, 1.0), (0.5, 0.5), (1.0, 1.0), (0.2, 0.0)])
def test_rare_classes_weigh_more_and_the_mean_weight_is_one(mixing, power):
    frequency = DRAWS.dirichlet(np.full(313, 0.1)) + 1e-9
    frequency /= frequency.sum()
    weights = ab_bins.class_weights(frequency, mixing, power)
    unscaled = [(1 / ((1 - mixing) * each + mixing / 313)) ** power for each in frequency.tolist()]
    mean = sum(each * weight for each, weight in zip(frequency.tolist(), unscaled, strict=True))
    np.testing.assert_allclose(weights, np.array(unscaled) / mean, rtol=1e-12)
    assert (frequency * weights).sum() == pytest.approx(1)
    if mixing == 1 or power == 0:
        np.testing.assert_allclose(weights, 1)


def test_the_temperature_leads_from_the_mode_to_the_mean():
    logits = DRAWS.normal(size=(4, 313)) * 3
    for temperature in (0.38, 1.0, 2.5):
        for row, found in zip(logits.tolist(), ab_bins.annealed_mean(logits, temperature), strict=True):
            parts = [math.exp(each / temperature) for each in row]
            expected = [
                sum(part * centre[axis] for part, centre in zip(parts, ab_bins.centres().tolist(), strict=True))
                / sum(parts)
                for axis in (0, 1)
            ]
            np.testing.assert_allclose(found, expected, rtol=1e-9)
    mode = ab_bins.centres()[logits.argmax(axis=-1)]
    np.testing.assert_allclose(ab_bins.annealed_mean(logits, 1e-3), mode, atol=1e-6)

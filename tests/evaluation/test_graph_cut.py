"""The graph cut against all labellings of tiny grids."""

import itertools

import numpy as np
import pytest

from pipeline.evaluation.graph_cut import energy, expand


def drawn(seed, labels, height=2, width=3):
    """Costs (height, width, labels), distances of points in a plane, and weights of neighbours."""
    draw = np.random.default_rng(seed)
    points = draw.normal(size=(labels, 2))
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    right, down = draw.random((height, width - 1)) * 2, draw.random((height - 1, width)) * 2
    return draw.normal(size=(height, width, labels)) * 3, distances, right, down


def literal(costs, distances, right, down, labels):
    height, width = labels.shape
    total = sum(costs[y, x, labels[y, x]] for y in range(height) for x in range(width))
    total += sum(
        right[y, x] * distances[labels[y, x], labels[y, x + 1]] for y in range(height) for x in range(width - 1)
    )
    return total + sum(
        down[y, x] * distances[labels[y, x], labels[y + 1, x]] for y in range(height - 1) for x in range(width)
    )


def every(labels, shape):
    return (np.array(each).reshape(shape) for each in itertools.product(range(labels), repeat=int(np.prod(shape))))


@pytest.mark.parametrize("seed", range(20))
def test_two_labels_get_the_lowest_energy_of_all_labellings(seed):
    given = drawn(seed, 2, 3, 3)
    found = expand(*given)
    assert literal(*given, found) == pytest.approx(min(literal(*given, each) for each in every(2, (3, 3))))


@pytest.mark.parametrize("seed", range(20))
def test_no_expansion_of_one_label_lowers_the_energy(seed):
    given = drawn(seed, 4)
    found = expand(*given)
    assert energy(*given, found) == pytest.approx(literal(*given, found))
    for label, taken in itertools.product(range(4), every(2, (2, 3))):
        assert literal(*given, np.where(taken, label, found)) >= literal(*given, found) - 1e-9


def test_most_of_several_labels_get_the_lowest_energy_of_all_labellings():
    reached = []
    for seed in range(20):
        given = drawn(seed, 3)
        lowest = min(literal(*given, each) for each in every(3, (2, 3)))
        reached.append(literal(*given, expand(*given)) == pytest.approx(lowest))
    assert sum(reached) >= 18


def test_without_weights_each_pixel_has_its_cheapest_label():
    costs, distances, right, down = drawn(0, 5, 6, 7)
    np.testing.assert_array_equal(expand(costs, distances, 0 * right, 0 * down), costs.argmin(axis=-1))
    assert len(np.unique(expand(costs, distances, 1e3 + right, 1e3 + down))) == 1

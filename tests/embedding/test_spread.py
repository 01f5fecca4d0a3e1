"""The spread of embeddings, and their effective rank."""

import numpy as np
import pytest

from pipeline.embedding.spread import MOSTLY_CONSTANT, spread


def test_equal_embeddings_have_no_spread():
    row = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    alike = row + np.random.default_rng(1).normal(0, 1e-4, (30, 1000)).astype(np.float32)
    assert spread(alike)["relative"] < 1e-3 < MOSTLY_CONSTANT
    assert spread(np.tile(row, (5, 1)))["std"] == pytest.approx(0, abs=1e-7)
    assert spread(np.zeros((4, 1000), np.float32)) == {"std": 0.0, "relative": 0.0, "effective_rank": 1.0}
    different = np.random.default_rng(1).normal(size=(30, 1000)).astype(np.float32)
    assert spread(different)["relative"] == pytest.approx(1, abs=0.05) and spread(different)["effective_rank"] > 25


@pytest.mark.parametrize(
    ("weights", "rank"), [((1, 0, 0), 1.0), ((1, 1, 0), 2.0), ((1, 1, 1), 3.0), ((3, 1, 0), 1.7548)]
)
def test_the_effective_rank_of_known_directions(weights, rank):
    # Columns of a Hadamard matrix: centred and orthogonal.
    signs = np.array([[1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]).T
    values = np.zeros((4, 1000), np.float32)
    values[:, :3] = signs * weights
    measured = spread(values + 5)
    assert measured["effective_rank"] == pytest.approx(rank, abs=1e-3)
    assert measured["std"] == pytest.approx(sum(weights) / 1000)

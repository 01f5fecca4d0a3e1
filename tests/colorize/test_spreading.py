"""Hints spread as Gaussian process regression says, and stay away from what looks unlike."""

import numpy as np
import pytest
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

from pipeline.colorize.spreading import NOISE, Spreading, describe
from pipeline.core import files
from pipeline.core.errors import InputError

RNG = np.random.default_rng(0)


def test_hints_spread_as_gaussian_process_regression_predicts():
    described, ab = RNG.normal(size=(8, 9, 7)).astype(np.float32), RNG.normal(0, 20, (8, 9, 2)).astype(np.float32)
    projection = RNG.normal(0, 0.3, (7, 4)).astype(np.float32)
    cells, wanted = np.array([[0, 0], [3, 5], [7, 8]]), RNG.normal(0, 30, (3, 2))
    found = Spreading(projection)(described, ab, cells, wanted)
    places = described.reshape(-1, 7) @ projection
    at = cells[:, 0] * 9 + cells[:, 1]
    covariance = np.exp(-cdist(places, places[at], "sqeuclidean") / 2)
    factor = cho_factor(covariance[at] + np.diag([NOISE] * 3))  # Rasmussen and Williams, equation 2.23
    expected = covariance @ cho_solve(factor, wanted - ab.reshape(-1, 2)[at])
    np.testing.assert_allclose(found - ab, expected.reshape(8, 9, 2), atol=1e-4)


def picture():
    """A bright and a dark half, whose features differ too; nothing is predicted to have colour."""
    lightness = np.repeat([[30.0] * 10 + [70.0] * 10], 20, axis=0).astype(np.float32)
    features = np.stack([lightness > 50, lightness < 50], axis=-1).astype(np.float32)
    return describe(features, lightness, np.zeros((20, 20, 2), np.float32))


# Of `describe`: two features, which are made to count much; lightness; a and b; row and column.
SPREADING = Spreading(np.diag([3, 3, 1, 1, 1, 1, 1]).astype(np.float32))


def test_a_hint_is_met_and_reaches_what_is_like_it_only():
    ab = SPREADING(picture(), np.zeros((20, 20, 2), np.float32), np.array([[10, 4]]), np.array([[40.0, -20.0]]))
    np.testing.assert_allclose(ab[10, 4], [40 / (1 + NOISE), -20 / (1 + NOISE)], rtol=1e-5)
    assert ab[:, :10, 0].mean() > 30 and np.abs(ab[:, 10:]).max() < 1


def test_of_two_hints_at_one_place_the_later_one_counts():
    hints = np.array([[40.0, -20.0], [-10.0, 30.0]])
    both = SPREADING(picture(), np.zeros((20, 20, 2), np.float32), np.array([[10, 4], [10, 4]]), hints)
    one = SPREADING(picture(), np.zeros((20, 20, 2), np.float32), np.array([[10, 4]]), hints[1:])
    assert (both == one).all()


def test_the_file_is_read_as_written_and_refused_if_it_changed(tmp_path):
    path = tmp_path / "hints.npy"
    SPREADING.save(path)
    files.write_listing(tmp_path)
    assert (Spreading.load(path).projection == SPREADING.projection).all()
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(InputError):
        Spreading.load(path)

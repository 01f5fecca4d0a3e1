"""A published network keeps the colours of hints on their things."""

import shutil

import numpy as np
import pytest
from tiny import gray_photograph

from pipeline.colorize.colorizer import Colorizer
from pipeline.colorize.hints import Hint
from pipeline.colorize.refining import GATES, HINTED, INPUTS, MOST, OWN, Refined, inputs
from pipeline.colorize.spreading import Spreading, describe
from pipeline.config.paths import SHIPPED, ResultFiles
from pipeline.core import files

RNG = np.random.default_rng(0)
DESCRIBED = describe(RNG.normal(size=(8, 9, 2)), RNG.uniform(0, 100, (8, 9)), RNG.normal(0, 20, (8, 9, 2)))
PROJECTION = RNG.normal(0, 0.3, (7, 4)).astype(np.float32)
AB = RNG.normal(0, 20, (8, 9, 2)).astype(np.float32)
CELLS, WANTED = np.array([[0, 1], [3, 5], [7, 8]]), RNG.normal(0, 30, (3, 2)).astype(np.float32)


class Gates:
    """A session that returns the same gates everywhere."""

    def __init__(self, *gates):
        self.gates = gates

    def run(self, names, given):
        assert names == [GATES] and given[INPUTS].shape == (1, 8, 9, OWN + 8)
        return [np.broadcast_to(np.array(self.gates, np.float32), (1, 8, 9, 2))]


def hinted(*gates):
    return Refined(PROJECTION, lambda: Gates(*gates)).hinted(DESCRIBED, AB, CELLS, WANTED)


def test_the_gates_choose_between_the_regression_the_most_similar_hint_and_nothing():
    assert (hinted(1, 0) == Spreading(PROJECTION)(DESCRIBED, AB, CELLS, WANTED)).all()
    assert (hinted(0, 0) == AB).all()
    places = (DESCRIBED @ PROJECTION).reshape(72, 4)
    at = CELLS[:, 0] * 9 + CELLS[:, 1]
    nearest = np.linalg.norm(places[:, None] - places[at], axis=-1).argmin(axis=1)
    change = (WANTED - AB.reshape(72, 2)[at])[nearest]
    regression = (hinted(1, 0) - AB).reshape(72, 2)
    # Nothing changes much more than the regression would change it.
    most = MOST * np.linalg.norm(regression, axis=-1) / np.linalg.norm(change, axis=-1)
    assert (most < 1).any() and (most > 1).any()
    expected = AB.reshape(72, 2) + np.minimum(most, 1)[:, None] * change
    np.testing.assert_allclose(hinted(0, 1).reshape(72, 2), expected, atol=1e-4)


def test_what_the_network_sees_does_not_depend_on_the_hue_of_the_changes():
    turn = np.array([[0.6, -0.8], [0.8, 0.6]], np.float32)
    at = tuple(CELLS.T)
    spreading = Spreading(PROJECTION)
    seen = [
        inputs(DESCRIBED, spreading.spread(DESCRIBED, AB, CELLS, AB[at] + change))
        for change in (WANTED, WANTED @ turn, WANTED * 2)
    ]
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-4)
    assert not np.allclose(seen[0], seen[2], atol=1e-2)
    assert (np.argwhere(seen[0][..., HINTED]) == CELLS).all()


@pytest.fixture
def without(tmp_path):
    """The shipped network as it was published before hints were refined."""
    left_out = shutil.ignore_patterns("model.keras", "photographs.csv", "hints.onnx", files.LISTING)
    folder = shutil.copytree(SHIPPED, tmp_path / "network", ignore=left_out)
    files.write_listing(folder)
    return Colorizer.load(folder)


def test_a_network_published_without_it_spreads_hints_by_regression(without):
    assert type(without.predictor.spreading) is Spreading
    photograph, hint = gray_photograph(40, 50), Hint(25, 20, "#1f7fd0")
    shipped = Colorizer.load()
    assert isinstance(shipped.predictor.spreading, Refined) and ResultFiles(SHIPPED).refining.exists()
    assert (without(photograph) == shipped(photograph)).all()
    assert "session" not in vars(shipped.predictor.spreading)  # opened for the first hint
    assert (without(photograph, hints=[hint]) != shipped(photograph, hints=[hint])).any()
    assert "session" in vars(shipped.predictor.spreading)

"""The network that keeps the colours of hints on their things is trained with simulated hints."""

import numpy as np
import pytest

from pipeline.colorize import sessions
from pipeline.colorize.refining import GATES, HINTED, INPUTS, OWN, Refined
from pipeline.colorize.spreading import Spreading, describe
from pipeline.publishing.simulated import Pictures

SHAPE = 12, 21
EVERYWHERE = Spreading(np.zeros((7, 3), np.float32))  # the regression spreads each hint over the whole picture
NOWHERE = Spreading(np.eye(7, 2, -5, dtype=np.float32) * 50)  # and there, only to its own place


def halves(count):
    """Pictures of a dark and a bright part with the edge at another place in each, predicted to be gray."""
    random = np.random.default_rng(3)
    edges = random.integers(6, 16, count)
    right = np.broadcast_to(np.arange(SHAPE[1]) >= edges[:, None, None], (count, *SHAPE))
    lightness = np.where(right, 75, 35).astype(np.float32)
    nothing = np.zeros((count, *SHAPE, 2), np.float32)
    colours = random.normal(0, 25, (2, count, 1, 1, 2)).astype(np.float32)
    features = random.normal(size=(count, *SHAPE, 2))
    described = [describe(*each) for each in zip(features, lightness, nothing, strict=True)]
    true = np.where(right[..., None], *colours)
    return Pictures(np.stack(described).astype(np.float16), lightness, nothing, true), right


@pytest.mark.slow
def test_a_hint_is_met_and_stays_on_its_thing_and_the_same_seed_trains_the_same(keras, tmp_path):
    from pipeline.colorize import runtimes
    from pipeline.publishing import gates

    pictures, right = halves(60)
    network = gates.train(pictures, EVERYWHERE, 5)
    again = gates.train(pictures, EVERYWHERE, 5)
    assert all((one == other).all() for one, other in zip(network.get_weights(), again.get_weights(), strict=True))
    path = tmp_path / "hints.onnx"
    runtimes.write_onnx(runtimes.computing(network, INPUTS, GATES), path)
    session = sessions.opened(path, 1)
    described, gray = np.asarray(pictures.described[0], np.float32), pictures.predicted[0]
    cells, wanted = np.array([[6, 2]]), np.array([[40.0, 0.0]])
    everywhere = EVERYWHERE(described, gray, cells, wanted)
    kept = Refined(EVERYWHERE.projection, lambda: session).hinted(described, gray, cells, wanted)
    assert (everywhere[..., 0] > 35).all() and kept[6, 2, 0] == everywhere[6, 2, 0]
    assert kept[~right[0], 0].mean() > 30 > 10 > kept[right[0], 0].mean()
    given = np.random.default_rng(0).normal(size=(1, *SHAPE, OWN + 6)).astype(np.float32)
    np.testing.assert_allclose(session.run([GATES], {INPUTS: given})[0], np.asarray(network(given)), atol=1e-5)


def test_where_a_hint_is_the_regression_stays(keras):
    from pipeline.publishing import gates

    given = np.random.default_rng(0).normal(size=(1, *SHAPE, OWN + 6)).astype(np.float32)
    given[..., HINTED] = 0
    given[0, 4, 7, HINTED] = 1
    shares = np.asarray(gates.build(SHAPE, 3)(given))
    assert shares.shape == (1, *SHAPE, 2) and shares[0, 4, 7].tolist() == [1, 0]
    assert 0 < shares[0, 0, 0, 1] < shares[0, 0, 0, 0] < 1


def test_half_of_the_pictures_have_a_thing_of_another_colour(keras):
    from pipeline.publishing import gates

    pictures, _ = halves(20)
    random = np.random.default_rng(0)
    drawn = [gates.draw(pictures, NOWHERE, random) for _ in range(200)]
    recoloured = [each for each in drawn if each.wanted[0, 0, 3] > 0]
    assert 70 < len(recoloured) < 130
    for given, changes, wanted in drawn:
        hinted = given[..., HINTED] == 1
        assert 1 <= hinted.sum() <= gates.HINTS
        np.testing.assert_allclose(changes[hinted][:, 2:], wanted[hinted][:, :2], atol=1e-3)  # hints say what is right
    alone = [each for each in recoloured if (each.wanted[..., :2] == 0).all(axis=-1).any()]
    assert 0.4 < len(alone) / len(recoloured) < 0.8

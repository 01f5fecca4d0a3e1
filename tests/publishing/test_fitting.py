"""How hints spread is learned from simulated hints."""

import numpy as np
import pytest

from pipeline.colorize.spreading import describe
from pipeline.images.lab import NEUTRAL
from pipeline.publishing.simulated import LARGEST, Pictures, patches, thing

RNG = np.random.default_rng(0)


def halves(count):
    """Pictures of two halves that only one of ten features tells apart, each half with a colour of its own."""
    random = np.random.default_rng(3)
    side = np.zeros((24, 24), bool)
    side[:, 12:] = True
    lightness = np.full((24, 24), 50, np.float32)
    nothing = np.zeros((24, 24, 2), np.float32)
    described, true = [], []
    for _ in range(count):
        features = random.normal(size=(24, 24, 10)).astype(np.float32)
        features[..., 0] = side * 2.0 - 1
        described.append(describe(features, lightness, nothing).astype(np.float16))
        colours = random.normal(0, 25, (2, 2)).astype(np.float32)
        true.append(np.where(side[..., None], colours[0], colours[1]))
    lightnesses = np.full((count, 24, 24), 50, np.float32)
    return Pictures(np.stack(described), lightnesses, np.zeros((count, 24, 24, 2), np.float32), np.stack(true))


def test_the_layer_spreads_as_colouring_does(keras):
    from pipeline.colorize.spreading import Spreading
    from pipeline.publishing.fitting import Spread

    described, wanted = RNG.normal(size=(6, 6, 9)).astype(np.float32), RNG.normal(0, 20, (3, 2)).astype(np.float32)
    projection = RNG.normal(0, 0.3, (9, 4)).astype(np.float32)
    cells = np.array([[0, 1], [2, 2], [5, 4]])
    nothing = np.zeros((6, 6, 2), np.float32)
    expected = Spreading(projection)(described, nothing, cells, wanted).reshape(-1, 2)
    places = described.reshape(-1, 9)
    hints = np.concatenate([places[cells[:, 0] * 6 + cells[:, 1]], RNG.normal(size=(2, 9))]).astype(np.float32)
    differences = np.concatenate([wanted, np.full((2, 2), 99)]).astype(np.float32)  # two do not exist
    present = np.array([1, 1, 1, 0, 0], np.float32)
    found = Spread(projection)([each[None] for each in (places, hints, differences, present)])
    np.testing.assert_allclose(np.asarray(found)[0], expected, atol=1e-3)


@pytest.mark.slow
def test_what_tells_things_apart_is_learned_and_the_same_seed_learns_the_same(keras):
    from pipeline.publishing.fitting import fit

    pictures = halves(40)
    spreading = fit(pictures, 5)
    assert (fit(pictures, 5).projection == spreading.projection).all()
    weights = np.linalg.norm(spreading.projection, axis=1)
    assert weights[0] > 2 * weights[1:10].max()
    described = np.asarray(pictures.described[0], np.float32)
    hinted = spreading(described, pictures.predicted[0], np.array([[12, 3]]), np.array([[40.0, 0.0]]))
    assert hinted[:, :12, 0].mean() > 20 > 3 * np.abs(hinted[:, 12:, 0]).mean()


def test_a_thing_is_connected_and_of_one_colour():
    ab = np.zeros((56, 56, 2), np.float32)
    ab[10:20, 10:20] = ab[40:50, 40:50] = 60  # the same colour twice
    lightness = np.full((56, 56), 50, np.float32)
    found = [thing(lightness, ab, np.random.default_rng(seed)) for seed in range(200)]
    masks = {each.mask.tobytes(): each.mask for each in found if each}
    assert len(masks) == 2 and all(mask.sum() == 100 for mask in masks.values())
    assert all(each.mask[each.row, each.column] for each in found if each)


def test_hints_are_patches_of_the_photograph_around_its_centre():
    ab = RNG.integers(0, 256, (224, 224, 2), dtype=np.uint8)
    places, colours = patches(ab, 4000, np.random.default_rng(1))
    assert places.min() >= 0 and places.max() <= 223
    assert np.abs(places.mean(axis=0) - 111.5).max() < 4 and np.abs(places.std(axis=0) - 50).max() < 6
    own = ab[places[:, 0], places[:, 1]] - float(NEUTRAL)
    single = np.abs(colours - own).max(axis=1) < 1e-4
    assert abs(np.mean(single) - 1 / LARGEST) < 0.03  # patches of one pixel have its colour
    assert np.std(colours) < np.std(ab)


@pytest.mark.parametrize("count", [0, 1])
def test_no_hint_and_one_hint_are_drawn(count):
    places, colours = patches(np.zeros((224, 224, 2), np.uint8), count, RNG)
    assert places.shape == colours.shape == (count, 2)

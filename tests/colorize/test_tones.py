"""Colour photographs are told from gray, toned, stained and noisy ones."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage.color import lab2rgb
from skimage.data import astronaut, chelsea, coffee, rocket
from tiny import star

from pipeline.colorize.tones import COLOUR, MOUNTED, TONED, kind_of, own_colour
from pipeline.colorize.tones import GRAY as NO_COLOUR

PHOTOGRAPHS = [astronaut(), chelsea(), coffee(), rocket()]
GRAY = [np.asarray(Image.fromarray(photograph).convert("L")) for photograph in PHOTOGRAPHS]


def rgb(lightness, a, b):
    return np.rint(255 * np.clip(lab2rgb(np.dstack(np.broadcast_arrays(lightness, a, b))), 0, 1)).astype(np.uint8)


def noisy(levels, spread):
    noise = np.random.default_rng(0).normal(0, spread, levels.shape)
    return np.clip(levels + noise, 0, 255).astype(np.uint8)


def compressed(levels):
    stream = io.BytesIO()
    Image.fromarray(levels).save(stream, "JPEG", quality=40)
    return np.asarray(Image.open(stream))


def sepia(lightness):
    curve = 4 * lightness / 100 * (1 - lightness / 100)
    return rgb(lightness, 2 + 10 * curve, 8 + 30 * curve)


def stained(lightness):
    rows, columns = np.indices(lightness.shape) / max(lightness.shape)
    stain = np.exp(-((rows - 0.3) ** 2 + (columns - 0.6) ** 2) / 0.08)
    return rgb(lightness, 3 + 4 * stain, 12 + 12 * stain)


WITHOUT_COLOUR = {
    "gray": lambda gray: np.dstack([gray] * 3),
    "noisy": lambda gray: noisy(np.dstack([gray] * 3), 30),
    "sepia": lambda gray: sepia(star(gray)[..., 0]),
    "sepia, compressed": lambda gray: compressed(sepia(star(gray)[..., 0])),
    "sepia, noisy": lambda gray: noisy(sepia(star(gray)[..., 0]), 20),
    "cyanotype": lambda gray: rgb(star(gray)[..., 0], -4, -30),
    "split tone": lambda gray: rgb(star(gray)[..., 0], star(gray)[..., 0] / 10 - 4, star(gray)[..., 0] / 3 - 20),
    "stained": lambda gray: stained(star(gray)[..., 0]),
    "channels apart": lambda gray: np.dstack([np.roll(gray, 1, 1), gray, np.roll(gray, -1, 1)]),
}


@pytest.mark.parametrize("kind", WITHOUT_COLOUR)
def test_gray_toned_stained_and_noisy_photographs_are_not_in_colour(kind):
    found = {kind_of(WITHOUT_COLOUR[kind](gray)) for gray in GRAY}
    if kind in ("gray", "noisy", "channels apart"):
        assert found == {NO_COLOUR}
    else:
        assert COLOUR not in found and NO_COLOUR not in found
    if kind.startswith(("sepia", "cyanotype")):
        assert found == {TONED}
    assert set(map(own_colour, GRAY)) == {(0, 0)}


def test_strong_colours_of_one_hue_are_no_toned_print():
    orange = rgb(star(GRAY[0])[..., 0] / 2 + 25, 30, 50)
    assert own_colour(orange)[0] < 2 and kind_of(orange) == COLOUR


@pytest.mark.parametrize("change", [lambda levels: levels, compressed, lambda levels: noisy(levels, 20)])
def test_photographs_in_colour_are(change):
    assert {kind_of(change(photograph)) for photograph in PHOTOGRAPHS} == {COLOUR}


def test_depth_and_transparency_do_not_matter():
    photograph = PHOTOGRAPHS[0]
    value = own_colour(photograph)
    assert own_colour(photograph.astype(np.uint16) * 257) == pytest.approx(value, rel=0.02)
    half = np.full(photograph.shape[:2], 255, np.uint8)
    half[:, 256:] = 0
    gray = np.dstack([GRAY[0]] * 3)
    assert max(own_colour(np.where(half[..., None] > 0, gray, photograph), half)) < 0.5
    assert kind_of(np.where(half[..., None] > 0, photograph, gray), half) == COLOUR


def mounted(print_, colour, sides):
    """A print on coloured cardboard with a grain, `sides` pixels of it at the top, bottom, left and right."""
    top, bottom, left, right = sides
    shape = (len(print_) + top + bottom, print_.shape[1] + left + right, 3)
    out = noisy(np.broadcast_to(np.array(colour, np.uint8), shape), 4)
    out[top : top + len(print_), left : left + print_.shape[1]] = print_
    return compressed(out)


MOUNTS = [((110, 75, 45), (60, 90, 70, 60)), ((80, 100, 70), (90, 60, 90, 80)), ((190, 160, 115), (70, 70, 0, 90))]


@pytest.mark.parametrize(("colour", "sides"), MOUNTS)
def test_prints_on_coloured_cardboard_are_judged_without_it(colour, sides):
    # Of the others, parts are as light as one of the cardboards, which therefore has no edge there.
    gray, photograph = GRAY[2], PHOTOGRAPHS[2]
    for levels in (mounted(np.dstack([gray] * 3), colour, sides), mounted(sepia(star(gray)[..., 0]), colour, sides)):
        assert own_colour(levels)[0] < 3.8 or kind_of(levels) == MOUNTED
        assert kind_of(levels.astype(np.uint16) * 257) == kind_of(levels) != COLOUR
    assert kind_of(mounted(np.dstack([gray] * 3), colour, sides)) == MOUNTED
    assert kind_of(mounted(photograph, colour, sides)) == COLOUR

"""Borders of prints and scans are found, stay gray, and do not steer the colours inside."""

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.data import astronaut, camera, chelsea, coffee, rocket
from tiny import gray_photograph

from pipeline.colorize.borders import border_of
from pipeline.colorize.colorizer import Colorizer
from pipeline.images import prepare
from pipeline.images.photographs import Photograph

PHOTOGRAPHS = [np.asarray(Image.fromarray(each).convert("L")) for each in (astronaut(), chelsea(), coffee(), rocket())]
PHOTOGRAPHS.append(camera())


def framed(levels, tone, widths, seed=0):
    """A photograph in a noisy border that is (top, bottom, left, right) pixels wide and uneven in tone."""
    top, bottom, left, right = widths
    height, width = levels.shape
    full = np.full((height + top + bottom, width + left + right), float(tone))
    full += 8 * np.linspace(-1, 1, full.shape[1]) + np.random.default_rng(seed).normal(0, 3, full.shape)
    full[top : top + height, left : left + width] = levels
    return np.clip(full, 0, 255).astype(np.uint8)


def found(levels):
    return border_of(prepare.lightness(Photograph(levels), (224, 224)))


@pytest.mark.parametrize("levels", PHOTOGRAPHS)
def test_photographs_have_no_border(levels):
    assert found(levels) == found(levels[::-1].T) == (0, 0, 0, 0)
    assert found(np.full((100, 100), 200, np.uint8)) == (0, 0, 0, 0)


@pytest.mark.parametrize("tone", [240, 15])
@pytest.mark.parametrize("widths", [(30, 30, 30, 30), (20, 60, 25, 40), (0, 30, 30, 30)])
def test_borders_are_found(tone, widths):
    levels = framed(PHOTOGRAPHS[1], tone, widths)
    expected = [width * 224 / side for width, side in zip(widths, np.repeat(levels.shape, 2), strict=True)]
    assert np.abs(np.subtract(found(levels), expected)).max() <= 2.5


def test_one_or_two_sides_alone_are_no_border():
    for widths in ((40, 0, 0, 0), (40, 40, 0, 0), (0, 0, 30, 30)):
        assert found(framed(PHOTOGRAPHS[0], 240, widths)) == (0, 0, 0, 0)


@pytest.mark.parametrize("tone", [240, 15])
def test_the_colours_inside_are_those_without_the_border_which_stays_gray(tone):
    colorizer = Colorizer.load()
    levels = PHOTOGRAPHS[2]
    inside = slice(25, -25), slice(25, -25)
    own = rgb2lab(colorizer(levels))
    lab = rgb2lab(colorizer(framed(levels, tone, (25, 25, 25, 25))))
    assert deltaE_ciede2000(lab[inside], own).mean() < 2
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    assert chroma[inside].mean() > 5
    chroma[inside] = 0
    assert chroma[:20].max() < 1 and chroma[:, :20].max() < 1 and chroma.sum() / (chroma > 0).sum() < 1


def test_depth_alpha_and_reduced_photographs_have_the_same_border():
    colorizer = Colorizer.load()
    levels = cv2.resize(framed(PHOTOGRAPHS[0], 240, (40, 40, 40, 40)), None, fx=2, fy=2)
    coloured = colorizer(levels).astype(int)
    deep = colorizer(levels.astype(np.uint16) * 257)
    assert np.abs(deep / 257 - coloured).mean() < 1
    with_alpha = colorizer(levels, np.full_like(levels, 255)).astype(int)
    with_reduced = colorizer(levels, None, cv2.resize(levels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    for other in (with_alpha, with_reduced):
        assert np.abs(other - coloured).mean() < 1.5 and np.ptp(other[:40], axis=-1).max() < 3
    assert colorizer.ab(levels).shape == (*levels.shape, 2)


def test_a_photograph_of_few_pixels_is_coloured():
    for shape in ((1, 1), (3, 500), (9, 9)):
        assert Colorizer.load()(gray_photograph(*shape)).shape == (*shape, 3)

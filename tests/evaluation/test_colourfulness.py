"""Colourfulness and chroma against their formulas."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_metrics import pictures

from pipeline.evaluation import metrics


def test_colourfulness_by_hand():
    # Two pixels, (200, 100, 50) and (0, 100, 150): rg 100 and -100, yb 100 and -100.
    opposite = np.array([[200, 100, 50], [0, 100, 150]], np.uint8)
    # (200, 100, 0) and (100, 100, 100): rg 100 and 0, yb 150 and 0; nothing negative, so both variants agree.
    one_sided = np.array([[200, 100, 0], [100, 100, 100]], np.uint8)
    shown = np.stack([opposite, one_sided])[:, None]
    both = math.hypot(50, 75) + 0.3 * math.hypot(50, 75)
    np.testing.assert_allclose(metrics.colourfulness(shown), [100 * math.sqrt(2), both], rtol=1e-14)
    absolute = metrics.colourfulness(shown, absolute=True)
    np.testing.assert_allclose(absolute, [0.3 * 100 * math.sqrt(2), both], rtol=1e-14)


def test_colourfulness_and_chroma_of_one_colour():
    for absolute in (False, True):
        flat = np.broadcast_to(np.array([[[[7, 7, 7]]], [[[30, 10, 50]]]], np.uint8), (2, 5, 7, 3))
        expected = [0, 0.3 * math.hypot(20, 30)]
        assert metrics.colourfulness(flat, absolute).tolist() == pytest.approx(expected, rel=1e-14)
    ab = np.broadcast_to(np.array([[[[128, 128]]], [[[131, 124]]]], np.uint8), (2, 5, 7, 2))
    assert metrics.chroma(ab).tolist() == [0, 5]
    assert metrics.chroma(ab + 0.5).tolist() == pytest.approx([math.hypot(0.5, 0.5), math.hypot(3.5, 3.5)])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_colourfulness_is_the_formula(seed):
    rgb = pictures(seed)
    for absolute in (False, True):
        for image, value in zip(rgb.astype(float), metrics.colourfulness(rgb, absolute), strict=True):
            red, green, blue = image[..., 0], image[..., 1], image[..., 2]
            rg, yb = red - green, (red + green) / 2 - blue
            if absolute:
                rg, yb = np.abs(rg), np.abs(yb)
            deviation, bias = math.hypot(rg.std(), yb.std()), math.hypot(rg.mean(), yb.mean())
            assert value == pytest.approx(deviation + 0.3 * bias, rel=1e-12)
    gray = np.repeat(rgb[..., :1], 3, axis=-1)
    assert metrics.colourfulness(gray).tolist() == [0] * 3

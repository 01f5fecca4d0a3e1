"""The effect of each setting of a sweep."""

import math

import numpy as np
from PIL import Image

from pipeline.figures.effects import draw, means_of


def scored(**values):
    return [({"rate": rate, "mirror": mirror}, (value, None, None)) for (rate, mirror), value in values["of"].items()]


def test_means_are_over_what_every_value_has_a_score_with():
    points = scored(of={("1", "yes"): 4.0, ("2", "yes"): 6.0, ("1", "no"): 1.0})
    assert means_of("rate", ["1", "2"], points) == [4.0, 6.0]
    assert means_of("mirror", ["yes", "no"], points) == [4.0, 1.0]
    assert means_of("rate", ["1", "2"], points[1:]) == []


def test_a_figure_has_a_panel_for_each_setting_and_no_scores_are_said(tmp_path):
    points = scored(of={("1", "yes"): 4.0, ("2", "yes"): 6.0, ("1", "no"): 1.0, ("2", "no"): math.nan})
    draw(tmp_path / "some.png", points, "rmse", "rates")
    draw(tmp_path / "none.png", [(values, (math.nan, None, None)) for values, _ in points], "rmse", "rates")
    text = (tmp_path / "some.svg").read_text()
    assert "1 without score" in text and "mirror" in text
    assert (tmp_path / "none.svg").read_text().count("no scores yet") == 2
    pictures = [np.asarray(Image.open(tmp_path / f"{name}.png").convert("L")) for name in ("some", "none")]
    assert (pictures[0] < 128).sum() > 1000 and not np.array_equal(*pictures)

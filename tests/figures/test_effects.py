"""The effect of each setting of a sweep."""

import math

import numpy as np
from PIL import Image

from pipeline.figures import style
from pipeline.figures.effects import draw, means_of


def scored(**values):
    return [({"rate": rate, "mirror": mirror}, (value, None, None)) for (rate, mirror), value in values["of"].items()]


def test_means_are_over_what_every_value_has_a_score_with():
    points = scored(of={("1", "yes"): 4.0, ("2", "yes"): 6.0, ("1", "no"): 1.0})
    assert means_of("rate", ["1", "2"], points) == [4.0, 6.0]
    assert means_of("mirror", ["yes", "no"], points) == [4.0, 1.0]
    assert means_of("rate", ["1", "2"], points[1:]) == []


def test_a_line_joins_the_means_but_not_those_of_listed_runs(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(style, "save", lambda figure, path: drawn.append(figure))
    points = scored(of={("1", "yes"): 4.0, ("2", "yes"): 6.0, ("1", "no"): 1.0, ("2", "no"): 2.0})
    points = [({"run": values["mirror"], "rate": values["rate"]}, ends) for values, ends in points]
    draw(tmp_path / "some.png", points, "rmse", "rates")
    means = [[line for line in axes.lines if line.get_color() == style.BLUE] for axes in drawn[0].axes]
    assert [[line.get_linestyle() for line in lines] for lines in means] == [["None"], ["-"]]
    assert [list(line.get_ydata()) for (line,) in means] == [[5.0, 1.5], [2.5, 4.0]]


def test_the_note_names_means_only_where_there_are_other_settings(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(style, "save", lambda figure, path: drawn.append(figure))
    both = scored(of={("1", "yes"): 4.0, ("2", "yes"): 6.0, ("1", "no"): 1.0})
    runs = [({"run": name}, (value, None, None)) for name, value in (("one", 4.0), ("other", 6.0))]
    ranges = [({"rate": f"{i}e-3", "power": f"0.{i:02}"}, (float(i), None, None)) for i in range(1, 11)]
    for points in (both, runs, ranges):
        draw(tmp_path / "some.png", points, "rmse", "rates")
    notes = [" ".join(text.get_text() for text in figure.texts) for figure in drawn]
    assert ["mean over other settings" in note for note in notes] == [True, False, False]
    assert all("bars: 95 %" in note for note in notes)


def test_a_figure_has_a_panel_for_each_setting_and_no_scores_are_said(tmp_path):
    points = scored(of={("1", "yes"): 4.0, ("2", "yes"): 6.0, ("1", "no"): 1.0, ("2", "no"): math.nan})
    draw(tmp_path / "some.png", points, "rmse", "rates")
    draw(tmp_path / "none.png", [(values, (math.nan, None, None)) for values, _ in points], "rmse", "rates")
    text = (tmp_path / "some.svg").read_text()
    assert "1 without score" in text and "mirror" in text
    assert (tmp_path / "none.svg").read_text().count("no scores yet") == 2
    pictures = [np.asarray(Image.open(tmp_path / f"{name}.png").convert("L")) for name in ("some", "none")]
    assert (pictures[0] < 128).sum() > 1000 and not np.array_equal(*pictures)

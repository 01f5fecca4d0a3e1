"""The figure of all runs against their settings."""

from dataclasses import replace

import numpy as np
import pytest
from drawings import NOTHING, inside, legend, point, texts

from pipeline.figures import sweeps

BASELINES = {("majority", "accuracy"): 0.51, ("mean", "ciede2000"): 12.5, ("gray", "ciede2000"): 14.0}
pytestmark = pytest.mark.filterwarnings("error")


def marks(axes) -> list:
    """What is drawn of each run: all but the reference lines."""
    return [line for line in axes.lines if line.get_marker() != "None"]


def test_sweep_draws_each_run_against_each_setting(tmp_path, drawn):
    points = [
        point("a", learning_rate="1e-2"),
        point("b", learning_rate="1e-4", l2="0", accuracy=(0.5, None, None), ciede2000=(13.0, None, None)),
        point("c", architecture="arch1", l2="1e-1", embedding=False),
    ]
    sweeps.sweep(tmp_path / "s.png", "photographs", points, BASELINES)
    accuracy, ciede2000 = drawn[0].axes[:3], drawn[0].axes[3:]
    for field, row in enumerate((accuracy, ciede2000)):
        assert "validation" in row[0].get_ylabel()
        for axes in row:
            # Sorted by architecture: c, a, b.
            expected = [points[i].scores[field][0] for i in (2, 0, 1)]
            assert [line.get_ydata()[0] for line in marks(axes)] == expected
            ends = [tuple(bar.get_segments()[0][:, 1]) for bar in axes.collections]
            assert ends == [points[0].scores[field][1:]] * 2, "b has no interval"
    rates, penalties, names = ciede2000
    ticks = [
        dict(zip([t.get_text() for t in axes.get_xticklabels()], axes.get_xticks(), strict=True)) for axes in ciede2000
    ]
    assert ticks[0] == pytest.approx({"1e-4": -4, "1e-3": -3, "1e-2": -2})
    assert ticks[1] == pytest.approx({"0": -3, "1e-2": -2, "1e-1": -1})
    assert [line.get_xdata()[0] for line in marks(penalties)] == pytest.approx(
        [ticks[1]["1e-1"], ticks[1]["1e-2"], ticks[1]["0"]]
    )
    assert list(ticks[2]) == ["arch1", "base"]
    looks = {(line.get_markeredgecolor(), line.get_marker()) for line in marks(names)}
    assert looks == set(sweeps.LOOKS[:2])
    assert [line.get_ydata()[0] for line in rates.lines if line not in marks(rates)] == [12.5, 14.0]
    (box,) = drawn[0].legends
    assert set(legend(box)) == {
        "arch1",
        "base",
        "open: without embedding",
        "95 % interval",
        "the more frequent channel everywhere: 0.5100",
        "the training images' mean colour: 12.50",
        "gray everywhere: 14.00",
    }
    assert texts(drawn[0])[0] == "3 runs, validation images of photographs"


def test_points_of_one_setting_stand_side_by_side(tmp_path, drawn):
    runs = [point(f"r{i:02}") for i in range(16)] + [point("other", learning_rate="1e-2")]
    sweeps.sweep(tmp_path / "s.png", "photographs", runs)
    sweeps.sweep(tmp_path / "t.png", "photographs", runs[::-1])
    first, second = ([line.get_xdata()[0] for line in marks(figure.axes[0])] for figure in drawn)
    assert first == second, "the order of runs does not matter"
    places = first[1:]  # sorted by run: "other" comes first
    assert len(set(places)) == 16 and np.mean(places) == pytest.approx(-3)
    assert max(places) - min(places) < 1, "less than the way to the next learning rate"


def test_a_diverged_run_is_a_cross_at_the_bad_edge(tmp_path, drawn):
    sweeps.sweep(tmp_path / "s.png", "photographs", [point("a"), point("b", accuracy=NOTHING, ciede2000=NOTHING)])
    for axes, edge in zip(drawn[0].axes, (0, 0, 0, 1, 1, 1), strict=True):
        cross = next(line for line in marks(axes) if line.get_marker() == "X")
        assert cross.get_ydata()[0] == edge and cross.get_transform() == axes.get_xaxis_transform()
    assert "diverged: not a number" in legend(drawn[0].legends[0])
    sweeps.sweep(tmp_path / "t.png", "photographs", [point("b", accuracy=NOTHING, ciede2000=NOTHING, l2="0")])
    assert {text for axes in drawn[1].axes for text in texts(axes)} == {"not a number\nin any run"}


def test_runs_with_other_settings_are_marked(tmp_path, drawn):
    points = [point("a"), replace(point("b"), differs=True), replace(point("c", accuracy=NOTHING), differs=True)]
    sweeps.sweep(tmp_path / "s.png", "photographs", points)
    first, second = (
        [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "+"] for axes in drawn[0].axes[::3]
    )
    assert len(first) == 1 and len(second) == 2
    assert "other epochs or settings" in legend(drawn[0].legends[0])
    assert "runs marked + have other epochs or settings than most" in " ".join(texts(drawn[0]))
    sweeps.sweep(tmp_path / "t.png", "photographs", points[:1])
    assert "marked" not in " ".join(texts(drawn[1]))


def test_sweep_of_nothing_says_so(tmp_path, drawn):
    sweeps.sweep(tmp_path / "s.png", "photographs", [])
    assert {text for axes in drawn[0].axes for text in texts(axes)} == {"no runs"}


def test_long_names_and_many_architectures_stay_on_the_figure(tmp_path, drawn):
    long = [point("run_" * 60 + str(i), architecture="architecture_" * 9 + str(i), l2=str(i * 0.01)) for i in range(12)]
    sweeps.sweep(tmp_path / "s.png", "photographs", long, BASELINES, "title " * 60)
    assert inside(drawn[0])
    box = drawn[0].legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= drawn[0].bbox.width and box.y0 >= 0
    assert box.y1 < min(axes.get_tightbbox().y0 for axes in drawn[0].axes)


def test_architectures_differ_by_colour_and_marker():
    assert len({colour for colour, _ in sweeps.LOOKS}) == len({marker for _, marker in sweeps.LOOKS}) == 7

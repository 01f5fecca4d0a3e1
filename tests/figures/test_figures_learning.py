"""Learning curves: epochs, baselines, and the end of a run."""

import math

import numpy as np
import pytest
from drawings import history, inside, legend, texts

from pipeline.config import paper
from pipeline.figures import learning

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("epochs", [1, 12, 2500])
def test_curves_show_every_epoch(tmp_path, drawn, epochs):
    learning.curves(tmp_path / "c.png", history(epochs), "run", 0.51, paper.RUNS["base_lr1e-4"], "note")
    loss, accuracy = drawn[0].axes
    assert [len(line.get_xdata()) for line in loss.lines] == [epochs] * 2
    assert {line.get_marker() for line in loss.lines} == ({"o", "s"} if epochs < 40 else {""})
    assert loss.get_yscale() == "linear"
    np.testing.assert_array_equal(accuracy.lines[1].get_ydata(), [row["val_accuracy"] for row in history(epochs)])
    assert "note" in texts(drawn[0])


def test_majority_and_paper_are_named_with_their_numbers(tmp_path, drawn):
    learning.curves(tmp_path / "c.png", history(5), "run", 0.5123, paper.RUNS["base_lr1e-4"])
    learning.curves(tmp_path / "d.png", history(5), "run", 0.5123, paper.RUNS["base_lr1e-2_bs50"])
    labels = [legend(figure.axes[1].get_legend()) for figure in drawn]
    common = ["training", "validation", "the more frequent channel everywhere, validation: 0.5123"]
    assert labels == [[*common, "the paper, validation: 0.5735"], common]
    low, high = drawn[0].axes[1].get_ylim()
    assert low < 0.5123 and high > paper.RUNS["base_lr1e-4"].validation


def test_a_wide_loss_is_drawn_on_a_logarithmic_axis(tmp_path, drawn):
    learning.curves(tmp_path / "c.png", history(20, scale=1000), "run", 0.5)
    assert drawn[0].axes[0].get_yscale() == "log"


def test_a_loss_over_many_decades_names_few_of_them(tmp_path, drawn):
    rows = history(9)
    for row in rows:
        row["loss"] *= 10.0 ** row["epoch"]
    learning.curves(tmp_path / "c.png", rows, "run", 0.5)
    axes = drawn[0].axes[0]
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "log" and len([tick for tick in axes.get_yticks() if low <= tick <= high]) <= 12


def test_a_history_without_numbers_says_so(tmp_path, drawn):
    nothing = [dict.fromkeys(history(1)[0], math.nan) | {"epoch": epoch} for epoch in (1, 2)]
    nothing[1]["loss"] = math.inf
    learning.curves(tmp_path / "c.png", nothing, "run", math.nan)
    learning.curves(tmp_path / "d.png", [], "run", math.nan)
    assert [texts(axes) for axes in drawn[0].axes] == [["not a number in any epoch"]] * 2
    assert [texts(axes) for axes in drawn[1].axes] == [["no epochs"]] * 2


def test_a_diverged_loss_stops_but_accuracy_continues(tmp_path, drawn):
    rows = history(6)
    for row in rows[3:]:
        row["loss"] = row["val_loss"] = math.nan
    learning.curves(tmp_path / "c.png", rows, "run", 0.5)
    loss, accuracy = drawn[0].axes
    assert np.isfinite(loss.lines[0].get_ydata()).tolist() == [True] * 3 + [False] * 3
    assert np.isfinite(accuracy.lines[0].get_ydata()).all()


@pytest.mark.parametrize(("epochs", "finite"), [(1, False), (1, True), (7, True), (0, True)])
def test_where_a_run_ended_is_marked_at_its_last_epoch(tmp_path, drawn, epochs, finite):
    rows = history(epochs)
    if rows:
        rows[-1] = rows[-1] if finite else dict.fromkeys(rows[-1], math.nan) | {"epoch": epochs}
    learning.curves(tmp_path / "c.png", rows, "run", 0.5, ended="diverged in epoch 9, by step 11")
    assert inside(drawn[0])
    for axes in drawn[0].axes:
        assert texts(axes)[-1] == "diverged in epoch 9, by step 11"
        assert [line for line in axes.lines if list(line.get_xdata()) == [epochs, epochs]], "a line at the last epoch"
        low, high = axes.get_xlim()
        assert low < epochs < high
        assert all(tick <= epochs for tick in axes.get_xticks())
        box = axes.texts[-1].get_window_extent()
        assert box.x0 > axes.transData.transform((epochs, 0))[0], "right of the line, where no curve is"
        assert axes.bbox.y0 <= box.y0 and box.y1 <= axes.bbox.y1

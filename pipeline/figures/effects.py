"""The effect of each setting of a sweep, as small multiples."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from pipeline.config.sweeps import RUN
from pipeline.evaluation.vocabulary import term
from pipeline.figures import style

Ends = tuple[float, float | None, float | None]  # a value, and the ends of its 95 % interval or None

ACROSS = 4  # panels in a row
MOST_PLACES = 8  # values of a setting, each with a place of its own
LONGEST = 12  # characters of a value's label
SPREAD = 0.5  # share of the distance between two values over which combinations are spread


def draw(path: Path, scored: Sequence[tuple[Mapping[str, str], Ends]], metric: str, what: str) -> None:
    """Draw a panel for each setting: a point for each combination, and the mean of each value in blue.

    A mean is over those values of the other settings with which every value of this one has a score, so that means can
    be compared. A line joins the means, except those of listed runs. Combinations without a finite score are left out,
    and the note says how many.

    Args:
        path: PNG to write; an SVG is written beside it.
        scored: of each combination, the labels of its settings' values, and its score.
        metric: of the scores.
        what: the title's beginning, such as "sweep rates".
    """
    settings = list(scored[0][0]) or ["seeds"]
    known = [(values or {"seeds": "all"}, ends) for values, ends in scored if math.isfinite(ends[0])]
    rows, columns = math.ceil(len(settings) / ACROSS), min(len(settings), ACROSS)
    missing = len(scored) - len(known)
    means = len(settings) > 1 and not all(_numbers(values[setting] for values, _ in known) for setting in settings)
    note = f"{term(metric).better} is better{'; blue: mean over other settings' * means}; bars: 95 %"
    with style.style():
        title = f"{what.capitalize()}: {term(metric).label} on the validation images"
        note += f"; {missing} without score" * bool(missing)
        figure = style.page(max(7, 4 * columns), 1 + 3.5 * rows, title, note)
        panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        for axes, setting in zip(panels, settings, strict=False):
            _panel(axes, setting, known)
        for axes in panels[len(settings) :]:
            axes.set_axis_off()
        for axes in panels[::columns]:
            axes.set_ylabel(term(metric).label)
        style.save(figure, path)


def _panel(axes: Axes, setting: str, scored: Sequence[tuple[Mapping[str, str], Ends]]) -> None:
    points = [(values[setting], ends) for values, ends in scored]
    axes.set_title(style.shortened(setting, 30))
    if not points:
        axes.set_xticks([])
        style.say(axes, "no scores yet")
        return
    if numbers := _numbers(label for label, _ in points):
        _on_axis(axes, numbers, [ends for _, ends in points])
        return
    labels = list(dict.fromkeys(sorted((label for label, _ in points), key=_order)))
    for place, label in enumerate(labels):
        here = [ends for other, ends in points if other == label]
        offsets = (np.arange(len(here)) + 0.5) / len(here) * SPREAD - SPREAD / 2
        for offset, (value, low, high) in zip(offsets, here, strict=True):
            if low is not None and high is not None:
                axes.vlines(place + offset, low, high, color=style.FAINT, linewidth=1)
            axes.plot([place + offset], [value], "o", color=style.FAINT, markersize=4)
    if means := means_of(setting, labels, scored):
        axes.plot(range(len(labels)), means, "o" if setting == RUN else "o-", color=style.BLUE, linewidth=2)
    axes.set_xticks(range(len(labels)), [style.shortened(label, LONGEST) for label in labels])
    axes.set_xlim(-0.6, len(labels) - 0.4)


def _numbers(labels: Iterable[str]) -> list[float]:
    """Return the values of a setting as numbers, if they are so many that they must come from a range."""
    labels = list(labels)
    try:
        return [float(label) for label in labels] if len(set(labels)) > MOST_PLACES else []
    except ValueError:
        return []


def _on_axis(axes: Axes, numbers: Sequence[float], ends: Sequence[Ends]) -> None:
    """Draw points at numbers, on a logarithmic axis if they span more than a decade."""
    for number, (value, low, high) in zip(numbers, ends, strict=True):
        if low is not None and high is not None:
            axes.vlines(number, low, high, color=style.FAINT, linewidth=1)
        axes.plot([number], [value], "o", color=style.BLUE, markersize=4)
    if 0 < 10 * min(numbers) < max(numbers):
        axes.set_xscale("log")


def means_of(setting: str, labels: Sequence[str], scored: Sequence[tuple[Mapping[str, str], Ends]]) -> list[float]:
    """Return the mean score of each value of a setting; none if no values of the others are there with all of them."""
    by_others: dict[tuple[str, ...], dict[str, float]] = {}
    for values, ends in scored:
        others = tuple(value for key, value in values.items() if key != setting)
        by_others.setdefault(others, {})[values[setting]] = ends[0]
    complete = [found for found in by_others.values() if len(found) == len(labels)]
    return [float(np.mean([found[label] for found in complete])) for label in labels] if complete else []


def _order(label: str) -> tuple[bool, float]:
    """Numbers come first, in their order."""
    try:
        return False, float(label)
    except ValueError:
        return True, 0.0

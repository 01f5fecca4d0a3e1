"""Scores of all runs against their settings."""

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from pipeline.config.runs import Run, spell
from pipeline.evaluation.predictors import BASELINES, GRAY, MAJORITY, MEAN
from pipeline.evaluation.vocabulary import number, term
from pipeline.figures import style

Interval = tuple[float, float | None, float | None]  # a value, and the ends of its 95 % interval or None

LOOKS = (  # colour and marker of each architecture
    (style.BLUE, "o"),
    (style.ORANGE, "s"),
    (style.GREEN, "^"),
    (style.PURPLE, "D"),
    (style.VERMILION, "v"),
    (style.SKY, "P"),
    (style.INK, "<"),
)
BAND = "#F2F2F2"
LONGEST_NAME = 24  # characters of an architecture's name in the legend
METRICS = ("accuracy", "ciede2000")  # a row of panels each
LINES: tuple[tuple[str, str, LineStyleType], ...] = (  # the baselines drawn: answer, metric, look
    (MAJORITY, "accuracy", ":"),
    (MEAN, "ciede2000", "--"),
    (GRAY, "ciede2000", "-."),
)
_Line = tuple[str, float, LineStyleType]  # label, value, look
PLUS: dict[str, Any] = {"linestyle": "none", "marker": "+", "markersize": 14, "color": style.INK}
BESIDE = 0.09  # largest distance between points of one setting, in decades or architectures


@dataclass(frozen=True)
class SweepPoint:
    """A run and its scores on the validation partition.

    Attributes:
        name: the run's name.
        run: its settings.
        scores: by `METRICS`; nan for a diverged run.
        differs: whether it was trained or scored with other settings than most runs, besides those in its name.
    """

    name: str
    run: Run
    scores: tuple[Interval, ...]
    differs: bool = False


class _Axis(NamedTuple):
    """The horizontal axis of a setting: one step is a decade or an architecture."""

    name: str
    position: Callable[[Run], float]
    ticks: Mapping[float, str]


def sweep(
    path: Path,
    dataset: str,
    points: Sequence[SweepPoint],
    baselines: Mapping[tuple[str, str], float] | None = None,
    title: str = "",
) -> None:
    """Draw accuracy and CIEDE2000 on the validation partition against learning rate, l2 and architecture.

    Points of the same setting are drawn side by side. A score that is not a number is a cross at the worse edge of the
    panel. Runs that `differs` marks have a plus.

    Args:
        path: PNG to write; an SVG is written beside it.
        dataset: its name, for the default title.
        points: one per run.
        baselines: scores on the validation partition, by answer and metric; `LINES` are drawn.
        title: heading.
    """
    points = sorted(points, key=lambda point: (point.run.architecture, not point.run.embedding, point.name))
    architectures = sorted({point.run.architecture for point in points})
    looks = {name: LOOKS[i % len(LOOKS)] for i, name in enumerate(architectures)}
    settings = _axes(points, architectures)
    lines = {metric: _lines(metric, baselines or {}) for metric in METRICS}
    default = f"{len(points)} {'run' if len(points) == 1 else 'runs'}, validation images of {dataset}"
    with style.style():
        figure = style.page(15, 9.5, title or default, _remark(points))
        panels = figure.subplots(len(METRICS), 3, sharex="col", sharey="row")
        for column, setting in enumerate(settings):
            positions = [setting.position(point.run) for point in points]
            places = _side_by_side(positions)
            for row, metric in enumerate(METRICS):
                scores = [point.scores[row] for point in points]
                bad_edge = 0 if term(metric).better == "higher" else 1
                _panel(panels[row, column], places, scores, points, looks, lines[metric], bad_edge)
                panels[row, column].tick_params(labelbottom=row == len(METRICS) - 1)
            lower = panels[-1, column]
            lower.set_xlabel(setting.name)
            lower.set_xticks(list(setting.ticks), list(setting.ticks.values()))
            if places:
                lower.set_xlim(min(places) - 0.5, max(places) + 0.5)
            _bands(panels[:, column], positions, places)
        for row, metric in enumerate(METRICS):
            panels[row, 0].set_ylabel(f"{term(metric).label}, validation\n({term(metric).better} is better)")
        handles = _legend(points, looks, settings[-1], [line for metric in METRICS for line in lines[metric]])
        if handles:
            figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)), frameon=False)
        style.save(figure, path)


def _lines(metric: str, baselines: Mapping[tuple[str, str], float]) -> list[_Line]:
    """Return the baselines' lines in a row of panels, without baselines that have no score."""
    values = [(answer, baselines.get((answer, metric), math.nan), look) for answer, of, look in LINES if of == metric]
    return [
        (f"{BASELINES[answer].meaning}: {number(value, metric)}", value, look)
        for answer, value, look in values
        if math.isfinite(value)
    ]


def _axes(points: Sequence[SweepPoint], architectures: Sequence[str]) -> list[_Axis]:
    rates = [float(point.run.learning_rate) for point in points]
    penalties = [float(point.run.l2) for point in points]
    # 0 has no logarithm: draw it one decade left of the smallest penalty.
    zero = math.floor(min((math.log10(value) for value in penalties if value > 0), default=1.0)) - 1.0
    l2_ticks = _ticks(penalties) | ({zero: "0"} if 0 in penalties else {})
    # Long names appear in the legend only.
    short = all(len(name) <= 12 for name in architectures) and len(architectures) <= 5
    names = {float(i): style.shortened(name, 12) if short else str(i + 1) for i, name in enumerate(architectures)}
    return [
        _Axis("learning rate (log scale)", lambda run: math.log10(float(run.learning_rate)), _ticks(rates)),
        _Axis("l2 (log scale)", lambda run: math.log10(float(run.l2)) if float(run.l2) > 0 else zero, l2_ticks),
        _Axis("architecture", lambda run: float(architectures.index(run.architecture)), names),
    ]


def _ticks(values: Sequence[float]) -> dict[float, str]:
    """Ticks at the positive values, or at powers of ten if the values are many or close together."""
    positive = sorted({value for value in values if value > 0})
    if not positive:
        return {}
    pairs = itertools.pairwise(positive)
    if len(positive) > 8 or any(math.log10(right / left) < 0.4 for left, right in pairs):
        powers = range(math.floor(math.log10(positive[0])), math.ceil(math.log10(positive[-1])) + 1)
        positive = [10.0**power for power in powers[:: math.ceil(len(powers) / 8)]]
    return {math.log10(value): spell(value) for value in positive}


def _side_by_side(positions: Sequence[float]) -> list[float]:
    """Spread equal positions evenly around their value."""
    counts, placed = Counter(positions), Counter[float]()
    step = min(BESIDE, 0.7 * _gap(positions) / max(counts.values(), default=1))
    beside = []
    for position in positions:
        beside.append(position + (placed[position] - (counts[position] - 1) / 2) * step)
        placed[position] += 1
    return beside


def _gap(positions: Sequence[float]) -> float:
    """Return the smallest distance between different positions, at most 1."""
    return min([1.0, *(right - left for left, right in itertools.pairwise(sorted(set(positions))))])


def _panel(
    axes: Axes,
    places: Sequence[float],
    scores: Sequence[Interval],
    points: Sequence[SweepPoint],
    looks: Mapping[str, tuple[str, str]],
    lines: Sequence[_Line],
    bad_edge: float,
) -> None:
    for _, value, linestyle in lines:
        axes.axhline(value, color=style.INK, linestyle=linestyle, linewidth=1.5)
    for place, score, point in zip(places, scores, points, strict=True):
        colour, marker = looks[point.run.architecture]
        if math.isfinite(score[0]):
            if (ends := _ends(score)) is not None:
                axes.vlines(place, *ends, color=colour, linewidth=1.5)
            axes.plot([place], [score[0]], **_marker(colour, marker, point.run.embedding), zorder=3)
            if point.differs:
                axes.plot([place], [score[0]], **PLUS, zorder=5)
        else:
            transform = axes.get_xaxis_transform()
            axes.plot([place], [bad_edge], transform=transform, **_cross(colour), clip_on=False, zorder=4)
    if not lines and not any(math.isfinite(value) for value, _, _ in scores):
        axes.set_yticks([])
        style.say(axes, "not a number\nin any run" if points else "no runs")


def _ends(score: Interval) -> tuple[float, float] | None:
    _, low, high = score
    return (low, high) if low is not None and high is not None and math.isfinite(low + high) else None


def _marker(colour: str, marker: str, filled: bool) -> dict[str, Any]:
    inside = colour if filled else "white"
    edge = {"markeredgecolor": colour, "markeredgewidth": 1.5}
    return {"linestyle": "none", "marker": marker, "markersize": 8, "markerfacecolor": inside, **edge}


def _cross(colour: str) -> dict[str, Any]:
    return {"linestyle": "none", "marker": "X", "markersize": 10, "color": colour, "markeredgecolor": style.INK}


def _bands(panels: Sequence[Axes], positions: Sequence[float], places: Sequence[float]) -> None:
    """Shade the points of each setting, so that points side by side do not look like different settings."""
    groups = defaultdict(list)
    for position, place in zip(positions, places, strict=True):
        groups[position].append(place)
    margin = min(BESIDE / 2, 0.15 * _gap(positions))
    for axes in panels:
        axes.grid(False, axis="x")
        for group in groups.values():
            axes.axvspan(min(group) - margin, max(group) + margin, color=BAND, linewidth=0, zorder=0)


def _legend(
    points: Sequence[SweepPoint],
    looks: Mapping[str, tuple[str, str]],
    architectures: _Axis,
    lines: Sequence[_Line],
) -> list[Line2D]:
    handles = []
    for tick, (name, look) in zip(architectures.ticks.values(), looks.items(), strict=True):
        label = name if tick == name else f"{tick}: {name}"
        handles.append(Line2D([], [], **_marker(*look, True), label=style.shortened(label, LONGEST_NAME)))
    if not all(point.run.embedding for point in points):
        handles.append(Line2D([], [], **_marker(style.FAINT, "o", False), label="open: without embedding"))
    scores = [score for point in points for score in point.scores]
    if any(math.isfinite(score[0]) and _ends(score) for score in scores):
        stroke: dict[str, Any] = {"marker": "|", "markersize": 16, "markeredgewidth": 1.5, "color": style.FAINT}
        handles.append(Line2D([], [], **stroke, linestyle="none", label="95 % interval"))
    if any(point.differs for point in points):
        handles.append(Line2D([], [], **PLUS, label="other epochs or settings"))
    if not all(math.isfinite(score[0]) for score in scores):
        handles.append(Line2D([], [], **_cross("white"), label="diverged: not a number"))
    for label, _, linestyle in lines:
        handles.append(Line2D([], [], color=style.INK, linestyle=linestyle, linewidth=1.5, label=label))
    return handles


def _remark(points: Sequence[SweepPoint]) -> str:
    marked = any(point.differs for point in points)
    return "runs marked + have other epochs or settings than most" if marked else ""

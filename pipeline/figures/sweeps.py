"""Scores of all runs against their settings."""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from pipeline.figures import style

Interval = tuple[float, float | None, float | None]  # a value, and the ends of its 95 % interval or None

LOOKS = (  # of the architectures: told by colour and by marker
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
_Reference = tuple[str, float | None, LineStyleType]  # an answer, its score and how its line is drawn
BESIDE = 0.09  # between points that would lie on each other, in decades or architectures; less if there are many


@dataclass(frozen=True)
class SweepPoint:
    """A run's settings and its scores on the validation partition.

    Attributes:
        run: its name.
        dataset: on which it was trained and scored.
        architecture: its network's name.
        learning_rate: more than 0.
        l2: weight of the L2 penalty, 0 or more.
        batch_size: images.
        seed: of the training.
        embedding: whether the network takes the embedding.
        accuracy: 0..1; nan for a diverged run.
        ciede2000: mean over images, 0 or more; nan for a diverged run.
    """

    run: str
    dataset: str
    architecture: str
    learning_rate: float
    l2: float
    batch_size: int
    seed: int
    embedding: bool
    accuracy: Interval
    ciede2000: Interval


@dataclass(frozen=True)
class _Ruler:
    """Where a setting stands on a panel's horizontal axis: one step is a decade or an architecture."""

    name: str
    position: Callable[[SweepPoint], float]
    ticks: Mapping[float, str]


def sweep(
    path: Path,
    points: Sequence[SweepPoint],
    title: str = "",
    *,
    majority: float | None = None,
    mean_ciede2000: float | None = None,
    gray_ciede2000: float | None = None,
) -> None:
    """Draw accuracy and CIEDE2000 on the validation partition against learning rate, l2 and architecture.

    Points that would lie on each other are set side by side. A score that is not a number is a cross at the panel's
    bad edge: the lower one for accuracy, the upper one for CIEDE2000.

    Args:
        path: PNG to write; an SVG is written beside it.
        points: one per run, all of one dataset.
        title: heading; empty for one that names the dataset.
        majority: accuracy of the majority answer, validation partition.
        mean_ciede2000: CIEDE2000 of the training images' mean colour, validation partition.
        gray_ciede2000: CIEDE2000 of the gray answer, validation partition.
    """
    datasets = sorted({point.dataset for point in points})
    if len(datasets) > 1:
        raise ValueError(f"expected runs of one dataset, received {', '.join(datasets)}")
    points = sorted(points, key=lambda point: (point.architecture, not point.embedding, point.run))
    architectures = sorted({point.architecture for point in points})
    looks = {name: LOOKS[i % len(LOOKS)] for i, name in enumerate(architectures)}
    rulers = _rulers(points, architectures)
    accuracy_lines: list[_Reference] = [("majority answer", majority, ":")]
    ciede2000_lines: list[_Reference] = [
        ("training images' mean colour", mean_ciede2000, "--"),
        ("gray answer", gray_ciede2000, "-."),
    ]
    default = f"{len(points)} {'run' if len(points) == 1 else 'runs'}, validation images of {', '.join(datasets)}"
    with style.style():
        figure = style.page(15, 9.5, title or default, _extremes(points))
        panels = figure.subplots(2, 3, sharex="col", sharey="row")
        for column, ruler in enumerate(rulers):
            places = _side_by_side([ruler.position(point) for point in points])
            upper, lower = panels[0, column], panels[1, column]
            _panel(upper, places, [point.accuracy for point in points], points, looks, accuracy_lines, bad_edge=0)
            _panel(lower, places, [point.ciede2000 for point in points], points, looks, ciede2000_lines, bad_edge=1)
            upper.tick_params(labelbottom=False)
            lower.set_xlabel(ruler.name)
            lower.set_xticks(list(ruler.ticks), list(ruler.ticks.values()))
            if places:
                lower.set_xlim(min(places) - 0.5, max(places) + 0.5)
            _bands((upper, lower), [ruler.position(point) for point in points], places)
        panels[0, 0].set_ylabel("accuracy, validation\n(more is better)")
        panels[1, 0].set_ylabel("CIEDE2000, validation\n(less is better)")
        handles = _legend(points, looks, rulers[-1], [*accuracy_lines, *ciede2000_lines])
        if handles:
            figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)), frameon=False)
        style.save(figure, path)


def _rulers(points: Sequence[SweepPoint], architectures: Sequence[str]) -> list[_Ruler]:
    rates = [point.learning_rate for point in points]
    penalties = [point.l2 for point in points]
    # No penalty has no logarithm: it stands one decade left of the smallest one.
    zero = math.floor(min((math.log10(value) for value in penalties if value > 0), default=1.0)) - 1.0
    l2_ticks = _ticks(penalties) | ({zero: "0"} if 0 in penalties else {})
    # Long names are written in the legend only.
    short = all(len(name) <= 12 for name in architectures) and len(architectures) <= 5
    names = {float(i): style.shortened(name, 12) if short else str(i + 1) for i, name in enumerate(architectures)}
    return [
        _Ruler("learning rate (log scale)", lambda point: math.log10(point.learning_rate), _ticks(rates)),
        _Ruler("l2 (log scale)", lambda point: math.log10(point.l2) if point.l2 > 0 else zero, l2_ticks),
        _Ruler("architecture", lambda point: float(architectures.index(point.architecture)), names),
    ]


def _ticks(values: Sequence[float]) -> dict[float, str]:
    """Ticks at the positive values, or, where these are many or close, at the powers of ten."""
    positive = sorted({value for value in values if value > 0})
    if not positive:
        return {}
    pairs = itertools.pairwise(positive)
    if len(positive) > 8 or any(math.log10(right / left) < 0.4 for left, right in pairs):
        powers = range(math.floor(math.log10(positive[0])), math.ceil(math.log10(positive[-1])) + 1)
        positive = [10.0**power for power in powers[:: math.ceil(len(powers) / 8)]]
    return {math.log10(value): _short(value) for value in positive}


def _short(value: float) -> str:
    """A positive number as 1e-3 or 2.5e-3."""
    mantissa, power = f"{value:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"


def _side_by_side(positions: Sequence[float]) -> list[float]:
    """The positions, equal ones spread evenly around their place, in the order of `positions`."""
    groups = defaultdict(list)
    for i, position in enumerate(positions):
        groups[position].append(i)
    largest = max((len(group) for group in groups.values()), default=1)
    step = min(BESIDE, 0.7 * _gap(positions) / largest)
    spread = list(positions)
    for position, group in groups.items():
        for order, i in enumerate(group):
            spread[i] = position + (order - (len(group) - 1) / 2) * step
    return spread


def _gap(positions: Sequence[float]) -> float:
    """The least distance between different positions, at most 1."""
    return min([1.0, *(right - left for left, right in itertools.pairwise(sorted(set(positions))))])


def _panel(
    axes: Axes,
    places: Sequence[float],
    scores: Sequence[Interval],
    points: Sequence[SweepPoint],
    looks: Mapping[str, tuple[str, str]],
    references: Sequence[_Reference],
    bad_edge: float,
) -> None:
    for _, value, linestyle in references:
        if value is not None and math.isfinite(value):
            axes.axhline(value, color=style.INK, linestyle=linestyle, linewidth=1.5)
    for place, score, point in zip(places, scores, points, strict=True):
        colour, marker = looks[point.architecture]
        if math.isfinite(score[0]):
            if (ends := _ends(score)) is not None:
                axes.vlines(place, *ends, color=colour, linewidth=1.5)
            axes.plot([place], [score[0]], **_marker(colour, marker, point.embedding), zorder=3)
        else:
            transform = axes.get_xaxis_transform()
            axes.plot([place], [bad_edge], transform=transform, **_cross(colour), clip_on=False, zorder=4)
    known = [value for _, value, _ in references if value is not None]
    if not any(math.isfinite(value) for value in [*known, *(score[0] for score in scores)]):
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
    """Shade what belongs to one setting, so that points set side by side are not taken for other settings."""
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
    architectures: _Ruler,
    references: Sequence[_Reference],
) -> list[Line2D]:
    handles = []
    for tick, (name, look) in zip(architectures.ticks.values(), looks.items(), strict=True):
        label = name if tick == name else f"{tick}: {name}"
        handles.append(Line2D([], [], **_marker(*look, True), label=style.shortened(label, LONGEST_NAME)))
    if not all(point.embedding for point in points):
        handles.append(Line2D([], [], **_marker(style.FAINT, "o", False), label="open: without embedding"))
    scores = [score for point in points for score in (point.accuracy, point.ciede2000)]
    if any(math.isfinite(score[0]) and _ends(score) for score in scores):
        stroke: dict[str, Any] = {"marker": "|", "markersize": 16, "markeredgewidth": 1.5, "color": style.FAINT}
        handles.append(Line2D([], [], **stroke, linestyle="none", label="95 % interval"))
    if not all(math.isfinite(score[0]) for score in scores):
        handles.append(Line2D([], [], **_cross("white"), label="diverged: not a number"))
    for name, value, linestyle in references:
        if value is not None and math.isfinite(value):
            label = f"{name}: {value:.4g}"
            handles.append(Line2D([], [], color=style.INK, linestyle=linestyle, linewidth=1.5, label=label))
    return handles


def _extremes(points: Sequence[SweepPoint]) -> str:
    """Whose scores are the highest and the lowest: not a claim that the difference is clear."""
    accurate = [point for point in points if math.isfinite(point.accuracy[0])]
    close = [point for point in points if math.isfinite(point.ciede2000[0])]
    parts = []
    if accurate:
        most = max(accurate, key=lambda point: point.accuracy[0])
        parts.append(f"highest accuracy: {style.shortened(most.run, 40)} ({most.accuracy[0]:.4f})")
    if close:
        least = min(close, key=lambda point: point.ciede2000[0])
        parts.append(f"lowest CIEDE2000: {style.shortened(least.run, 40)} ({least.ciede2000[0]:.2f})")
    return "; ".join(parts)

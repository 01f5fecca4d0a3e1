"""Learning curves: loss and accuracy by epoch."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from pipeline.config.paper import PaperRun
from pipeline.evaluation.predictors import BASELINES, MAJORITY
from pipeline.evaluation.vocabulary import number
from pipeline.figures import style

FEW_EPOCHS = 40  # up to this number each epoch gets a marker
BAND = 0.11  # width, in parts of a panel, of the band that says why a run ended
# A dark and a light colour, which differ in gray print too.
TRAIN: dict[str, Any] = {"label": "training", "color": style.BLUE, "linestyle": "-", "marker": "o"}
VALIDATION: dict[str, Any] = {"label": "validation", "color": style.ORANGE, "linestyle": "--", "marker": "s"}

History = Sequence[Mapping[str, float]]


def curves(
    path: Path,
    history: History,
    title: str,
    majority: float,
    paper: PaperRun | None = None,
    note: str = "",
    ended: str = "",
    loss: str = "squared error of a, b",
) -> None:
    """Draw loss and accuracy by epoch.

    Args:
        path: PNG to write; an SVG is written beside it.
        history: one row per epoch, with at least epoch, loss, accuracy, val_loss and val_accuracy.
        title: heading, for example the run's name.
        majority: accuracy, 0..1, of the majority baseline on the validation partition.
        paper: the paper's results; its validation accuracy is marked at the right edge.
        note: below the heading, for example "random embedding weights".
        ended: where and why the run ended early, for example "diverged in epoch 1, by step 11"; drawn at the last
            epoch.
        loss: the loss in words, without the penalty.
    """
    with style.style():
        figure = style.page(12, 5.6, title, note)
        left, right = figure.subplots(1, 2)
        _loss_panel(left, history, f"{loss} + L2 penalty")
        _accuracy_panel(right, history, majority, paper)
        for axes in (left, right):
            if ended:
                _mark_end(axes, history, ended)
            if axes.get_legend_handles_labels()[0]:
                style.legend_below(axes, 0.14)
            else:
                axes.set_yticks([])
        style.save(figure, path)


def _loss_panel(axes: Axes, history: History, label: str) -> None:
    axes.set_title("Loss")
    axes.set_ylabel("\n".join(textwrap.wrap(label, 50)))
    drawn = _lines(axes, history, "loss")
    if drawn.size and drawn.min() > 0 and drawn.max() > 10 * drawn.min():
        axes.set_yscale("log")
        # A diverging loss spans many decades: then label only the powers of ten.
        subs = (1, 2, 5) if drawn.max() < 1000 * drawn.min() else (1,)
        axes.yaxis.set_major_locator(LogLocator(subs=subs))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _accuracy_panel(axes: Axes, history: History, majority: float, paper: PaperRun | None) -> None:
    axes.set_title("Accuracy (pixels where the larger of a and b is right)")
    axes.set_ylabel("accuracy")
    _lines(axes, history, "accuracy")
    if math.isfinite(majority):
        label = f"{BASELINES[MAJORITY].meaning}, validation: {number(majority, 'accuracy')}"
        axes.axhline(majority, color=style.INK, linestyle=":", label=label)
    if paper is not None and paper.validation is not None:
        label = f"the paper, validation: {number(paper.validation, 'accuracy')}"
        look: dict[str, Any] = {"linestyle": "none", "marker": "<", "markersize": 11, "color": style.INK, "zorder": 4}
        transform = axes.get_yaxis_transform()
        axes.plot([1.0], [paper.validation], transform=transform, clip_on=False, label=label, **look)


def _lines(axes: Axes, history: History, name: str) -> npt.NDArray[np.float64]:
    """Draw training and validation; return the finite values drawn."""
    epochs = _column(history, "epoch")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len(epochs):
        pad = max(0.5, 0.02 * (epochs.max() - epochs.min()))
        axes.set_xlim(epochs.min() - pad, epochs.max() + pad)
    found = [np.empty(0)]
    for column, look in ((name, TRAIN), (f"val_{name}", VALIDATION)):
        values = _column(history, column)
        if np.isfinite(values).any():
            axes.plot(epochs, values, **(look if len(epochs) <= FEW_EPOCHS else {**look, "marker": "", "linewidth": 1}))
            found.append(values[np.isfinite(values)])
    drawn = np.concatenate(found)
    if not drawn.size:
        style.say(axes, "not a number in any epoch" if len(epochs) else "no epochs")
    return drawn


def _mark_end(axes: Axes, history: History, ended: str) -> None:
    """Draw a line at the last epoch and, right of it, a hatched band with the reason."""
    epochs = _column(history, "epoch")
    last = float(epochs.max()) if len(epochs) else 0.0
    first = axes.get_xlim()[0] if len(epochs) else last - 0.5
    edge = last + (last - first) * BAND / (1 - BAND)
    axes.set_xlim(first, edge)
    axes.set_xticks([tick for tick in axes.get_xticks() if len(epochs) and first <= tick <= last])
    axes.axvspan(last, edge, **style.HATCHED, linewidth=0)
    axes.axvline(last, color=style.INK, zorder=3)
    text = "\n".join(textwrap.wrap(style.shortened(ended, 90), 46))
    look: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "center", "linespacing": 1.1}
    box = {**style.PATCH, "pad": 2}
    axes.text((last + edge) / 2, 0.5, text, transform=axes.get_xaxis_transform(), bbox=box, **look)


def _column(history: History, name: str) -> npt.NDArray[np.float64]:
    values = np.array([row.get(name, math.nan) for row in history], np.float64)
    values[~np.isfinite(values)] = np.nan
    return values

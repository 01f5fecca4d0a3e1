"""Learning curves: loss and accuracy by epoch."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from pipeline.config.paper import PaperRun
from pipeline.evaluation.predictors import BASELINES, MAJORITY
from pipeline.evaluation.vocabulary import number
from pipeline.figures import style

FEW_EPOCHS = 40  # up to here each epoch gets a marker
BAND = 0.11  # part of a panel's width that tells where a run ended

History = Sequence[Mapping[str, float]]


def curves(
    path: Path,
    history: History,
    title: str,
    majority: float,
    paper: PaperRun | None = None,
    note: str = "",
    ended: str = "",
) -> None:
    """Draw loss and accuracy by epoch.

    Args:
        path: PNG to write; an SVG is written beside it.
        history: one row per epoch: epoch, loss, accuracy, val_loss, val_accuracy; further columns are not used.
        title: heading, for example the run's name.
        majority: accuracy, 0..1, of the majority answer on the validation split.
        paper: what the paper reports; its validation accuracy is marked at the right edge.
        note: what a reader must know, for example "random embedding weights".
        ended: where and why the run ended early, for example "diverged in epoch 1, by step 11"; drawn at the last
            epoch.
    """
    with style.style():
        figure = style.page(12, 5.6, title, note)
        left, right = figure.subplots(1, 2)
        _loss_panel(left, history)
        _accuracy_panel(right, history, majority, paper)
        for axes in (left, right):
            if ended:
                _mark_end(axes, history, ended)
            if axes.get_legend_handles_labels()[0]:
                # Below the panel, where it hides nothing.
                axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)
            else:
                axes.set_yticks([])
        style.save(figure, path)


def _loss_panel(axes: Axes, history: History) -> None:
    axes.set_title("Loss")
    axes.set_ylabel("squared error of a, b + L2 penalty")
    drawn = _lines(axes, history, "loss")
    if drawn.size and drawn.min() > 0 and drawn.max() > 10 * drawn.min():
        axes.set_yscale("log")
        # A loss that explodes spans many decades: then only the powers of ten are named.
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
        axes.plot(
            [1.0],
            [paper.validation],
            transform=axes.get_yaxis_transform(),
            clip_on=False,
            linestyle="none",
            marker="<",
            markersize=11,
            color=style.INK,
            zorder=4,
            label=f"the paper, validation: {number(paper.validation, 'accuracy')}",
        )


def _lines(axes: Axes, history: History, name: str) -> npt.NDArray[np.float64]:
    """Draw training and validation; return the finite values drawn."""
    epochs = _column(history, "epoch")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len(epochs):
        pad = max(0.5, 0.02 * (epochs.max() - epochs.min()))
        axes.set_xlim(epochs.min() - pad, epochs.max() + pad)
    found = []
    for column, label, look in ((name, "training", style.TRAIN), (f"val_{name}", "validation", style.VALIDATION)):
        values = _column(history, column)
        finite = values[np.isfinite(values)]
        if finite.size == 0:
            continue
        look = dict(look) if len(epochs) <= FEW_EPOCHS else {**look, "marker": "", "linewidth": 1}
        axes.plot(epochs, values, label=label, **look)
        found.append(finite)
    if not found:
        style.say(axes, "not a number in any epoch" if len(epochs) else "no epochs")
    return np.concatenate(found) if found else np.empty(0)


def _mark_end(axes: Axes, history: History, ended: str) -> None:
    """A line at the last epoch and, right of it, where no curve can be, a hatched band that says what happened."""
    epochs = _column(history, "epoch")
    last = float(epochs.max()) if len(epochs) else 0.0
    first = axes.get_xlim()[0] if len(epochs) else last - 0.5
    edge = last + (last - first) * BAND / (1 - BAND)
    axes.set_xlim(first, edge)
    axes.set_xticks([tick for tick in axes.get_xticks() if len(epochs) and first <= tick <= last])
    axes.axvspan(last, edge, **style.HATCHED, linewidth=0)
    axes.axvline(last, color=style.INK, zorder=3)
    text = "\n".join(textwrap.wrap(style.shortened(ended, 90), 46))
    axes.text(
        (last + edge) / 2,
        0.5,
        text,
        transform=axes.get_xaxis_transform(),
        rotation=90,
        ha="center",
        va="center",
        linespacing=1.1,
        bbox={**style.PATCH, "pad": 2},
    )


def _column(history: History, name: str) -> npt.NDArray[np.float64]:
    values = np.array([row.get(name, math.nan) for row in history], np.float64)
    values[~np.isfinite(values)] = np.nan
    return values

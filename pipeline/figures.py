"""Figures: learning curves, and predictions beside the truth.

One style for all. A figure carries no date and no version and ignores the user's matplotlib settings, so equal inputs
give equal bytes. Nothing here goes through pyplot.
"""

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import IdentityTransform

from pipeline import lab
from pipeline.files import written_whole
from pipeline.paper import PaperRun

# Two of Okabe and Ito's colours, safe for colour-blind readers: a dark and a light one, to differ in gray print too.
TRAIN = {"color": "#0072B2", "linestyle": "-", "marker": "o"}
VALIDATION = {"color": "#E69F00", "linestyle": "--", "marker": "s"}
INK = "#000000"
FAINT = "#595959"
PATCH = {"facecolor": "white", "edgecolor": "none", "pad": 6}  # behind text that lies on something
DPI = 100
STYLE: dict[str, Any] = {
    "figure.dpi": DPI,
    "savefig.dpi": "figure",
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "legend.fontsize": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 2,
    "text.parse_math": False,
}
FEW_EPOCHS = 40  # up to here each epoch gets a marker

TILE = 224  # least height and width of a picture, in pixels
MARGIN, GAP, CAPTION, TITLE, NOTE, HEADING = 20, 8, 34, 36, 26, 28  # pixels
COLUMNS = ("gray (the input)", "predicted", "true")
LONGEST_LINE = 78  # characters that fit the width of three tiles


@contextlib.contextmanager
def _style() -> Iterator[None]:
    with matplotlib.style.context(["default", STYLE]), warnings.catch_warnings():
        # A file name may be in a script that the font lacks; it is drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def curves(
    path: Path,
    history: Sequence[Mapping[str, float]],
    title: str,
    majority: float,
    paper: PaperRun | None = None,
    note: str = "",
) -> None:
    """Draw loss and accuracy by epoch.

    Args:
        path: PNG to write.
        history: one row per epoch: epoch, loss, accuracy, val_loss, val_accuracy; further columns are not used.
        title: heading, for example the run's name.
        majority: accuracy, 0..1, of the majority answer on the validation split.
        paper: what the paper reports; its validation accuracy is marked at the right edge.
        note: what a reader must know, for example "random embedding weights".
    """
    with _style():
        figure = Figure(figsize=(12, 5.6), layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.1))
        figure.suptitle(_shortened(title, 100), fontsize=14, fontweight="bold")
        if note:
            figure.supxlabel(_shortened(note, 130), fontsize=11, color=FAINT)
        left, right = figure.subplots(1, 2)
        _loss_panel(left, history)
        _accuracy_panel(right, history, majority, paper)
        save(figure, path)


def _loss_panel(axes: Axes, history: Sequence[Mapping[str, float]]) -> None:
    axes.set_title("Loss")
    axes.set_ylabel("squared error of a, b + L2 penalty")
    drawn = _lines(axes, history, "loss")
    if drawn.size and drawn.min() > 0 and drawn.max() > 10 * drawn.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    _legend(axes)


def _accuracy_panel(
    axes: Axes, history: Sequence[Mapping[str, float]], majority: float, paper: PaperRun | None
) -> None:
    axes.set_title("Accuracy (share of pixels where the larger of a, b is right)")
    axes.set_ylabel("accuracy")
    _lines(axes, history, "accuracy")
    if math.isfinite(majority):
        axes.axhline(majority, color=INK, linestyle=":", label=f"majority answer, validation: {majority:.4f}")
    if paper is not None and paper.validation is not None:
        axes.plot(
            [1.0],
            [paper.validation],
            transform=axes.get_yaxis_transform(),
            clip_on=False,
            linestyle="none",
            marker="<",
            markersize=11,
            color=INK,
            label=f"the paper, validation: {paper.validation:.4f}",
        )
    _legend(axes)


def _legend(axes: Axes) -> None:
    """A legend below the panel, where it hides nothing."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)


def _lines(axes: Axes, history: Sequence[Mapping[str, float]], name: str) -> npt.NDArray[np.float64]:
    """Draw training and validation; return the finite values drawn."""
    epochs = _column(history, "epoch")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len(epochs):
        pad = max(0.5, 0.02 * (epochs.max() - epochs.min()))
        axes.set_xlim(epochs.min() - pad, epochs.max() + pad)
    found = []
    for column, label, look in ((name, "training", TRAIN), (f"val_{name}", "validation", VALIDATION)):
        values = _column(history, column)
        finite = values[np.isfinite(values)]
        if finite.size == 0:
            continue
        style = dict(look) if len(epochs) <= FEW_EPOCHS else {**look, "marker": "", "linewidth": 1}
        axes.plot(epochs, values, label=label, **style)
        found.append(finite)
    if not found:
        text = "not a number in any epoch" if len(epochs) else "no epochs"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=14, bbox=PATCH)
    return np.concatenate(found) if found else np.empty(0)


def _column(history: Sequence[Mapping[str, float]], name: str) -> npt.NDArray[np.float64]:
    values = np.array([row.get(name, math.nan) for row in history], np.float64)
    values[~np.isfinite(values)] = np.nan
    return values


def predictions(
    path: Path,
    lightness: lab.UInt8,
    predicted_ab: npt.NDArray[np.generic],
    true_ab: lab.UInt8,
    captions: Sequence[str],
    title: str,
    note: str = "",
) -> None:
    """Draw rows of gray, predicted and true pictures, pixel for pixel (small ones enlarged a whole number of times).

    Args:
        path: PNG to write.
        lightness: L (k, H, W) uint8, k from 1 to 50.
        predicted_ab: (k, H, W, 2) float, 8-bit units; a prediction that is not finite everywhere is drawn as a hatched
            tile that says so.
        true_ab: (k, H, W, 2) uint8.
        captions: k lines, below the rows.
        title: heading.
        note: what a reader must know, for example "random embedding weights".
    """
    count, height, width = lightness.shape
    if len(captions) != count:
        raise ValueError(f"expected {count} captions, received {len(captions)}")
    times = max(1, math.ceil(TILE / min(height, width)))
    row, column = height * times, width * times
    total_width = 2 * MARGIN + 3 * column + 2 * GAP
    total_height = 2 * MARGIN + TITLE + NOTE * bool(note) + HEADING + count * (row + CAPTION)
    limit = LONGEST_LINE * column // TILE
    with _style():
        figure = Figure(figsize=(total_width / DPI, total_height / DPI))
        middle = total_width / 2
        y = total_height - MARGIN
        _text(figure, middle, y - TITLE / 2, _shortened(title, limit * 3 // 4), size=14, weight="bold")
        y -= TITLE
        if note:
            _text(figure, middle, y - NOTE / 2, _shortened(note, limit), color=FAINT)
            y -= NOTE
        lefts = [MARGIN + i * (column + GAP) for i in range(3)]
        for x, heading in zip(lefts, COLUMNS, strict=True):
            _text(figure, x + column / 2, y - HEADING / 2, heading, size=12)
        y -= HEADING
        for i, caption in enumerate(captions):
            y -= row
            for x, picture in zip(lefts, _tiles(lightness[i], predicted_ab[i], true_ab[i]), strict=True):
                if picture is None:
                    _no_answer(figure, x, y, column, row)
                else:
                    enlarged = picture.repeat(times, axis=0).repeat(times, axis=1)
                    figure.figimage(enlarged, xo=x, yo=y, origin="upper")
            _text(figure, MARGIN, y - 14, _shortened(caption, limit), ha="left")
            y -= CAPTION
        save(figure, path)


def _tiles(lightness: lab.UInt8, predicted_ab: npt.NDArray[np.generic], true_ab: lab.UInt8) -> list[lab.UInt8 | None]:
    gray = np.repeat(lab.gray_levels()[lightness][..., None], 3, axis=-1)
    predicted = lab.to_rgb(lightness, predicted_ab) if np.isfinite(predicted_ab).all() else None
    return [gray, predicted, lab.to_rgb(lightness, true_ab)]


def _no_answer(figure: Figure, x: float, y: float, width: float, height: float) -> None:
    figure.add_artist(
        Rectangle(
            (x, y), width, height, facecolor="white", edgecolor="#AAAAAA", hatch="//", transform=IdentityTransform()
        )
    )
    _text(figure, x + width / 2, y + height / 2, "no answer:\nnot a number", size=13, bbox=PATCH)


def _text(figure: Figure, x: float, y: float, text: str, ha: str = "center", **look: Any) -> None:
    """Text whose place is given in pixels from the lower left corner."""
    figure.text(x, y, text, ha=ha, va="center", transform=IdentityTransform(), **look)


def _shortened(text: str, limit: int) -> str:
    """Text on one line of at most `limit` characters; what is too much is cut out of the middle."""
    text = "".join(character if character.isprintable() else " " for character in text).strip()
    if len(text) <= limit:
        return text
    end = (limit - 1) // 2
    return f"{text[: limit - 1 - end]}…{text[len(text) - end :]}"

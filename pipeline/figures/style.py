"""The one style of all figures.

A figure carries no date and no version and ignores the user's matplotlib settings, so equal inputs give equal bytes.
Nothing here goes through pyplot. Colours are safe for colour-blind readers, and whatever a colour tells is told by a
marker, a line style or a lightness too, for gray print.
"""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from pipeline.core.files import written_whole

# Okabe and Ito's colours (Color Universal Design, 2008), without yellow, which is too faint for thin marks on white.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, INK = "#CC79A7", "#56B4E9", "#000000"
# A dark and a light one, to differ in gray print too.
TRAIN: dict[str, Any] = {"color": BLUE, "linestyle": "-", "marker": "o"}
VALIDATION: dict[str, Any] = {"color": ORANGE, "linestyle": "--", "marker": "s"}
FAINT = "#595959"
HATCHED: dict[str, Any] = {
    "facecolor": "white",
    "edgecolor": "#AAAAAA",
    "hatch": "//",
}  # where there is nothing to draw
PATCH: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 6}  # behind text that lies on something
NO_ANSWER = "no answer:\nnot a number"
DPI = 100
HEAD = 0.7  # height of a heading with a note, in inches
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
    "image.composite_image": False,
    "svg.hashsalt": "deepcolor",
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The style, for as long as a figure is drawn and saved."""
    with matplotlib.style.context(["default", STYLE]), warnings.catch_warnings():
        # A file name may be in a script that the font lacks; it is drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG at `path` and as SVG beside it, each whole or not at all; where the PNG is, the SVG is."""
    with style():
        with written_whole(path.with_suffix(".svg")) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})
        with written_whole(path) as temporary:
            # A level of 6, the default, takes twice as long for 4 % fewer bytes.
            figure.savefig(temporary, format="png", metadata={"Software": None}, pil_kwargs={"compress_level": 3})


def page(width: float, height: float, title: str, note: str = "") -> Figure:
    """An empty figure, width and height in inches, with a heading and a note; panels are laid out below them."""
    head = HEAD if note else HEAD - 0.25
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.1, rect=(0, 0, 1, 1 - head / height))
    figure = Figure(figsize=(width, height), layout=layout)
    middle: dict[str, Any] = {"x": 0.5, "ha": "center", "va": "center"}
    figure.text(y=1 - 0.25 / height, s=shortened(title, int(8 * width)), fontsize=14, fontweight="bold", **middle)
    if note:
        figure.text(y=1 - 0.55 / height, s=shortened(note, int(10.8 * width)), color=FAINT, **middle)
    return figure


def say(axes: Axes, text: str) -> None:
    """Text in the middle of a panel that has nothing else to show."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=14, bbox=PATCH)


def shortened(text: str, limit: int) -> str:
    """Text on one line of at most `limit` characters; what is too much is cut out of the middle."""
    text = "".join(character if character.isprintable() else " " for character in text).strip()
    if len(text) <= limit:
        return text
    end = (limit - 1) // 2
    return f"{text[: limit - 1 - end]}…{text[len(text) - end :]}"

"""The style of all figures.

A figure carries no date and no version and ignores the user's matplotlib settings, so equal inputs give equal bytes.
No figure uses pyplot. Colours are safe for colour-blind readers; for gray print, a marker, a line style or lightness
carries the same information.
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
FAINT = "#595959"
HATCHED: dict[str, Any] = {"facecolor": "white", "edgecolor": "#AAAAAA", "hatch": "//"}  # where there is no data
PATCH: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 6}  # behind text that covers something
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
    """Apply the style while a figure is drawn and saved."""
    with matplotlib.style.context(["default", STYLE]), warnings.catch_warnings():
        # A file name may use a script that the font lacks; such letters appear as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def save(figure: Figure, path: Path, *, svg: bool = True) -> None:
    """Write a figure as PNG to `path`, each file atomically, and before it as SVG beside it."""
    with style():
        if svg:
            with written_whole(path.with_suffix(".svg")) as temporary:
                figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})
        with written_whole(path) as temporary:
            # The default level, 6, takes twice as long and saves 4 % of the bytes.
            figure.savefig(temporary, format="png", metadata={"Software": None}, pil_kwargs={"compress_level": 3})


def page(width: float, height: float, title: str, note: str = "") -> Figure:
    """An empty figure, width and height in inches, with a heading and a note above the space for panels."""
    head = HEAD if note else HEAD - 0.25
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.1, rect=(0, 0, 1, 1 - head / height))
    figure = Figure(figsize=(width, height), layout=layout)
    middle: dict[str, Any] = {"x": 0.5, "ha": "center", "va": "center"}
    figure.text(y=1 - 0.25 / height, s=shortened(title, int(8 * width)), fontsize=14, fontweight="bold", **middle)
    if note:
        figure.text(y=1 - 0.55 / height, s=shortened(note, int(10.8 * width)), color=FAINT, **middle)
    return figure


def legend_below(axes: Axes, distance: float, columns: int = 2) -> None:
    """Put a panel's legend below it, where it hides no data."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -distance), ncols=columns, frameon=False)


def say(axes: Axes, text: str) -> None:
    """Write text in the middle of a panel that has no data."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=14, bbox=PATCH)


def shortened(text: str, limit: int) -> str:
    """One line of at most `limit` characters; longer text loses its middle."""
    text = "".join(character if character.isprintable() else " " for character in text).strip()
    if len(text) <= limit:
        return text
    end = (limit - 1) // 2
    return f"{text[: limit - 1 - end]}…{text[len(text) - end :]}"

"""Figures of the contents of stores, as PNG only: sheets of gray and true pictures, and histograms of values."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from matplotlib.transforms import Bbox
from PIL import Image

from pipeline.figures import style
from pipeline.figures.pictures import MARGIN, TITLE, Sheet
from pipeline.images import lab

LARGE, SMALL = 224, 112  # height and width of a picture, in pixels
MOST_LARGE = 12  # more tiles than this are shown small
GAP, LINE = 14, 16  # pixels
WIDEST_LETTER, LETTER = 11, 7.4  # pixels: the widest in a heading, and the average in a label
SHAPE = 1.4  # approximate ratio of a sheet's width to its height
NARROWEST = 560  # pixels, so that the heading fits
FRAME = 3  # width of a frame, in points

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tile:
    """One image of a sheet.

    Attributes:
        lightness: L (H, W) uint8.
        ab: (H, W, 2) uint8.
        lines: its label, from top to bottom.
        frame: the line style of a frame around it, or empty.
    """

    lightness: lab.UInt8
    ab: lab.UInt8
    lines: Sequence[str]
    frame: str = ""


def sheet(path: Path, tiles: Sequence[Tile], title: str, note: str = "") -> None:
    """Draw images side by side, each as gray and true picture above its label.

    Args:
        path: PNG to write.
        tiles: at least one, row by row from the left.
        title: heading.
        note: below the heading.
    """
    size = LARGE if len(tiles) <= MOST_LARGE else SMALL
    width = 2 * size + 2
    height = size + LINE * max(len(tile.lines) for tile in tiles) + GAP
    columns = min(len(tiles), math.ceil(math.sqrt(SHAPE * len(tiles) * height / width)))
    rows = math.ceil(len(tiles) / columns)
    across = max(NARROWEST, 2 * MARGIN + columns * width + (columns - 1) * GAP)
    title_lines = textwrap.wrap(style.shortened(title, 200), (across - 2 * MARGIN) // WIDEST_LETTER)
    note_lines = textwrap.wrap(style.shortened(note, 400), int((across - 2 * MARGIN) / LETTER))
    head = TITLE * len(title_lines) + (LINE + 2) * len(note_lines) + GAP // 2
    with style.style():
        page = Sheet(across, 2 * MARGIN + head + rows * (height + GAP) - GAP)
        page.heading(page.height - MARGIN, title_lines, note_lines, LINE + 2, fontsize=9)
        top = page.height - MARGIN - head
        for number, tile in enumerate(tiles):
            row, column = divmod(number, columns)
            _tile(page, MARGIN + column * (width + GAP), top - row * (height + GAP), size, tile)
        style.save(page.figure, path, svg=False)


def _tile(page: Sheet, left: int, top: int, size: int, tile: Tile) -> None:
    gray = lab.gray_levels()[tile.lightness][..., None].repeat(3, axis=-1)
    for x, picture in ((left, gray), (left + size + 2, lab.to_rgb(tile.lightness, tile.ab))):
        if picture.shape[:2] != (size, size):
            picture = np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BOX))
        page.picture(x, top - size, size, size, picture)
    if tile.frame:
        look = {"edgecolor": style.VERMILION, "linewidth": FRAME, "linestyle": tile.frame, "facecolor": "none"}
        page.axes.add_patch(Rectangle((left - 1, top - size - 1), 2 * size + 4, size + 2, **look))  # type: ignore[arg-type]
    for number, line in enumerate(tile.lines):
        y = top - size - GAP / 2 - LINE * (number + 0.5)
        # Clip at the tile's edge: letters of some scripts are wider than `LETTER`.
        place = Bbox.from_extents(left, y - LINE / 2, left + 2 * size + 2, y + LINE / 2)
        text = style.shortened(line, int(2 * size / LETTER))
        page.axes.text(left, y, text, fontsize=9, va="center", clip_on=True).set_clip_box(place)


def contents(
    path: Path,
    pixels: Mapping[str, npt.NDArray[np.int64]] | None,
    embeddings: tuple[Floats, Floats, Floats, float] | None,
    title: str,
    note: str = "",
) -> None:
    """Draw histograms of L, a and b, and the norms and the spectrum of embeddings.

    Args:
        path: PNG to write.
        pixels: number of pixels by 8-bit value, (256,), for "L", "a" and "b".
        embeddings: norms (n,), distances from the mean (n,), singular values (k,) of the differences from the mean,
            in descending order, and effective rank.
        title: heading.
        note: below the heading.
    """
    panels = (["L", "a", "b"] if pixels else []) + (["norms", "spectrum"] if embeddings else [])
    rows = [panels[:3], panels[3:]] if len(panels) > 3 else [panels]
    with style.style():
        figure = style.page(15 if pixels else 12, 4.4 * len(rows) + 0.7, title, note)
        parts = figure.subfigures(len(rows), 1, squeeze=False)[:, 0]
        for part, names in zip(parts, rows, strict=True):
            part.set_facecolor("none")  # do not cover the page's heading
            for axes, name in zip(part.subplots(1, len(names), squeeze=False)[0], names, strict=True):
                if pixels and name in pixels:
                    _values(axes, name, pixels[name])
                elif embeddings and name == "norms":
                    _norms(axes, *embeddings[:2])
                elif embeddings:
                    _spectrum(axes, *embeddings[2:])
        style.save(figure, path, svg=False)


MEANINGS = {"L": "L (0: black, 100: white)", "a": "a: green to red", "b": "b: blue to yellow"}


def _values(axes: Axes, name: str, counts: npt.NDArray[np.int64]) -> None:
    edges = np.arange(257) - 0.5
    edges = edges / 2.55 if name == "L" else edges - lab.NEUTRAL
    middles = (edges[1:] + edges[:-1]) / 2
    shares = counts / max(int(counts.sum()), 1)
    mean = float((shares * middles).sum())
    axes.stairs(shares, edges, fill=True, color=style.BLUE)
    axes.axvline(mean, color=style.VERMILION, linestyle="--", label=f"mean {mean:.1f}".replace("-", "−"))
    used = middles[counts > 0]
    if name != "L" and used.size:
        axes.set_xlim(used.min() - 5, used.max() + 5)
    axes.set_yscale("log")
    axes.set(title=name, xlabel=f"{MEANINGS[name]} (CIE units)", ylabel="share of pixels (log scale)")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    style.legend_below(axes, 0.16, columns=1)


def _norms(axes: Axes, norms: Floats, distances: Floats) -> None:
    edges = np.linspace(0, 1.02 * max(float(norms.max()), float(distances.max()), 1e-9), 31)
    looks = (
        (norms, style.BLUE, "-", "of the embedding"),
        (distances, style.ORANGE, "--", "of its difference from the mean"),
    )
    for values, colour, line, label in looks:
        counts = np.histogram(values, edges)[0]
        axes.stairs(counts, edges, color=colour, linestyle=line, linewidth=2, label=label)
    axes.set(title="norms", xlabel="Euclidean norm", ylabel="images", xlim=(0, edges[-1]))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    style.legend_below(axes, 0.16)


def _spectrum(axes: Axes, singular: Floats, effective_rank: float) -> None:
    variance = singular**2
    total = float(variance.sum())
    axes.set(title="spectrum", xlabel="component (log scale)", ylabel="share of the variance")
    if not total:
        style.say(axes, "all embeddings are equal")
        return
    cumulative = np.cumsum(variance) / total
    number = np.arange(1, len(singular) + 1)
    look = {"marker": "o"} if len(singular) <= 40 else {}
    axes.plot(number, variance / total, color=style.BLUE, label="each", **look)  # type: ignore[arg-type]
    axes.plot(number, cumulative, color=style.ORANGE, linestyle="--", label="together with those before")
    enough = int(np.searchsorted(cumulative, 0.9)) + 1
    axes.plot([enough], [cumulative[enough - 1]], linestyle="none", marker="D", markersize=8, color=style.VERMILION,
              label=f"90 % in {enough} components; effective rank {effective_rank:.1f}")  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    style.legend_below(axes, 0.16)

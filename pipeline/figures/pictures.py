"""Rows of pictures: predictions beside the truth, and maps of the error."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.figures import style
from pipeline.images import lab

TILE = 224  # least height and width of a picture, in pixels
MARGIN, GAP, CAPTION, TITLE, NOTE, HEADING, BAR = 20, 8, 34, 26, 26, 28, 40  # pixels
LONGEST_LINE = 78  # characters that fit the width of three tiles

ERROR_COLOURS = "magma"  # perceptually uniform, told apart by colour-blind readers, brighter with more error
LARGEST_ERROR = 40  # CIEDE2000; more is drawn as this

Picture = lab.UInt8 | None  # sRGB (H, W, 3); None: no answer


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
        path: PNG to write; an SVG is written beside it.
        lightness: L (k, H, W) uint8, k from 1 to 50.
        predicted_ab: (k, H, W, 2) float, 8-bit units; a prediction that is not finite everywhere is drawn as a hatched
            tile that says so.
        true_ab: (k, H, W, 2) uint8.
        captions: k lines, below the rows.
        title: heading.
        note: what a reader must know, for example "random embedding weights".
    """
    gray = lab.gray_levels()[lightness][..., None].repeat(3, axis=-1)
    rows = [
        (gray[i], _predicted(lightness[i], predicted_ab[i]), lab.to_rgb(lightness[i], true_ab[i]))
        for i in range(len(lightness))
    ]
    _draw(path, rows, ("gray (the input)", "predicted", "true"), lightness.shape[1:], captions, title, note)


def errors(
    path: Path,
    lightness: lab.UInt8,
    predicted_ab: npt.NDArray[np.generic],
    true_ab: lab.UInt8,
    difference: npt.NDArray[np.floating],
    captions: Sequence[str],
    title: str,
    note: str = "",
) -> None:
    """Draw rows of predicted and true pictures and the map of their colour difference, on one scale for all figures.

    Args:
        path: PNG to write; an SVG is written beside it.
        lightness: L (k, H, W) uint8, k from 1 to 50.
        predicted_ab: (k, H, W, 2) float, 8-bit units; as in `predictions`.
        true_ab: (k, H, W, 2) uint8.
        difference: CIEDE2000 of each pixel, (k, H, W) float, 0 or more; pixels that are not finite are striped, and a
            map of nothing else is a hatched tile that says so.
        captions: k lines, below the rows.
        title: heading.
        note: what a reader must know, for example "random embedding weights".
    """
    if difference.shape != lightness.shape:
        raise ValueError(f"expected differences {lightness.shape}, received {difference.shape}")
    rows = [
        (
            _predicted(lightness[i], predicted_ab[i]),
            lab.to_rgb(lightness[i], true_ab[i]),
            error_colours(difference[i]) if np.isfinite(difference[i]).any() else None,
        )
        for i in range(len(lightness))
    ]
    headings = ("predicted", "true", "difference (CIEDE2000)")
    _draw(path, rows, headings, lightness.shape[1:], captions, title, note, colour_bar=True)


def error_colours(difference: npt.NDArray[np.floating]) -> lab.UInt8:
    """Colours, sRGB (H, W, 3) uint8, of CIEDE2000 differences (H, W); stripes where there is no number."""
    finite = np.isfinite(difference)
    share = np.clip(np.where(finite, difference, 0) / LARGEST_ERROR, 0, 1)
    colours = np.asarray(matplotlib.colormaps[ERROR_COLOURS](share, bytes=True))[..., :3].copy()
    stripes = np.where(np.add.outer(*map(np.arange, difference.shape)) // 4 % 2, 255, 170).astype(np.uint8)
    colours[~finite] = stripes[~finite, None]
    return colours


def _predicted(lightness: lab.UInt8, predicted_ab: npt.NDArray[np.generic]) -> Picture:
    return lab.to_rgb(lightness, predicted_ab) if np.isfinite(predicted_ab).all() else None


class _Sheet:
    """A figure whose places are given in pixels from the lower left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / style.DPI, height / style.DPI))
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
        self.axes.set_axis_off()

    def picture(self, x: int, y: int, width: int, height: int, picture: lab.UInt8) -> None:
        """A picture, enlarged or shrunk without smoothing."""
        self.axes.imshow(
            picture, extent=(x, x + width, y, y + height), interpolation="none", aspect="auto", origin="upper"
        )
        self.axes.set(xlim=(0, self.width), ylim=(0, self.height))

    def no_answer(self, x: int, y: int, width: int, height: int) -> None:
        """A hatched tile that says that there is nothing to show."""
        self.axes.add_patch(Rectangle((x, y), width, height, **style.HATCHED))
        self.text(x + width / 2, y + height / 2, style.NO_ANSWER, fontsize=13, bbox=style.PATCH)

    def text(self, x: float, y: float, text: str, ha: str = "center", **look: object) -> None:
        self.figure.text(x / self.width, y / self.height, text, ha=ha, va="center", **look)  # type: ignore[arg-type]


def _draw(
    path: Path,
    rows: Sequence[tuple[Picture, Picture, Picture]],
    headings: Sequence[str],
    shape: Sequence[int],
    captions: Sequence[str],
    title: str,
    note: str,
    colour_bar: bool = False,
) -> None:
    if len(captions) != len(rows):
        raise ValueError(f"expected {len(rows)} captions, received {len(captions)}")
    times = max(1, math.ceil(TILE / min(shape)))
    row, column = shape[0] * times, shape[1] * times
    limit = LONGEST_LINE * column // TILE
    title_lines = textwrap.wrap(style.shortened(title, limit * 13 // 10), limit * 7 // 10)
    head = TITLE * len(title_lines) + NOTE * bool(note) + HEADING + BAR * colour_bar
    with style.style():
        sheet = _Sheet(2 * MARGIN + 3 * column + 2 * GAP, 2 * MARGIN + head + len(rows) * (row + CAPTION))
        y = sheet.height - MARGIN
        for line in title_lines:
            sheet.text(sheet.width / 2, y - TITLE / 2, line, fontsize=14, fontweight="bold")
            y -= TITLE
        if note:
            sheet.text(sheet.width / 2, y - NOTE / 2, style.shortened(note, limit), color=style.FAINT)
            y -= NOTE
        lefts = [MARGIN + i * (column + GAP) for i in range(3)]
        for x, heading in zip(lefts, headings, strict=True):
            sheet.text(x + column / 2, y - HEADING / 2, heading, fontsize=12)
        y -= HEADING
        if colour_bar:
            _colour_bar(sheet, lefts[2], y, column)
            y -= BAR
        for pictures, caption in zip(rows, captions, strict=True):
            y -= row
            for x, picture in zip(lefts, pictures, strict=True):
                if picture is None:
                    sheet.no_answer(x, y, column, row)
                else:
                    sheet.picture(x, y, column, row, picture)
            sheet.text(MARGIN, y - 14, style.shortened(caption, limit), ha="left")
            y -= CAPTION
        style.save(sheet.figure, path)


def _colour_bar(sheet: _Sheet, x: int, y: int, width: int) -> None:
    """The scale of the error maps, its upper edge at `y`."""
    steps = np.linspace(0, LARGEST_ERROR, 256)[None]
    sheet.picture(x, y - 14, width, 14, error_colours(steps))
    for value, ha in ((0, "left"), (10, "center"), (20, "center")):  # there is no room for 30
        sheet.text(x + width * value / LARGEST_ERROR, y - 25, str(value), ha=ha, fontsize=10)
    sheet.text(x + width, y - 25, f"{LARGEST_ERROR} and more", ha="right", fontsize=10)

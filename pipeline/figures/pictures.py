"""Rows of pictures: predictions beside the truth, and maps of the error."""

import math
import textwrap
from collections.abc import Mapping, Sequence
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

ERROR_COLOURS = "magma"  # perceptually uniform, safe for colour-blind readers, brighter with larger errors
LARGEST_ERROR = 40  # CIEDE2000; the end of the colour scale

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
    """Draw rows of gray, predicted and true pictures, pixel by pixel (small ones enlarged by an integer factor).

    Args:
        path: PNG to write; an SVG is written beside it.
        lightness: L (k, H, W) uint8, k from 1 to 50.
        predicted_ab: (k, H, W, 2) float, 8-bit units; a prediction that is not finite everywhere becomes a hatched tile
            with a message.
        true_ab: (k, H, W, 2) uint8.
        captions: k lines, below the rows.
        title: heading.
        note: below the heading, for example "random embedding weights".
    """
    gray = lab.gray_levels()[lightness][..., None].repeat(3, axis=-1)
    columns = {
        "gray (the input)": list(gray),
        "predicted": _predicted(lightness, predicted_ab),
        "true": list(lab.to_rgb(lightness, true_ab)),
    }
    _draw(path, columns, captions, title, note)


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
        difference: CIEDE2000 of each pixel, (k, H, W) float, 0 or more. Pixels that are not finite are striped; a map
            without finite pixels becomes a hatched tile with a message.

    For the other arguments see `predictions`.
    """
    if difference.shape != lightness.shape:
        raise ValueError(f"expected differences {lightness.shape}, received {difference.shape}")
    columns = {
        "predicted": _predicted(lightness, predicted_ab),
        "true": list(lab.to_rgb(lightness, true_ab)),
        "difference (CIEDE2000)": [error_colours(d) if np.isfinite(d).any() else None for d in difference],
    }
    _draw(path, columns, captions, title, note, colour_bar=True)


def error_colours(difference: npt.NDArray[np.floating]) -> lab.UInt8:
    """Colours, sRGB (H, W, 3) uint8, of CIEDE2000 differences (H, W); stripes where they are not finite."""
    finite = np.isfinite(difference)
    share = np.clip(np.where(finite, difference, 0) / LARGEST_ERROR, 0, 1)
    colours = np.asarray(matplotlib.colormaps[ERROR_COLOURS](share, bytes=True))[..., :3].copy()
    stripes = np.where(np.add.outer(*map(np.arange, difference.shape)) // 4 % 2, 255, 170).astype(np.uint8)
    colours[~finite] = stripes[~finite, None]
    return colours


def _predicted(lightness: lab.UInt8, predicted_ab: npt.NDArray[np.generic]) -> list[Picture]:
    return [
        lab.to_rgb(*one) if np.isfinite(one[1]).all() else None for one in zip(lightness, predicted_ab, strict=True)
    ]


class Sheet:
    """A figure with coordinates in pixels from the lower left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / style.DPI, height / style.DPI))
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
        self.axes.set_axis_off()

    def picture(self, x: int, y: int, width: int, height: int, picture: lab.UInt8) -> None:
        """Draw a picture, enlarged or shrunk without smoothing."""
        self.axes.imshow(
            picture, extent=(x, x + width, y, y + height), interpolation="none", aspect="auto", origin="upper"
        )
        self.axes.set(xlim=(0, self.width), ylim=(0, self.height))

    def text(self, x: float, y: float, text: str, ha: str = "center", **look: object) -> None:
        """Draw text, centred vertically at `y`."""
        self.figure.text(x / self.width, y / self.height, text, ha=ha, va="center", **look)  # type: ignore[arg-type]

    def heading(self, y: int, title: Sequence[str], note: Sequence[str], step: int, fontsize: float = 11) -> int:
        """Draw lines of a title and of a note, `step` pixels each, below `y`; return the y below them."""
        for line in title:
            self.text(self.width / 2, y - TITLE / 2, line, fontsize=14, fontweight="bold")
            y -= TITLE
        for line in note:
            self.text(self.width / 2, y - step / 2, line, color=style.FAINT, fontsize=fontsize)
            y -= step
        return y


def _draw(
    path: Path,
    columns: Mapping[str, Sequence[Picture]],
    captions: Sequence[str],
    title: str,
    note: str,
    colour_bar: bool = False,
) -> None:
    """Draw three columns of pictures, by heading; the pictures in the column "true" are never None."""
    rows = list(zip(*columns.values(), strict=True))
    if len(captions) != len(rows):
        raise ValueError(f"expected {len(rows)} captions, received {len(captions)}")
    shape = np.asarray(columns["true"][0]).shape[:2]
    times = max(1, math.ceil(TILE / min(shape)))
    row, column = shape[0] * times, shape[1] * times
    limit = LONGEST_LINE * column // TILE
    title_lines = textwrap.wrap(style.shortened(title, limit * 13 // 10), limit * 7 // 10)
    head = TITLE * len(title_lines) + NOTE * bool(note) + HEADING + BAR * colour_bar
    with style.style():
        sheet = Sheet(2 * MARGIN + 3 * column + 2 * GAP, 2 * MARGIN + head + len(rows) * (row + CAPTION))
        y = sheet.heading(sheet.height - MARGIN, title_lines, [style.shortened(note, limit)] if note else [], NOTE)
        lefts = [MARGIN + i * (column + GAP) for i in range(3)]
        for x, heading in zip(lefts, columns, strict=True):
            sheet.text(x + column / 2, y - HEADING / 2, heading, fontsize=12)
        y -= HEADING
        if colour_bar:
            _colour_bar(sheet, lefts[2], y, column)
            y -= BAR
        for pictures, caption in zip(rows, captions, strict=True):
            y -= row
            for x, picture in zip(lefts, pictures, strict=True):
                if picture is None:
                    sheet.axes.add_patch(Rectangle((x, y), column, row, **style.HATCHED))
                    sheet.text(x + column / 2, y + row / 2, style.NO_ANSWER, fontsize=13, bbox=style.PATCH)
                else:
                    sheet.picture(x, y, column, row, picture)
            sheet.text(MARGIN, y - 14, style.shortened(caption, limit), ha="left")
            y -= CAPTION
        style.save(sheet.figure, path)


def _colour_bar(sheet: Sheet, x: int, y: int, width: int) -> None:
    """Draw the scale of the error maps, its upper edge at `y`."""
    steps = np.linspace(0, LARGEST_ERROR, 256)[None]
    sheet.picture(x, y - 14, width, 14, error_colours(steps))
    for value, ha in ((0, "left"), (10, "center"), (20, "center")):  # there is no room for 30
        sheet.text(x + width * value / LARGEST_ERROR, y - 25, str(value), ha=ha, fontsize=10)
    sheet.text(x + width, y - 25, f"{LARGEST_ERROR} and more", ha="right", fontsize=10)

"""The ab histograms of the colours that a network predicts and of the true ones."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.image import AxesImage
from matplotlib.ticker import EngFormatter
from skimage.filters import gaussian

from pipeline.figures import style
from pipeline.images import lab

COUNTS = "cividis_r"  # perceptually uniform, equal for colour-blind readers, darker with more pixels
OUTLINES = ((0.5, "-"), (0.95, "--"))  # share of the true pixels within each outline, and its line style
SMOOTHING = 2.0  # standard deviation, in CIE units, of the Gaussian that smooths the outlines
STRIP = 0.04  # width of the coloured strips along the axes, in parts of the panel
WIDTH, HEIGHT, PANEL = 12.0, 7.0, 4.7  # inches
LEFT, RIGHT, BOTTOM, BAR = 0.9, 6.35, 1.15, 11.2  # of the panels and the colour bar, in inches

Counts = npt.NDArray[np.int64]


def chroma(path: Path, predicted: Counts, true: Counts, title: str, note: str = "") -> None:
    """Draw the ab histograms of a prediction and of the truth, on one logarithmic colour scale.

    Cautious predictions gather around the mean colour, "brown", while true colours spread out. Both panels show the
    outlines of the true histogram; crossing lines mark gray, a diamond the mean colour.

    Args:
        path: PNG to write; an SVG is written beside it.
        predicted: number of pixels by colour, (256, 256) int64, indexed [a, b] in 8-bit units (rounded and clipped).
        true: the same of the true colours.
        title: heading.
        note: below the heading, for example "random embedding weights".
    """
    for counts in (predicted, true):
        if counts.shape != (256, 256):
            raise ValueError(f"expected counts (256, 256), received {counts.shape}")
    limit = _limit(predicted + true)
    norm = LogNorm(1, max(10, int(predicted.max()), int(true.max())))
    with style.style():
        figure = style.page(WIDTH, HEIGHT, title, note)
        figure.set_layout_engine("none")  # panels of fixed size
        images = []
        for left, name, counts in ((LEFT, "predicted", predicted), (RIGHT, "true", true)):
            axes = figure.add_axes((left / WIDTH, BOTTOM / HEIGHT, PANEL / WIDTH, PANEL / HEIGHT))
            axes.set_title(_title(name, counts, int(true.sum())))
            _prepare(axes, limit)
            if counts.any():
                images.append(_histogram(axes, counts, norm))
                _outline(axes, true)
                style.legend_below(axes, 0.11)
            else:
                axes.patch.set(**style.HATCHED)
                axes.grid(False)
                style.say(axes, style.NO_ANSWER if name == "predicted" else "no pixels")
        if images:
            place = figure.add_axes((BAR / WIDTH, BOTTOM / HEIGHT, 0.16 / WIDTH, PANEL / HEIGHT))
            figure.colorbar(images[0], cax=place)
            place.set_title("pixels", fontsize=10)
            place.yaxis.set_major_formatter(EngFormatter(sep=""))
        style.save(figure, path)


def mean_chroma(counts: Counts) -> float:
    """Mean chroma, in CIE units, of pixels by colour (256, 256), indexed [a, b]; NaN without pixels."""
    from_neutral = np.arange(256) - float(lab.NEUTRAL)
    total = counts.sum()
    distance = np.hypot(from_neutral[:, None], from_neutral[None])
    return float((distance * counts).sum() / total) if total else math.nan


def _title(name: str, counts: Counts, expected: int) -> str:
    total = int(counts.sum())
    if total == 0:
        return name
    text = f"{name}: mean chroma {mean_chroma(counts):.1f}"
    if np.count_nonzero(counts) == 1:
        text += "\none colour everywhere"
    elif total < expected:
        text += f"\nno answer for {100 * (1 - total / expected):.0f} % of the pixels"
    return text


def _limit(counts: Counts) -> int:
    """Half the width of a panel, in CIE units: a multiple of 20 that includes every pixel."""
    a, b = np.nonzero(counts)
    farthest = max((int(np.abs(index - lab.NEUTRAL).max()) for index in (a, b) if len(index)), default=0)
    return min(max(40, 20 * math.ceil((farthest + 1) / 20)), 128)


def _prepare(axes: Axes, limit: int) -> None:
    limits = (-limit * (1 + 3 * STRIP), limit)
    axes.set_xlabel("a (CIE units): green to red")
    axes.set_ylabel("b (CIE units): blue to yellow")
    along = np.linspace(-50, 50, 101) + lab.NEUTRAL  # most colours farther out are outside sRGB
    light, neutral = np.full(101, 178), np.full(101, lab.NEUTRAL)
    strip: dict[str, Any] = {"aspect": "auto", "transform": axes.transAxes, "origin": "lower", "zorder": 2}
    strip["interpolation"] = "none"
    axes.imshow(lab.to_rgb(light, np.stack([along, neutral], -1))[None], extent=(0, 1, 0, STRIP), **strip)
    axes.imshow(lab.to_rgb(light, np.stack([neutral, along], -1))[:, None], extent=(0, STRIP, 0, 1), **strip)
    axes.set(xlim=limits, ylim=limits)


def _histogram(axes: Axes, counts: Counts, norm: LogNorm) -> AxesImage:
    edges = (-lab.NEUTRAL - 0.5, 255.5 - lab.NEUTRAL)
    look: dict[str, Any] = {"aspect": "auto", "origin": "lower", "cmap": COUNTS, "interpolation": "none", "zorder": 1}
    limits = axes.axis()
    image = axes.imshow(np.ma.masked_equal(counts.T, 0), extent=(*edges, *edges), norm=norm, **look)
    axes.axis(limits)
    for line in (axes.axhline, axes.axvline):
        line(0, color=style.FAINT, linewidth=0.8, zorder=1.5)
    total = counts.sum()
    index = np.arange(256) - lab.NEUTRAL
    mean = [float((counts.sum(axis=axis) * index).sum() / total) for axis in (1, 0)]
    diamond: dict[str, Any] = {"linestyle": "none", "marker": "D", "markersize": 11, "markeredgewidth": 2, "zorder": 4}
    # Not filled: it may cover all predicted colours.
    diamond |= {"markerfacecolor": "none", "markeredgecolor": style.VERMILION}
    label = f"mean colour: a {mean[0]:+.1f}, b {mean[1]:+.1f}".replace("-", "−")
    axes.plot(*([value] for value in mean), **diamond, label=label)
    return image


def _outline(axes: Axes, true: Counts) -> None:
    """Draw `OUTLINES` around the most frequent true colours."""
    if not true.any():
        return
    smooth = np.asarray(gaussian(true.astype(np.float64), SMOOTHING))
    falling = np.sort(smooth, axis=None)[::-1]
    share_within = np.cumsum(falling) / falling.sum()
    centres = np.arange(256) - lab.NEUTRAL
    for share, linestyle in OUTLINES:
        level = falling[np.searchsorted(share_within, share)]
        for colour, width in (("white", 3.0), (style.INK, 1.4)):
            axes.contour(
                centres, centres, smooth.T, levels=[level], colors=[colour], linewidths=width, linestyles=linestyle
            )
        label = f"{100 * share:.0f} % of the true pixels"
        axes.plot([], [], color=style.INK, linewidth=1.4, linestyle=linestyle, label=label)

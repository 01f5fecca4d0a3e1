"""Figures: learning curves, pictures beside the truth, error maps, the colours used, scores over all runs, what
stores hold.

Each is written as PNG, all but the last with a vector version (SVG) beside it; see `pipeline.figures.style` for what
they share.
"""

from pipeline.figures.caches import Tile, contents, sheet
from pipeline.figures.colours import chroma
from pipeline.figures.learning import curves
from pipeline.figures.pictures import errors, predictions
from pipeline.figures.style import save
from pipeline.figures.sweeps import Interval, SweepPoint, sweep

__all__ = [
    "Interval",
    "SweepPoint",
    "Tile",
    "chroma",
    "contents",
    "curves",
    "errors",
    "predictions",
    "save",
    "sheet",
    "sweep",
]

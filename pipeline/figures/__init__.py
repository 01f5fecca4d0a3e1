"""Figures: learning curves, pictures beside the truth, error maps, the colours used, and scores over all runs.

Each is written as PNG, with a vector version (SVG) beside it; see `pipeline.figures.style` for what they share.
"""

from pipeline.figures.colours import chroma
from pipeline.figures.learning import curves
from pipeline.figures.pictures import errors, predictions
from pipeline.figures.style import save
from pipeline.figures.sweeps import Interval, SweepPoint, sweep

__all__ = ["Interval", "SweepPoint", "chroma", "curves", "errors", "predictions", "save", "sweep"]

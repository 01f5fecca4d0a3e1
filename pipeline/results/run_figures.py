"""The figures of an evaluated run."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.color import rgb2lab

from pipeline.config import paper
from pipeline.config.paths import ResultFiles, RunFiles
from pipeline.core import csv_files
from pipeline.dataset import statistics
from pipeline.dataset.index import read_index
from pipeline.evaluation import metrics, predictors, scores
from pipeline.evaluation.measures import Columns
from pipeline.evaluation.network import Network
from pipeline.evaluation.scoring import Dataset
from pipeline.evaluation.untrained import Answers
from pipeline.figures import colours as colour_figures
from pipeline.figures import learning, pictures
from pipeline.images import lab


def spread_over_errors(errors: npt.NDArray[np.float64], rows: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """Choose `count` of `rows`, evenly spaced by rank of error from best to worst."""
    ordered = rows[np.argsort(errors[rows], kind="stable")]
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    chosen: npt.NDArray[np.intp] = ordered[places]
    return chosen


def draw_pictures(
    run: str, network: Network | Answers, data: Dataset, measured: Columns, count: int, new: ResultFiles, note: str
) -> None:
    """Draw predictions.png and errors.png of `count` test images."""
    test = np.flatnonzero(np.array(data.partitions) == "test")
    shown = spread_over_errors(measured["mse"], test, count)
    batch = data.batch(shown)
    lightness, ab = batch.truth.lightness, batch.truth.ab
    predicted = network.own(batch)
    difference = np.full(lightness.shape, np.nan)
    finite = np.isfinite(predicted).all(axis=(1, 2, 3))
    seen = (rgb2lab(lab.to_rgb(lightness[finite], values[finite])) for values in (predicted, ab))
    difference[finite] = metrics.ciede2000_map(*seen)
    index = read_index(data.images)
    captions = [
        f"{index[row]['id']}, ΔE2000 {measured['ciede2000'][row]:.1f}, PSNR {measured['psnr'][row]:.1f} dB"
        for row in shown
    ]
    title = f"{run}: test images, evenly from the smallest RMSE to the largest"
    pictures.predictions(new.figure("predictions"), lightness, predicted, ab, captions, title, note)
    pictures.errors(new.figure("errors"), lightness, predicted, ab, difference, captions, title, note)


def draw_colours(run: str, colours: Mapping[str, statistics.Counts], new: ResultFiles, note: str) -> None:
    """Draw chroma.png of the "predicted" and "true" colours."""
    title = f"{run}: colours of the test images"
    colour_figures.chroma(new.figure("chroma"), colours["predicted"], colours["true"], title, note)


def draw_curves(
    run: str,
    where: RunFiles,
    rows: Sequence[scores.Row],
    trained: Mapping[str, Any],
    new: ResultFiles,
    note: str,
) -> None:
    """Draw curves.png, the run's history; `trained` is the summary of training."""
    status = trained["status"]
    loss = {"loss": trained["loss"]} if "loss" in trained else {}
    columns = ("epoch", "loss", "mse", "accuracy", "val_loss", "val_mse", "val_accuracy")
    history = [{name: float(row[name]) for name in columns} for row in csv_files.read(where.history, columns)]
    baseline = predictors.MAJORITY, "validation"
    majority = next((float(r["value"]) for r in rows if (r["answer"], r["partition"]) == baseline), math.nan)
    learning.curves(
        new.figure("curves"),
        history,
        run,
        majority,
        paper.RUNS.get(run),
        note,
        ended="" if status == "finished" else status,
        **loss,
    )

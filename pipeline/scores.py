"""The scores of an answer on each partition, gathered batch by batch.

An answer is what claims to be the ab of some images: a network's prediction, or one that needs no network. Images and
predictions are let go after each batch; what stays is five numbers per image.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.color import rgb2lab

from pipeline import lab, metrics, paper
from pipeline.splits import PARTITIONS

COLUMNS = ("run", "dataset", "partition", "n", "answer", "metric", "value", "settings")
METRICS = ("loss", "mse", "rmse", "accuracy", "psnr", "ssim", "ciede2000")

MODEL = "model"  # the run's own answer
GRAY = "gray"
MEAN = "mean"
MAJORITY = "majority"
PAPER = "paper"

Row = dict[str, Any]


@dataclass(frozen=True)
class Truth:
    """A batch of k true images; what is derived from them is computed once, however many answers are scored.

    Attributes:
        partitions: k names out of `PARTITIONS`.
        lightness: (k, H, W) uint8.
        ab: (k, H, W, 2) uint8.
    """

    partitions: Sequence[str]
    lightness: lab.UInt8
    ab: lab.UInt8

    def __post_init__(self) -> None:
        unknown = sorted({str(name) for name in self.partitions} - set(PARTITIONS))
        if unknown:
            raise ValueError(f"expected partitions out of {', '.join(PARTITIONS)}, received {', '.join(unknown)}")
        if self.ab.shape != (*self.lightness.shape, 2) or len(self.partitions) != len(self.lightness):
            raise ValueError(
                "expected k partitions, L (k, H, W) and ab (k, H, W, 2), "
                f"received {len(self.partitions)}, {self.lightness.shape} and {self.ab.shape}"
            )

    @cached_property
    def rgb(self) -> lab.UInt8:
        """SRGB (k, H, W, 3) uint8."""
        return lab.to_rgb(self.lightness, self.ab)

    @cached_property
    def lab(self) -> npt.NDArray[np.float64]:
        """CIE Lab (k, H, W, 3) float64 of `rgb`: colours outside sRGB are already clipped."""
        return np.asarray(rgb2lab(self.rgb))


class Scores:
    """One answer's scores, by partition.

    Neither the order of images nor the cut into batches changes them, so that threads may add batches side by side.
    """

    def __init__(self) -> None:
        self._values: dict[str, dict[str, list[float]]] = {partition: {} for partition in PARTITIONS}

    def add(self, truth: Truth, predicted_ab: npt.NDArray[np.generic]) -> None:
        """Score a batch.

        psnr, ssim and ciede2000 compare sRGB images, both with the true L. An image whose prediction is not finite
        everywhere has NaN in all but accuracy, and so has its partition: a diverged model gets no number.

        Args:
            truth: the k images.
            predicted_ab: (k, H, W, 2) float, 8-bit units.
        """
        self.add_accuracy(truth, predicted_ab)
        finite = np.isfinite(predicted_ab).all(axis=(1, 2, 3))
        predicted = predicted_ab[finite]
        rgb = lab.to_rgb(truth.lightness[finite], predicted)
        measured = {
            "mse": metrics.squared_error(predicted, truth.ab[finite]),
            "psnr": metrics.psnr(rgb, truth.rgb[finite]),
            "ssim": metrics.ssim(rgb, truth.rgb[finite]),
            "ciede2000": metrics.ciede2000_of_lab(rgb2lab(rgb), truth.lab[finite]),
        }
        for metric, values in measured.items():
            everywhere = np.full(len(finite), np.nan)
            everywhere[finite] = values
            self._collect(truth.partitions, metric, everywhere)

    def add_accuracy(self, truth: Truth, predicted_ab: npt.NDArray[np.generic]) -> None:
        """Score a batch by accuracy alone, for an answer that is no colour; arguments as in `add`."""
        self._collect(truth.partitions, "accuracy", metrics.accuracy(predicted_ab, truth.ab))

    def _collect(self, partitions: Sequence[str], metric: str, values: npt.NDArray[np.float64]) -> None:
        for partition, value in zip(partitions, values.tolist(), strict=True):
            self._values[partition].setdefault(metric, []).append(value)

    def rows(
        self,
        run: str,
        dataset: str,
        answer: str,
        extra: Mapping[str, Mapping[str, float]] | None = None,
        settings: str = "",
    ) -> list[Row]:
        """The scores as rows with `COLUMNS`, partitions and metrics in the order of `PARTITIONS` and `METRICS`.

        mse, accuracy, psnr, ssim and ciede2000 are means over images; rmse is the root of the mean mse. Values are
        Python floats, which `pipeline.files.write_csv` writes in full (and as nan, inf). A partition without images
        has no rows.

        Args:
            run: run name.
            dataset: dataset name.
            answer: whose scores these are, for example `MODEL`.
            extra: by partition, metrics that are measured elsewhere (the loss).
            settings: what a reader of a single row must know, for example "embedding weights: RANDOM".
        """
        extra = extra or {}
        rows = []
        for partition in PARTITIONS:
            gathered = self._values[partition]
            n = len(gathered.get("accuracy", ()))
            if n == 0:
                continue
            values = {metric: _mean(numbers) for metric, numbers in gathered.items()}
            if "mse" in values:
                values["rmse"] = math.sqrt(values["mse"])
            values |= {metric: float(value) for metric, value in extra.get(partition, {}).items()}
            rows += [
                _row(run, dataset, partition, n, answer, metric, values[metric], settings)
                for metric in METRICS
                if metric in values
            ]
        return rows


def constant_answer(a: float, b: float, shape: Sequence[int]) -> npt.NDArray[np.float64]:
    """One colour everywhere: (*shape, 2) float64, 8-bit units, not writable."""
    return np.broadcast_to(np.array([a, b], np.float64), (*shape, 2))


def score_references(
    batches: Iterable[tuple[Sequence[str], lab.UInt8, lab.UInt8]],
    train_mean_ab: tuple[float, float],
    majority_index: int,
    dataset: str = "",
    run: str = "",
) -> list[Row]:
    """Score the answers that need no network.

    `GRAY` answers neutral, `MEAN` the training split's mean colour, and `MAJORITY`, by accuracy alone, the channel that
    is the larger one in most of the training split's pixels. Gray ties, so its accuracy is the share of a >= b.

    Args:
        batches: partition names (k), L (k, H, W) uint8 and ab (k, H, W, 2) uint8.
        train_mean_ab: mean a and b of the training split, 8-bit units.
        majority_index: 1 if b > a in most of the training split's pixels, else 0; see `metrics.larger_channel`.
        dataset: dataset name.
        run: run name, empty where the rows are for all runs of the dataset.

    Returns:
        Rows with `COLUMNS`.
    """
    if majority_index not in (0, 1):
        raise ValueError(f"expected a majority index of 0 or 1, received {majority_index}")
    gray, mean, majority = Scores(), Scores(), Scores()
    for partitions, lightness, ab in batches:
        truth = Truth(partitions, lightness, ab)
        gray.add(truth, constant_answer(lab.NEUTRAL, lab.NEUTRAL, lightness.shape))
        mean.add(truth, constant_answer(*train_mean_ab, lightness.shape))
        majority.add_accuracy(truth, constant_answer(0, majority_index, lightness.shape))
    return gray.rows(run, dataset, GRAY) + mean.rows(run, dataset, MEAN) + majority.rows(run, dataset, MAJORITY)


def paper_rows(run: str, dataset: str) -> list[Row]:
    """The accuracies that the paper reports for `run`, as rows with an empty n; none for other runs."""
    reported = paper.RUNS.get(run)
    values = {"validation": reported.validation, "test": reported.test} if reported else {}
    return [
        _row(run, dataset, partition, "", PAPER, "accuracy", value)
        for partition, value in values.items()
        if value is not None
    ]


def _mean(values: Sequence[float]) -> float:
    # Exact summation: the order of images does not matter.
    return math.fsum(values) / len(values)


def _row(
    run: str, dataset: str, partition: str, n: int | str, answer: str, metric: str, value: float, settings: str = ""
) -> Row:
    return dict(zip(COLUMNS, (run, dataset, partition, n, answer, metric, value, settings), strict=True))

"""Measure how much hints help, and whether a hint stays on its thing, on test photographs."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.colorize.predictors import OnnxPredictor
from pipeline.colorize.spreading import Spreading, describe
from pipeline.colorize.upsampling import Upsampling
from pipeline.colorize.variants import varied
from pipeline.core import csv_files
from pipeline.core.progress import Progress, Silent
from pipeline.evaluation import metrics
from pipeline.evaluation.intervals import Jackknife, interval
from pipeline.images import lab
from pipeline.images.lab import NEUTRAL, UInt8
from pipeline.publishing.simulated import Pictures, beyond, patches, thing
from pipeline.results.markdown import table
from pipeline.storage.store import Store

NUMBERS = (0, 1, 2, 5, 10, 20, 50)  # of hints
COLUMNS = ("measure", "count", "photographs", "value", "low", "high")
VARIANTS = (1, 2, 4, 8)  # of which the best one counts
PSNR, GAIN, ON_THING, BESIDE, FAR, BEST = "psnr", "gain", "on_thing", "beside", "far", "rmse_of_best"
STEP = 40.0  # difference of a hint from the prediction, for the last three

Float = npt.NDArray[np.float32]


class Seen(NamedTuple):
    """A picture at the size of its prediction: as `describe` returns it, L*, predicted a* and b*, and logits."""

    described: Float
    lightness: Float
    predicted: Float
    logits: Float


def see(predictor: OnnxPredictor, lightness: UInt8) -> Seen:
    """Predict the colours of L (H, W)."""
    prediction = predictor(lightness, lightness)
    if prediction.features is None or prediction.logits is None:
        raise ValueError("expected a network that takes hints")
    guide = reduced(lightness[..., None], prediction.ab.shape)[..., 0] / np.float32(2.55)
    predicted = prediction.ab - np.float32(NEUTRAL)
    return Seen(describe(prediction.features, guide, predicted), guide, predicted, prediction.logits)


def reduced(picture: UInt8, shape: tuple[int, ...]) -> Float:
    """Return the means (h, w, c) of blocks of a picture (H, W, c), with h and w of `shape`."""
    height, width, channels = picture.shape
    rows, columns = shape[:2]
    blocks = picture.reshape(rows, height // rows, columns, width // columns, channels)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def pictures(
    predictor: OnnxPredictor, images: Store, rows: Sequence[int], progress: Progress | None = None
) -> Pictures:
    """Predict the images `rows` of a store."""
    described, guides, predicted, true = [], [], [], []
    with (progress or Silent()).track("hints, images", len(rows)) as advance:
        for row in rows:
            (lightness,), (ab,) = (images.read_rows(name, np.array([row])) for name in ("L", "ab"))
            seen = see(predictor, lightness)
            described.append(seen.described.astype(np.float16))
            guides.append(seen.lightness)
            predicted.append(seen.predicted)
            true.append(reduced(ab, seen.lightness.shape) - np.float32(NEUTRAL))
            advance(1)
    return Pictures(np.stack(described), np.stack(guides), np.stack(predicted), np.stack(true))


def measure(
    predictor: OnnxPredictor,
    spreading: Spreading,
    images: Store,
    rows: Sequence[int],
    seed: int,
    progress: Progress | None = None,
) -> dict[str, metrics.Values]:
    """Measure each of the images `rows`, which the network was not trained on.

    Returns:
        (n,) float64 by name: the PSNR in dB with each of `NUMBERS` hints of the true colour, as "psnr 10", and how
        much of a hint of another colour arrives, 0..1: on its thing, beside it and far from it beyond a strong edge;
        NaN where a photograph has no such thing or edge; and the squared error of ab of the best of some variants.
    """
    found: dict[str, list[float]] = {}
    with (progress or Silent()).track("hints, test images", len(rows)) as advance:
        for row in rows:
            (lightness,), (ab,) = (images.read_rows(name, np.array([row])) for name in ("L", "ab"))
            random = np.random.default_rng((seed, row))
            seen = see(predictor, lightness)
            values = _with_true_hints(seen, spreading, lightness, ab, random)
            values |= _with_a_wrong_hint(seen, spreading, ab, random)
            values |= _best_of_variants(seen, spreading, lightness, ab, seed)
            for name, value in values.items():
                found.setdefault(name, []).append(value)
            advance(1)
    return {name: np.array(values) for name, values in found.items()}


def _with_true_hints(
    seen: Seen, spreading: Spreading, lightness: UInt8, ab: UInt8, random: np.random.Generator
) -> dict[str, float]:
    described, guide, predicted, _ = seen
    true = lab.to_rgb(lightness, ab)
    places, colours = patches(ab, max(NUMBERS), random)
    cells = places * guide.shape // lightness.shape
    found = {}
    for count in NUMBERS:
        hinted = spreading.hinted(described, predicted, cells[:count], colours[:count]) if count else predicted
        coloured = lab.to_rgb(lightness, _full(hinted, guide, lightness))
        found[f"{PSNR} {count}"] = float(metrics.psnr_of_error(metrics.squared_error(coloured[None], true[None]))[0])
    return found


def _with_a_wrong_hint(seen: Seen, spreading: Spreading, ab: UInt8, random: np.random.Generator) -> dict[str, float]:
    described, guide, predicted, _ = seen
    true = reduced(ab, guide.shape) - NEUTRAL
    found = dict.fromkeys((ON_THING, BESIDE, FAR), float("nan"))
    if (some := thing(guide, true, random)) is None:
        return found
    row, column = some.row, some.column
    wanted = predicted[row, column] + np.array([STEP, 0])
    hinted = spreading.hinted(described, predicted, np.array([[row, column]]), wanted[None])
    arrived = (hinted - predicted)[..., 0] / STEP
    for name, places in zip((ON_THING, BESIDE, FAR), (some.mask, *beyond(some, guide, true)), strict=True):
        if places.any():
            found[name] = float(arrived[places].mean())
    return found


def _best_of_variants(seen: Seen, spreading: Spreading, lightness: UInt8, ab: UInt8, seed: int) -> dict[str, float]:
    described, guide, predicted, logits = seen
    errors = []
    for number in range(max(VARIANTS)):
        values = varied(spreading, described, predicted, logits, number, seed) if number else predicted
        coloured = _full(values, guide, lightness)
        errors.append(float(metrics.squared_error(coloured[None], ab[None])[0]))
    return {f"{BEST} {count}": min(errors[:count]) for count in VARIANTS}


def _full(values: Float, guide: Float, lightness: UInt8) -> Float:
    """Return ab (H, W, 2) in 8-bit units, upsampled from a* and b* (h, w, 2) with L* (h, w) along L (H, W)."""
    upsampling = Upsampling(np.asarray(values, np.float32), guide, lightness.shape[:2])
    planes = upsampling.rows(0, lightness.astype(np.float32) / np.float32(2.55))
    return np.asarray(np.stack(planes, axis=-1) + np.float32(NEUTRAL))


def rows_of(measured: dict[str, metrics.Values], groups: Sequence[str]) -> Iterable[dict[str, object]]:
    """Yield the rows of hints.csv: means with 95 % intervals over groups; the gain is that over no hints."""
    zero = measured.get(f"{PSNR} 0", np.zeros(0))
    for name, values in measured.items():
        measure_name, _, count = name.partition(" ")
        yield _row(measure_name, count or "1", values, groups, np.sqrt if measure_name == BEST else None)
        if measure_name == PSNR and count != "0":
            yield _row(GAIN, count, values - zero, groups)


def _row(
    name: str,
    count: str,
    values: metrics.Values,
    groups: Sequence[str],
    formula: Callable[[metrics.Values], metrics.Values] | None = None,
) -> dict[str, object]:
    there = ~np.isnan(values)
    chosen = [group for group, known in zip(groups, there, strict=True) if known]
    means = Jackknife(chosen).means({name: values[there]})[name] if chosen else np.array([np.nan])
    numbers = ["" if each is None else f"{each:.4f}" for each in interval(formula(means) if formula else means)]
    return dict(zip(COLUMNS, (name, count, len(chosen), *numbers), strict=True))


def write(path: Path, measured: dict[str, metrics.Values], groups: Sequence[str]) -> None:
    """Write hints.csv."""
    csv_files.write(path, COLUMNS, rows_of(measured, groups))


def section(path: Path) -> str:
    """Return a section of the model card about hints and variants, of a file by `write`."""
    rows = {(row["measure"], row["count"]): row for row in csv_files.read(path, COLUMNS)}

    def cell(measure: str, count: int, digits: int) -> str:
        row = rows.get((measure, str(count)), {})
        numbers = [f"{float(row[key]):.{digits}f}" if row.get(key) else "" for key in ("value", "low", "high")]
        return f"{numbers[0]} ({numbers[1]} to {numbers[2]})" if all(numbers) else numbers[0]

    hints = table(
        ["hints", "PSNR, dB", "gain, dB"],
        ["--:"] * 3,
        [[str(count), cell(PSNR, count, 2), cell(GAIN, count, 2) if count else ""] for count in NUMBERS],
    )
    variants = table(
        ["variants", "RMSE of the best"], ["--:"] * 2, [[str(count), cell(BEST, count, 2)] for count in VARIANTS]
    )
    return f"""
## Hints and variants

With hints of the true colour at random places of the test photographs (mean over photographs, 95 % intervals):

{hints}

Of a hint of another colour, on average a share of {cell(ON_THING, 1, 2)} arrives at the other places of the same thing,
{cell(BESIDE, 1, 2)} beside it and {cell(FAR, 1, 2)} far from it, both beyond a strong edge.

Of several colourings, each photograph's best:

{variants}
"""

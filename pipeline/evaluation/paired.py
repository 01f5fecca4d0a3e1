"""Is it better? Paired differences between answers on the same images, and what they say of a run in plain words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.evaluation import bootstrap, scores
from pipeline.evaluation.measures import Values
from pipeline.evaluation.predictors import GRAY, MAJORITY, MEAN, SHUFFLED
from pipeline.evaluation.scores import EMBEDDING_SHUFFLED, MODEL, better

COLUMNS = ("run", "dataset", "partition", "n", "answer", "against", "metric", "value", "low", "high", "verdict")
# What a run must beat in the test images to have learned something: metric, answer, and what is said if it does not.
HURDLES = (
    ("rmse", MEAN, "not better than the mean colour"),
    ("rmse", GRAY, "not better than gray"),
    ("ciede2000", GRAY, "CIEDE2000 not better than gray"),
    ("accuracy", MAJORITY, "accuracy not better than majority"),
)
ONE_COLOUR = "The network answers one colour everywhere"  # how that finding begins
ALL_BUT_GRAY = 0.1  # of the truth's mean chroma
SAME = 1e-5  # relative; less is rounding: a network's answers are float32, a baseline's float64

Row = dict[str, Any]


def difference_rows(run: str, dataset: str, over: scores.Summed, chosen: Sequence[scores.Sample]) -> list[Row]:
    """The model's metrics minus those of every other answer, with the interval of the paired difference.

    Metrics of which neither way is better (colourfulness, chroma_ratio) are left out.

    Args:
        run: run name.
        dataset: dataset name.
        over: `scores.summed` of the model and the other answers, over the same samples; rows are in their order.
        chosen: the samples.

    Returns:
        Rows with `COLUMNS`; the verdict is `bootstrap.verdict`'s.
    """
    rows = []
    for against in dict.fromkeys(answer for here in over.values() for answer in here if answer != MODEL):
        for sample in chosen:
            here = over[sample.partition]
            for metric in here[MODEL]:
                if (way := better(metric)) is None or metric not in here[against]:
                    continue
                value, low, high = compare(here[MODEL][metric], here[against][metric])
                verdict = bootstrap.verdict(low, high, way)
                n = len(sample.rows)
                found = (run, dataset, sample.partition, n, MODEL, against, metric, value, low, high, verdict)
                rows.append({name: "" if item is None else item for name, item in zip(COLUMNS, found, strict=True)})
    return rows


def compare(one: Values, other: Values) -> tuple[float, float | None, float | None]:
    """A metric of one answer minus that of another, over the resamples, and its interval; 0 where they are `SAME`."""
    with np.errstate(invalid="ignore"):
        return bootstrap.interval(np.where(np.isclose(one, other, rtol=SAME, atol=0), 0.0, one - other))


_TOLD = (
    # metric, its name in a sentence, decimals, against, that answer's name in a sentence
    ("rmse", "RMSE", 2, MEAN, "the training images' mean colour"),
    ("rmse", "RMSE", 2, GRAY, "gray"),
    ("ciede2000", "CIEDE2000", 2, GRAY, "gray"),
    ("ciede2000", "CIEDE2000", 2, SHUFFLED, "another image's colours"),
    ("accuracy", "accuracy", 4, MAJORITY, "always answering the more frequent channel"),
)


def findings(
    status: str,
    rows: Sequence[Mapping[str, Any]],
    differences: Sequence[Mapping[str, Any]],
    only_colour: tuple[int, int] | None = None,
) -> list[str]:
    """What the test images say of a run, in sentences; a difference whose interval holds zero is not called better.

    Args:
        status: how training ended.
        rows: rows with `scores.COLUMNS`.
        differences: rows with `COLUMNS`.
        only_colour: the one (a, b), in 8-bit units, that the model answers everywhere, if there is but one.
    """
    value = {(r["answer"], r["metric"]): float(r["value"]) for r in rows if r["partition"] == "test"}
    found = {(r["against"], r["metric"]): r for r in differences if r["partition"] == "test"}
    if not math.isfinite(value.get((MODEL, "rmse"), math.nan)):
        return [f"The network's answers are not numbers ({status}): there is nothing to score but the accuracy."]
    sentences = []
    if only_colour:
        a, b = only_colour
        sentences.append(f"{ONE_COLOUR}, a = {a}, b = {b}: it has learned no colours.")
    for metric, name, digits, against, other in _TOLD:
        if (against, metric) in found:
            numbers = f"{name} {value[MODEL, metric]:.{digits}f}, {value[against, metric]:.{digits}f} for {other}"
            sentences.append(f"{numbers}: {_judged(found[against, metric], digits)}.")
    ratio = value.get((MODEL, "chroma_ratio"), math.nan)
    if ratio < ALL_BUT_GRAY:
        sentences.append(f"The colours are all but gray: {ratio:.0%} of the true pictures' chroma.")
    elif math.isfinite(ratio):
        sentences.append(f"The colours have {ratio:.0%} of the true pictures' chroma.")
    if row := found.get((EMBEDDING_SHUFFLED, "rmse")):
        with_others = f"RMSE {value[EMBEDDING_SHUFFLED, 'rmse']:.2f} with other images' embeddings"
        own = f"{value[MODEL, 'rmse']:.2f} with its own"
        sentences.append(f"Does the embedding matter? {with_others}, {own}: {_judged(row, 2)}.")
    return sentences


def signed(value: float, digits: int) -> str:
    """A difference with its sign; what would be told as 0 in these decimals, and is not, gets as many as it needs."""
    if value and math.isfinite(value) and not float(f"{value:.{digits}f}"):
        return str(np.format_float_positional(value, precision=1, fractional=False, trim="-", sign=True))
    return f"{value:+.{digits}f}"


def _judged(row: Mapping[str, Any], digits: int) -> str:
    difference = float(row["value"])
    if row["verdict"] != "no interval":
        low, high = (signed(float(row[end]), digits) for end in ("low", "high"))
        return f"{row['verdict']} (difference {signed(difference, digits)}, 95 % interval {low} to {high})"
    if difference == 0:
        return "no difference"
    lower_is_better = better(row["metric"]) == "lower"
    way = "better" if (difference < 0) == lower_is_better else "worse"
    return f"{way} on these images, with no interval to tell it from chance"


def remark(differences: Sequence[Mapping[str, Any]]) -> str:
    """A few words on the test images for a table: empty only if the model is shown to clear all `HURDLES`."""
    found = {(r["against"], r["metric"]): r for r in differences if r["partition"] == "test"}
    if (MEAN, "rmse") not in found:
        return "not compared"
    if not math.isfinite(float(found[MEAN, "rmse"]["value"])):
        return "no answer: not a number"
    missed, unsure = [], False
    for metric, against, text in HURDLES:
        row = found.get((against, metric))
        if row is None or row["verdict"] == "better":
            continue
        value = float(row["value"])
        if row["verdict"] == "no interval" and (value < 0 if better(metric) == "lower" else value > 0):
            unsure = True
        else:
            missed.append(text)
    return "; ".join(missed + ["better, but not told from chance"] * (unsure and not missed))

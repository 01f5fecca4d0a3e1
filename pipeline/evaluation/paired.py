"""Paired differences between answers to the same images, and the findings about a run in plain words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.config import runs
from pipeline.evaluation import intervals, scores
from pipeline.evaluation.metrics import Values
from pipeline.evaluation.predictors import BASELINES, GRAY, MAJORITY, MEAN, SHUFFLED
from pipeline.evaluation.scores import EMBEDDING_SHUFFLED, MODEL, START
from pipeline.evaluation.vocabulary import heading, signed, term

COLUMNS = ("run", "dataset", "partition", "n", "answer", "against", "metric", "value", "low", "high", "verdict")
# A run that has learned something beats these baselines in these metrics on the test images.
HURDLES = (("rmse", MEAN), ("rmse", GRAY), ("ciede2000", GRAY), ("accuracy", MAJORITY))
_FOUND = (*HURDLES[:3], ("ciede2000", SHUFFLED), HURDLES[3])
ONE_COLOUR = "The network answers one colour everywhere"  # the start of that finding
ALL_BUT_GRAY = 0.1  # of the truth's mean chroma
SAME = 1e-5  # relative; smaller differences are rounding, since networks answer in float32

Row = dict[str, Any]


def difference_rows(run: str, dataset: str, over: scores.Summed, samples: Sequence[scores.Sample]) -> list[Row]:
    """Subtract every other answer's metrics from the model's: rows with `COLUMNS` and an `intervals.verdict`.

    Metrics without a better direction (colourfulness, chroma_ratio) are omitted.

    `over` is the result of `scores.summed` for the model and the other answers over the same `samples`.
    """
    rows = []
    for against in dict.fromkeys(answer for here in over.values() for answer in here if answer != MODEL):
        for sample in samples:
            own, other, n = over[sample.partition][MODEL], over[sample.partition][against], len(sample.rows)
            for metric in own:
                if (better := term(metric).better) and metric in other:
                    value, low, high = compare(own[metric], other[metric])
                    verdict = intervals.verdict(low, high, better)
                    row = (run, dataset, sample.partition, n, MODEL, against, metric, value, low, high, verdict)
                    rows.append(scores.as_row(COLUMNS, row))
    return rows


def compare(one: Values, other: Values) -> tuple[float, float | None, float | None]:
    """The difference of a metric between two answers and its interval; 0 where they are the `SAME`."""
    with np.errstate(invalid="ignore"):
        return intervals.interval(np.where(np.isclose(one, other, rtol=SAME, atol=0), 0.0, one - other))


def findings(
    status: str,
    rows: Sequence[Mapping[str, Any]],
    differences: Sequence[Mapping[str, Any]],
    only_colour: tuple[int, int] | None = None,
) -> list[str]:
    """The findings about a run on the test images, as sentences.

    Args:
        status: how training ended.
        rows: with `scores.COLUMNS`.
        differences: rows with `COLUMNS`.
        only_colour: (a, b), in 8-bit units, if the model answers this one colour everywhere.
    """
    value = {(r["answer"], r["metric"]): float(r["value"]) for r in rows if r["partition"] == "test"}
    against = _of_test(differences)
    if not math.isfinite(value.get((MODEL, "rmse"), math.nan)):
        return [runs.NO_NUMBERS.format(status)]
    sentences = []
    if only_colour:
        a, b = only_colour
        sentences.append(f"{ONE_COLOUR}, a = {a}, b = {b}: it has learned no colours.")
    for metric, baseline in _FOUND:
        if row := against.get((metric, baseline)):
            numbers = _numbers(metric, value[MODEL, metric], value[baseline, metric])
            sentences.append(f"{numbers} for {BASELINES[baseline].meaning}: {_judged(row)}.")
    if row := against.get(("ciede2000", START)):
        numbers = _numbers("ciede2000", value[MODEL, "ciede2000"], value[START, "ciede2000"])
        sentences.append(f"What did these photographs add? {numbers} with the starting weights: {_judged(row)}.")
    ratio = value.get((MODEL, "chroma_ratio"), math.nan)
    if ratio < ALL_BUT_GRAY:
        sentences.append(f"The colours are all but gray: {ratio:.0%} of the true pictures' chroma.")
    elif math.isfinite(ratio):
        sentences.append(f"The colours have {ratio:.0%} of the true pictures' chroma.")
    if row := against.get(("rmse", EMBEDDING_SHUFFLED)):
        numbers = _numbers("rmse", value[MODEL, "rmse"], value[EMBEDDING_SHUFFLED, "rmse"])
        sentences.append(f"Does the embedding matter? {numbers} with another image's embedding: {_judged(row)}.")
    return sentences


def _numbers(metric: str, own: float, other: float) -> str:
    digits = term(metric).digits
    return f"{term(metric).label} {own:.{digits}f} against {other:.{digits}f}"


def _judged(row: Mapping[str, Any]) -> str:
    difference, digits = float(row["value"]), term(row["metric"]).digits
    if row["verdict"] != "no interval":
        low, high = (signed(float(row[end]), digits) for end in ("low", "high"))
        return f"{row['verdict']} (difference {signed(difference, digits)}, 95 % interval {low} to {high})"
    if difference == 0:
        return "no difference"
    return f"{'better' if _gains(row) else 'worse'} on these images, but without an interval this may be chance"


def _gains(row: Mapping[str, Any]) -> bool:
    """Whether the value is better, ignoring the interval; False for NaN."""
    value = float(row["value"])
    return value < 0 if term(row["metric"]).better == "lower" else value > 0


def _of_test(differences: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The model's differences on the test images, by metric and other answer."""
    return {(r["metric"], r["against"]): r for r in differences if r["partition"] == "test" and r["answer"] == MODEL}


def missed(differences: Sequence[Mapping[str, Any]]) -> list[str]:
    """The `HURDLES` that a run misses on the test images, in words. Without an interval the value decides."""
    against = _of_test(differences)
    return [
        f"{term(metric).label} no better than {heading(baseline)}"
        for metric, baseline in HURDLES
        if (row := against.get((metric, baseline)))
        and not (row["verdict"] == "better" or (row["verdict"] == "no interval" and _gains(row)))
    ]


def _cleared(against: Mapping[tuple[str, str], Mapping[str, Any]], metric: str) -> list[str]:
    """The `HURDLES` of a metric that a run clears on the test images, in words."""
    found: dict[str, list[str]] = {}
    for _, baseline in (hurdle for hurdle in HURDLES if hurdle[0] == metric and hurdle in against):
        row = against[metric, baseline]
        if row["verdict"] == "better":
            found.setdefault("better than", []).append(heading(baseline))
        elif row["verdict"] == "no interval" and _gains(row):
            found.setdefault("on these images better than", []).append(heading(baseline))
    return [f"{term(metric).label} {words} {' and '.join(baselines)}" for words, baselines in found.items()]


def remark(differences: Sequence[Mapping[str, Any]]) -> str:
    """A short remark on the test images for a table; empty if the model clears all `HURDLES` with intervals.

    If it misses some, but none in RMSE, the remark also says which baselines it beats in RMSE.
    """
    against = _of_test(differences)
    if ("rmse", MEAN) not in against:
        return "not compared"
    if not math.isfinite(float(against["rmse", MEAN]["value"])):
        return "no answer: not a number"
    if texts := missed(differences):
        of_rmse = any(text.startswith(term("rmse").label) for text in texts)
        return "; ".join(texts if of_rmse else [*_cleared(against, "rmse"), *texts])
    unsure = any(against[hurdle]["verdict"] == "no interval" for hurdle in HURDLES if hurdle in against)
    return "better, but without an interval this may be chance" if unsure else ""

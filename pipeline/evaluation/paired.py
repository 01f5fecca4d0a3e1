"""Paired differences between answers on the same images, and the findings about a run in plain words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.evaluation import bootstrap, scores
from pipeline.evaluation.metrics import Values
from pipeline.evaluation.predictors import BASELINES, GRAY, MAJORITY, MEAN, SHUFFLED
from pipeline.evaluation.scores import EMBEDDING_SHUFFLED, MODEL
from pipeline.evaluation.vocabulary import heading, signed, term

COLUMNS = ("run", "dataset", "partition", "n", "answer", "against", "metric", "value", "low", "high", "verdict")
# A run that has learned something beats these on the test images: metric and baseline.
HURDLES = (("rmse", MEAN), ("rmse", GRAY), ("ciede2000", GRAY), ("accuracy", MAJORITY))
_FOUND = (*HURDLES[:3], ("ciede2000", SHUFFLED), HURDLES[3])
ONE_COLOUR = "The network answers one colour everywhere"  # the start of that finding
ALL_BUT_GRAY = 0.1  # of the truth's mean chroma
SAME = 1e-5  # relative; smaller differences are rounding, since networks answer in float32

Row = dict[str, Any]


def difference_rows(run: str, dataset: str, over: scores.Summed, chosen: Sequence[scores.Sample]) -> list[Row]:
    """The model's metrics minus those of every other answer, with the interval of the paired difference.

    Metrics without a better direction (colourfulness, chroma_ratio) are left out.

    Args:
        run: run name.
        dataset: dataset name.
        over: `scores.summed` of the model and the other answers over the same samples.
        chosen: the samples.

    Returns:
        Rows with `COLUMNS`; the verdict is `bootstrap.verdict`'s.
    """
    rows = []
    for against in dict.fromkeys(answer for here in over.values() for answer in here if answer != MODEL):
        for sample in chosen:
            here = over[sample.partition]
            for metric in here[MODEL]:
                if (way := term(metric).better) is None or metric not in here[against]:
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


def findings(
    status: str,
    rows: Sequence[Mapping[str, Any]],
    differences: Sequence[Mapping[str, Any]],
    only_colour: tuple[int, int] | None = None,
) -> list[str]:
    """The findings about a run on the test images, in sentences.

    Args:
        status: how training ended.
        rows: rows with `scores.COLUMNS`.
        differences: rows with `COLUMNS`.
        only_colour: (a, b), in 8-bit units, if the model answers this one colour everywhere.
    """
    value = {(r["answer"], r["metric"]): float(r["value"]) for r in rows if r["partition"] == "test"}
    found = _against(differences)
    if not math.isfinite(value.get((MODEL, "rmse"), math.nan)):
        return [f"The network's answers are not numbers ({status}); only their accuracy can be scored."]
    sentences = []
    if only_colour:
        a, b = only_colour
        sentences.append(f"{ONE_COLOUR}, a = {a}, b = {b}: it has learned no colours.")
    for metric, against in _FOUND:
        if row := found.get((metric, against)):
            numbers = _numbers(metric, value[MODEL, metric], value[against, metric])
            sentences.append(f"{numbers} for {BASELINES[against].meaning}: {_judged(row)}.")
    ratio = value.get((MODEL, "chroma_ratio"), math.nan)
    if ratio < ALL_BUT_GRAY:
        sentences.append(f"The colours are all but gray: {ratio:.0%} of the true pictures' chroma.")
    elif math.isfinite(ratio):
        sentences.append(f"The colours have {ratio:.0%} of the true pictures' chroma.")
    if row := found.get(("rmse", EMBEDDING_SHUFFLED)):
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
    return bool(float(row["value"]) * (-1 if term(row["metric"]).better == "lower" else 1) > 0)


def _against(differences: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The model's differences on the test images, by metric and baseline."""
    return {(r["metric"], r["against"]): r for r in differences if r["partition"] == "test" and r["answer"] == MODEL}


def missed(differences: Sequence[Mapping[str, Any]]) -> list[str]:
    """The `HURDLES` that a run misses on the test images, in words. Without an interval the value decides."""
    found = _against(differences)
    return [
        f"{term(metric).label} no better than {heading(against)}"
        for metric, against in HURDLES
        if (row := found.get((metric, against)))
        and not (row["verdict"] == "better" or (row["verdict"] == "no interval" and _gains(row)))
    ]


def remark(differences: Sequence[Mapping[str, Any]]) -> str:
    """A short remark on the test images for a table; empty if the model clears all `HURDLES` with intervals."""
    found = _against(differences)
    if ("rmse", MEAN) not in found:
        return "not compared"
    if not math.isfinite(float(found["rmse", MEAN]["value"])):
        return "no answer: not a number"
    if texts := missed(differences):
        return "; ".join(texts)
    unsure = any(found[hurdle]["verdict"] == "no interval" for hurdle in HURDLES if hurdle in found)
    return "better, but without an interval this may be chance" if unsure else ""

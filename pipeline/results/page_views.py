"""What stands on the pages, made ready for the templates and the scripts."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pipeline.evaluation import scores
from pipeline.evaluation.paired import HURDLES, ONE_COLOUR
from pipeline.results.read import OF_AN_IMAGE, RunResults, Score
from pipeline.results.vocabulary import MEASURES, number
from pipeline.results.vocabulary import answers as known_answers

PARTITIONS = ("test", "validation", "train")  # the one that counts comes first
MISSING = "–"
MOST_BYTES_OF_A_FIGURE = 600_000  # a larger one is loaded only when it is asked for


class Cell(NamedTuple):
    """A table's cell.

    Attributes:
        note: the interval, in small print.
        value: what to sort by; empty text where there is nothing.
        verdict: what may be said of a difference.
        paper: the paper's figure, and ours minus it.
    """

    text: str
    note: str = ""
    value: float | str = ""
    verdict: str = ""
    paper: tuple[str, str] | None = None


def cell(score: Score | None, metric: str, *, sign: bool = False, verdict: str = "") -> Cell:
    """A score, or a dash where there is none."""
    if score is None:
        return Cell(MISSING)
    note = ""
    if score.low is not None and score.high is not None:
        note = f"{number(score.low, metric, sign=sign)} to {number(score.high, metric, sign=sign)}"
    return Cell(number(score.value, metric, sign=sign), note, score.value, verdict)


def badges(run: RunResults) -> list[tuple[str, str]]:
    """What must be seen at once: a kind (loud or bad) and a text each."""
    found = []
    if run.weights == "random":
        found.append(("loud", "RANDOM embedding weights"))
    if run.status.startswith("diverged"):
        found.append(("bad", "diverged"))
    if any(sentence.startswith(ONE_COLOUR) for sentence in run.findings):
        found.append(("bad", "one colour everywhere"))
    for metric, answer, text in HURDLES:
        if ("test", scores.MODEL, metric) not in run.scores or ("test", answer, metric) not in run.scores:
            continue
        gain = run.value("test", answer, metric) - run.value("test", scores.MODEL, metric)
        gain = gain if scores.better(metric) == "lower" else -gain
        difference = run.differences.get("test", {}).get((scores.MODEL, answer), {}).get(metric)
        verdict = difference.verdict if difference else "no interval"
        # Written so that NaN is not better either. What has no interval is judged by the value alone.
        if verdict not in ("better", "no interval") or not gain > 0:
            found.append(("bad", text))
    if run.problems:
        found.append(("bad", "files missing or damaged"))
    return found


def run_view(run: RunResults) -> dict[str, Any]:
    """What the page of a run is filled with."""
    scored = []
    for partition in PARTITIONS:
        mine = {(answer, metric): s for (p, answer, metric), s in run.scores.items() if p == partition}
        answers = _ordered({answer for answer, _ in mine}, known_answers())
        metrics = _ordered({metric for _, metric in mine}, MEASURES)
        rows = [(m, [cell(mine.get((a, m)), m) for a in answers]) for m in metrics]
        if rows:
            scored.append((partition, answers, rows))
    differences = []
    for partition in PARTITIONS:
        found = run.differences.get(partition, {})
        pairs = sorted(found, key=lambda pair: tuple(_place(answer, known_answers()) for answer in pair))
        metrics = _ordered({metric for values in found.values() for metric in values}, MEASURES)
        rows = []
        for metric in metrics:
            line = [(found[pair].get(metric)) for pair in pairs]
            rows.append(
                (metric, [cell(d.score, metric, sign=True, verdict=d.verdict) if d else Cell("") for d in line])
            )
        if rows:
            differences.append((partition, pairs, rows))
    return {
        "run": run,
        "scored": scored,
        "differences": differences,
        "figures": [figure for name in ("curves", "chroma") if (figure := _figure(run, name))],
        "more_figures": [figure for name in ("errors", "predictions") if (figure := _figure(run, name))],
        "settings": _flat({key: value for key, value in run.info.items() if key != "findings"}),
    }


def _ordered(names: Iterable[str], known: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: _place(name, known))


def _place(name: str, known: Iterable[str]) -> tuple[int, str]:
    order = list(known)
    return (order.index(name) if name in order else len(order)), name


def _figure(run: RunResults, name: str) -> tuple[str, str] | None:
    """Name and file of a figure: the vector one, unless that one is large."""
    for suffix in (".svg", ".png"):
        if 0 < run.files.get(name + suffix, 0) <= MOST_BYTES_OF_A_FIGURE:
            return name, name + suffix
    return next(((name, name + suffix) for suffix in (".png", ".svg") if name + suffix in run.files), None)


def _flat(value: Any, prefix: str = "", depth: int = 0) -> dict[str, str]:
    """Nested settings as one level, ``training.epochs: 2``."""
    if isinstance(value, Mapping) and value and depth < 8:
        found: dict[str, str] = {}
        for key, inner in value.items():
            found |= _flat(inner, f"{prefix}.{key}" if prefix else str(key), depth + 1)
        return found
    if isinstance(value, list | tuple):
        return {prefix: ", ".join(map(str, value))}
    return {prefix: "none" if value is None else str(value)}


def script_data(run: RunResults, whole: frozenset[int]) -> dict[str, Any]:
    """What the script of the run's page needs. NaN and Infinity are kept: a script may hold them, JSON may not.

    Args:
        whole: the rows whose true and gray pictures are there.
    """
    return {
        "run": run.name,
        "dataset": run.dataset,
        "rows": run.images.rows,
        "ids": run.images.ids,
        "measures": run.images.measures,
        "metrics": {name: MEASURES[name].label for name in OF_AN_IMAGE},
        "digits": OF_AN_IMAGE,
        "withoutPicture": sorted(set(run.images.rows) - run.pictures),
        "withoutTruth": sorted(set(run.images.rows) - whole),
    }

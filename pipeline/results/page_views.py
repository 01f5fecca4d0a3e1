"""What the pages show, prepared for the templates and the script."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.evaluation import paired, vocabulary
from pipeline.evaluation.scores import MODEL, PAPER
from pipeline.evaluation.vocabulary import number
from pipeline.results.read import RunResults, Score
from pipeline.results.tables import Cell, cell

PARTITIONS = ("test", "validation", "train")  # the one that counts comes first
MOST_BYTES_OF_A_FIGURE = 600_000  # a larger one is loaded only when it is asked for
# Columns of the overview: partition and metric.
OVERVIEW = (
    ("validation", "rmse"),
    ("validation", "accuracy"),
    ("test", "rmse"),
    ("test", "ciede2000"),
    ("test", "accuracy"),
)


def overview(run: RunResults, answer: str = MODEL) -> list[Cell]:
    """The cells of a row of the overview; with the paper's figures where it has some for the run."""
    cells = []
    for partition, metric in OVERVIEW:
        shown = cell(run.scores.get((partition, answer, metric)), metric)
        paper = run.scores.get((partition, PAPER, metric))
        if answer == MODEL and paper is not None:
            gap = run.score(partition, metric).value - paper.value
            shown = shown._replace(paper=(number(paper.value, metric), number(gap, metric, sign=True)))
        cells.append(shown)
    return cells


def badges(run: RunResults) -> list[tuple[str, str]]:
    """What must be seen at once: a kind (loud or bad) and a text each."""
    found = []
    if run.weights == "random":
        found.append(("loud", "RANDOM embedding weights"))
    if run.status.startswith("diverged"):
        found.append(("bad", "diverged"))
    if run.one_colour:
        found.append(("bad", "one colour everywhere"))
    found += [("bad", text) for text in paired.missed(run.compared)]
    if run.problems:
        found.append(("bad", "files missing or damaged"))
    return found


def run_view(run: RunResults) -> dict[str, Any]:
    """What the page of a run is filled with."""
    scored, differences = [], []
    answers = vocabulary.answers()
    for partition in PARTITIONS:
        mine = {(answer, metric): s for (p, answer, metric), s in run.scores.items() if p == partition}
        columns = _ordered({answer for answer, _ in mine}, answers)
        rows = [
            (metric, [cell(mine.get((answer, metric)), metric) for answer in columns])
            for metric in _ordered({metric for _, metric in mine}, vocabulary.TABLE_ORDER)
        ]
        if rows:
            scored.append((partition, columns, rows))
        found = {
            ((row["answer"], row["against"]), row["metric"]): cell(
                Score.of(row), row["metric"], sign=True, verdict=row["verdict"]
            )
            for row in run.differences
            if row["partition"] == partition
        }
        pairs = sorted({pair for pair, _ in found}, key=lambda pair: [_place(answer, answers) for answer in pair])
        rows = [
            (metric, [found.get((pair, metric), Cell("")) for pair in pairs])
            for metric in _ordered({metric for _, metric in found}, vocabulary.TABLE_ORDER)
        ]
        if rows:
            differences.append((partition, pairs, rows))
    return {
        "run": run,
        "scored": scored,
        "differences": differences,
        "figures": [figure for name in ("curves", "chroma") if (figure := _figure(run, name))],
        "more_figures": [figure for name in ("errors", "predictions") if (figure := _figure(run, name))],
        "settings": _flat({key: value for key, value in run.record.items() if key != "findings"}),
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
        "metrics": {name: vocabulary.term(name).label for name in run.images.measures},
        "digits": {name: vocabulary.term(name).digits for name in run.images.measures},
        "withoutPicture": sorted(set(run.images.rows) - run.pictures),
        "withoutTruth": sorted(set(run.images.rows) - whole),
    }

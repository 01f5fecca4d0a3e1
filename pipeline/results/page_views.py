"""The contents of the pages, prepared for the templates and the script."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config.sweeps import RUN
from pipeline.core import csv_files
from pipeline.evaluation import paired, vocabulary
from pipeline.evaluation.scores import MODEL, PAPER
from pipeline.evaluation.vocabulary import number
from pipeline.results import costs, ranking
from pipeline.results.read import RunResults, Score
from pipeline.results.tables import MISSING, Cell, cell

PARTITIONS = ("test", "validation", "train")  # in the order of the page
MOST_BYTES_OF_A_FIGURE = 600_000  # of an SVG; a larger one is replaced by its PNG if that is smaller
# Columns of the overview: partition and metric.
OVERVIEW = (("validation", "rmse"), ("validation", "accuracy"), ("test", "rmse"), ("test", "ciede2000"),
            ("test", "accuracy"))  # fmt: skip


def overview(run: RunResults, answer: str = MODEL) -> list[Cell]:
    """Return the cells of a row of the overview; the model's also show the paper's scores of the run."""
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
    """Return the warnings shown beside a run's name: a kind ("loud" or "bad") and a text each."""
    bad = ["diverged"] if run.status.startswith("diverged") else []
    bad += ["one colour everywhere"] if run.one_colour else []
    bad += paired.missed(run.compared)
    bad += ["files missing or damaged"] if run.problems else []
    loud = [("loud", "RANDOM embedding weights")] if run.weights == "random" else []
    return loud + [("bad", text) for text in bad]


def ranking_view(path: Path) -> dict[str, Any]:
    """Return the ranking of a sweep for index.html, from its CSV file (see `pipeline.results.ranking`).

    Raises:
        InputError: the file is damaged.
    """
    rows, known = csv_files.read(path, ranking.COLUMNS), costs.written(path.with_suffix(".costs.csv"))
    metric = rows[0]["metric"] if rows else ranking.METRIC
    label = vocabulary.term(metric).label
    # A list of runs has no other settings.
    named = all(row["settings"] == f"{RUN}={row['combination']}" for row in rows)
    headings = ["", *([] if named else ["settings"]), "seeds", label, "minus best", "verdict", *costs.HEADINGS]

    def cell_of(row: Mapping[str, str], name: str, *, sign: bool = False) -> tuple[float | None, str]:
        value, low, high = (float(row[f"{name}{end}"] or "nan") for end in ("", "_low", "_high"))
        if math.isnan(value):
            return None, MISSING
        text = number(value, metric, sign=sign)
        if not math.isnan(low):
            text += f" ({number(low, metric, sign=sign)} to {number(high, metric, sign=sign)})"
        return value, text

    shown = []
    for row in rows:
        cost = known.get(row["combination"], costs.UNKNOWN)
        score = {"score": row["value"], "score_low": row["low"], "score_high": row["high"]}
        shown.append([
            (None, row["combination"]), *([] if named else [(None, row["settings"])]),
            (None, f"{row['seeds']} of {row['asked']}"),
            cell_of(score, "score"), cell_of(row, "minus_best", sign=True), (None, row["verdict"]),
            *((None if math.isnan(value) else value, text) for value, text in zip(cost, cost.shown(), strict=True)),
        ])  # fmt: skip
    numeric = {*range(headings.index(label), len(headings))} - {headings.index("verdict")}
    return {"name": path.stem, "metric": label, "headings": headings, "numbers": numeric, "rows": shown}


def run_view(run: RunResults) -> dict[str, Any]:
    """Return the variables of run.html."""
    scored, differences = [], []
    for partition in PARTITIONS:
        scores = {((answer,), m): cell(score, m) for (p, answer, m), score in run.scores.items() if p == partition}
        pairs = {
            ((row["answer"], row["against"]), row["metric"]): cell(
                Score.of(row), row["metric"], sign=True, verdict=row["verdict"]
            )
            for row in run.differences
            if row["partition"] == partition
        }
        scored += [(partition, *_matrix(scores, MISSING))] if scores else []
        differences += [(partition, *_matrix(pairs, ""))] if pairs else []
    return {
        "run": run,
        "scored": scored,
        "differences": differences,
        "figures": [figure for name in ("curves", "chroma") if (figure := _figure(run, name))],
        "more_figures": [figure for name in ("errors", "predictions") if (figure := _figure(run, name))],
        "settings": _flat({key: value for key, value in run.record.items() if key != "findings"}),
    }


def _matrix(cells: Mapping[tuple[Any, str], Cell], missing: str) -> tuple[list[Any], list[tuple[str, list[Cell]]]]:
    """Arrange cells, by answers and metric, as columns and rows in the vocabulary's order."""
    answers, metrics = vocabulary.answers(), vocabulary.metrics()
    columns = sorted({column for column, _ in cells}, key=lambda column: [_place(name, answers) for name in column])
    names = sorted({metric for _, metric in cells}, key=lambda metric: _place(metric, metrics))
    return columns, [(metric, [cells.get((column, metric), Cell(missing)) for column in columns]) for metric in names]


def _place(name: str, known: Sequence[str]) -> tuple[int, str]:
    return (known.index(name) if name in known else len(known)), name


def _figure(run: RunResults, name: str) -> tuple[str, str] | None:
    """Return name and file of a figure: the SVG, unless it is large."""
    for suffix in (".svg", ".png"):
        if 0 < run.files.get(name + suffix, 0) <= MOST_BYTES_OF_A_FIGURE:
            return name, name + suffix
    return next(((name, name + suffix) for suffix in (".png", ".svg") if name + suffix in run.files), None)


def _flat(value: Any, prefix: str = "", depth: int = 0) -> dict[str, str]:
    """Flatten nested settings to one level: ``training.epochs: 2``."""
    if isinstance(value, Mapping) and value and depth < 8:
        parts = (_flat(inner, f"{prefix}.{key}" if prefix else str(key), depth + 1) for key, inner in value.items())
        return {key: text for part in parts for key, text in part.items()}
    if isinstance(value, list | tuple):
        return {prefix: ", ".join(map(str, value))}
    return {prefix: "none" if value is None else str(value)}


def script_data(run: RunResults, complete: Iterable[int]) -> dict[str, Any]:
    """Return the data of the page's script, with NaN and Infinity, which a script may contain but JSON may not.

    Args:
        run: the run.
        complete: the rows that have a true and a gray picture.
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
        "withoutTruth": sorted(set(run.images.rows).difference(complete)),
    }

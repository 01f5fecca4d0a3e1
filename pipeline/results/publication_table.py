"""A table of chosen runs and metrics, to be pasted into a text: Markdown, LaTeX or CSV.

The best value of a column is bold only if it is clearly better than every other run's: the interval of each difference
on the same images lies on one side of zero.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.paths import ResultFiles
from pipeline.core.errors import InputError
from pipeline.evaluation import intervals, paired
from pipeline.evaluation.scores import MODEL
from pipeline.evaluation.vocabulary import heading, number, term
from pipeline.results import image_scores
from pipeline.results.markdown import table
from pipeline.results.read import RunResults, Score, read_run
from pipeline.results.record import scored_on
from pipeline.results.tables import cell

METRICS = ("rmse", "ciede2000", "auc", "chroma_ratio")


@dataclass
class Row:
    """A run or a baseline: its name, and its scores by metric."""

    name: str
    scores: dict[str, Score]


@dataclass
class Chosen:
    """The table: runs first, then baselines.

    Attributes:
        best: the clearly best run of each metric that has one.
    """

    metrics: Sequence[str]
    rows: list[Row]
    best: dict[str, str]


def choose(
    results: Path, names: Sequence[str], metrics: Sequence[str], baselines: Sequence[str], partition: str
) -> Chosen:
    """Read the scores of runs in `results`.

    Args:
        results: the folder of all results.
        names: of the runs.
        metrics: the columns.
        baselines: answers that need no training, for example "gray", as further rows.
        partition: the images.

    Raises:
        InputError: a run, metric or baseline is missing, or the runs were scored on different images.
    """
    runs = [read_run(results / name, name, images=False) for name in names]
    for run in runs:
        needed = [run.problems.get(name, "") for name in (ResultFiles.record.name, ResultFiles.metrics.name)]
        if problem := next(filter(None, needed), "" if run.scores else "no scores"):
            raise InputError(f"{results / run.name}: expected the results of a run, received: {problem}")
    if other := next((each.name for each in runs if scored_on(each.record) != scored_on(runs[0].record)), None):
        raise InputError(
            f"{names[0]} and {other} were scored on different images or splits; choose runs of one dataset"
        )
    rows = [Row(run.name, {metric: _score(run, partition, MODEL, metric) for metric in metrics}) for run in runs]
    rows += [
        Row(heading(each), {metric: _score(runs[0], partition, each, metric) for metric in metrics})
        for each in baselines
    ]
    return Chosen(metrics, rows, _best(results, runs, metrics, partition))


def _score(run: RunResults, partition: str, answer: str, metric: str) -> Score:
    score = run.scores.get((partition, answer, metric))
    if score is None and answer == MODEL:
        known = sorted({name for part, own, name in run.scores if (part, own) == (partition, MODEL)})
        if not known:
            raise InputError(f"{run.name}: no images in the partition {partition}; choose another --partition")
        raise InputError(f"{run.name}: expected one of its metrics ({', '.join(known)}), received {metric!r}")
    if score is None and not any(own == answer for _, own, _ in run.scores):
        known = sorted({own for _, own, _ in run.scores if own != MODEL})
        raise InputError(f"--baseline: expected one of {', '.join(known)}, received {answer!r}")
    return score or Score(math.nan)


def _best(results: Path, runs: Sequence[RunResults], metrics: Sequence[str], partition: str) -> dict[str, str]:
    """Return the run whose differences from all others are clearly better, by metric."""
    if len(runs) < 2:
        return {}
    over = {run.name: image_scores.summed(results / run.name, run.record, partition) for run in runs}
    best = {}
    for metric in metrics:
        if (better := term(metric).better) is None or any(metric not in each for each in over.values()):
            continue
        for name, own in over.items():
            others = [paired.compare(own[metric], each[metric]) for other, each in over.items() if other != name]
            if all(intervals.verdict(low, high, better) == "better" for _, low, high in others):
                best[metric] = name
    return best


def markdown(chosen: Chosen) -> str:
    """Return the table in Markdown."""

    def text(row: Row, metric: str) -> str:
        line = cell(row.scores[metric], metric).line
        return f"**{line}**" if chosen.best.get(metric) == row.name else line

    body = [[row.name, *(text(row, metric) for metric in chosen.metrics)] for row in chosen.rows]
    headings = ["", *(term(metric).label for metric in chosen.metrics)]
    return f"{table(headings, [':--', *['--:'] * len(chosen.metrics)], body)}\n"


def latex(chosen: Chosen) -> str:
    """Return the table in LaTeX, for the package booktabs."""

    def text(row: Row, metric: str) -> str:
        value, low, high = row.scores[metric]
        if math.isnan(value):
            return "--"
        line = _minus(number(value, metric))
        if low is not None and high is not None:
            line += f" ({_minus(number(low, metric))} to {_minus(number(high, metric))})"
        return rf"\textbf{{{line}}}" if chosen.best.get(metric) == row.name else line

    arrows = {"lower": r" $\downarrow$", "higher": r" $\uparrow$", None: ""}
    heads = ["", *(_escaped(term(metric).label) + arrows[term(metric).better] for metric in chosen.metrics)]
    lines = [[_escaped(row.name), *(text(row, metric) for metric in chosen.metrics)] for row in chosen.rows]
    body = "\n".join(f"{' & '.join(line)} \\\\" for line in lines)
    columns = "l" + "r" * len(chosen.metrics)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{' & '.join(heads)} \\\\\n\\midrule\n{body}\n\\bottomrule\n"
        "\\end{tabular}\n"
    )


def comma_separated(chosen: Chosen) -> str:
    """Return the table as CSV, with all digits."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    ends = ("", "_low", "_high")
    writer.writerow(["name", *(f"{metric}{end}" for metric in chosen.metrics for end in ends)])
    for row in chosen.rows:
        values: list[Any] = [value for metric in chosen.metrics for value in row.scores[metric]]
        writer.writerow([row.name, *("" if value is None or math.isnan(value) else value for value in values)])
    return file.getvalue()


WRITTEN = {"markdown": markdown, "latex": latex, "csv": comma_separated}


def _minus(text: str) -> str:
    return text.replace("−", "$-$").replace("∞", r"$\infty$")


def _escaped(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {c: f"\\{c}" for c in "&%$#_{}"}
    return "".join(special.get(c, c) for c in text)

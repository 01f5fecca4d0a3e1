"""Tables of runs: which runs share a table, their order, and the text of cells."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.evaluation import vocabulary
from pipeline.evaluation.scores import MODEL
from pipeline.evaluation.vocabulary import number
from pipeline.results.read import RunResults, Score

MISSING = "–"


class Cell(NamedTuple):
    """A table's cell.

    Attributes:
        note: the interval.
        value: the sort key; empty text without a score.
        verdict: the judgement of a difference.
        paper: the paper's score, and the run's minus that.
    """

    text: str
    note: str = ""
    value: float | str = ""
    verdict: str = ""
    paper: tuple[str, str] | None = None

    @property
    def line(self) -> str:
        """Value and interval in one line."""
        return f"{self.text} ({self.note})" if self.note else self.text


def cell(score: Score | None, metric: str, *, sign: bool = False, verdict: str = "") -> Cell:
    """Return a score's cell, with a dash for None; with `sign` it is a difference."""
    if score is None:
        return Cell(MISSING)
    note = ""
    if score.low is not None and score.high is not None:
        note = f"{number(score.low, metric, sign=sign)} to {number(score.high, metric, sign=sign)}"
    return Cell(number(score.value, metric, sign=sign), note, score.value, verdict)


def heading(answer: str, partition: str, metric: str) -> str:
    """Return a column's heading: metric and partition, preceded by the answer unless it is the model's."""
    text = f"{vocabulary.term(metric).label}, {partition}"
    return text if answer == MODEL else f"{vocabulary.heading(answer)}: {text}"


class Table(NamedTuple):
    """Runs of a dataset that were scored on the same images, by validation RMSE; `another`: not its first table."""

    dataset: str
    another: bool
    runs: list[RunResults]

    @property
    def example(self) -> RunResults:
        """A run with scores, if any; the baselines' scores are the same for all runs."""
        return next((run for run in self.runs if run.scores), self.runs[0])


def tables(runs: Iterable[RunResults]) -> list[Table]:
    """Group runs by dataset, the largest table first; runs without scores are added to their dataset's first table."""
    groups: dict[tuple[str, str], list[RunResults]] = {}
    for run in sorted(runs, key=_rank):
        groups.setdefault((run.dataset, run.scored_on), []).append(run)
    ordered = sorted(groups.items(), key=lambda item: (item[0][0], not item[0][1], -len(item[1]), item[0][1]))
    found: list[Table] = []
    for (dataset, images), members in ordered:
        another = bool(found) and found[-1].dataset == dataset
        if another and not images:
            first = next(table for table in found if table.dataset == dataset)
            first.runs.extend(members)
        else:
            found.append(Table(dataset, another, members))
    return found


def _rank(run: RunResults) -> tuple[bool, float, str]:
    error = run.score("validation", "rmse").value
    return math.isnan(error), 0.0 if math.isnan(error) else error, run.name

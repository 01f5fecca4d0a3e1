"""Tables of runs: which runs stand in one table, in which order, and how a cell is written."""

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
        value: what to sort by; empty text where there is nothing.
        verdict: what may be said of a difference.
        paper: the paper's figure, and ours minus it.
    """

    text: str
    note: str = ""
    value: float | str = ""
    verdict: str = ""
    paper: tuple[str, str] | None = None

    @property
    def line(self) -> str:
        """Value and interval, for tables without small print."""
        return f"{self.text} ({self.note})" if self.note else self.text


def cell(score: Score | None, metric: str, *, sign: bool = False, verdict: str = "") -> Cell:
    """A score, or a dash where there is none; with `sign` it is a difference."""
    if score is None:
        return Cell(MISSING)
    note = ""
    if score.low is not None and score.high is not None:
        note = f"{number(score.low, metric, sign=sign)} to {number(score.high, metric, sign=sign)}"
    return Cell(number(score.value, metric, sign=sign), note, score.value, verdict)


def heading(answer: str, partition: str, metric: str) -> str:
    """The heading of a column: metric and partition, and before them the answer, unless it is the run's own."""
    text = f"{vocabulary.term(metric).label}, {partition}"
    return text if answer == MODEL else f"{vocabulary.heading(answer)}: {text}"


class Table(NamedTuple):
    """Runs of one dataset that were scored on the same images, by validation RMSE; `another`: not its first table."""

    dataset: str
    another: bool
    runs: list[RunResults]

    @property
    def example(self) -> RunResults:
        """A run with scores, if there is one: the baselines' are those of all."""
        return next((run for run in self.runs if run.scores), self.runs[0])


def tables(runs: Iterable[RunResults]) -> list[Table]:
    """All runs, by dataset, of each the largest table first. One without scores stands in its dataset's first table."""
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

"""Runs that belong together: one experiment with several seeds, and a run with and without the embedding."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.config.runs import DEFAULT_SEED, Run
from pipeline.core.errors import InputError
from pipeline.evaluation.vocabulary import number, term
from pipeline.results.comparison import compare_runs, other_settings
from pipeline.results.read import RunResults
from pipeline.results.tables import MISSING, Table

METRICS = ("rmse", "accuracy", "ciede2000")
# Whose spread is given: partition and metric of the run's own answer.
OVER_SEEDS = (("validation", "rmse"), ("validation", "accuracy"), ("test", "accuracy"), ("test", "rmse"),
              ("test", "ciede2000"))  # fmt: skip


class Spread(NamedTuple):
    """Runs that differ in their seed alone: the name without it, and by `OVER_SEEDS` mean ± standard deviation."""

    name: str
    dataset: str
    seeds: int
    cells: list[str]


class Contrast(NamedTuple):
    """A metric of a run minus that of the same network without the embedding, on the test images, as text."""

    run: str
    without: str
    metric: str
    difference: str
    interval: str
    verdict: str


def over_seeds(tables: Iterable[Table]) -> list[Spread]:
    """How far apart runs are that differ only in the seed of their training."""
    found = []
    for name, runs in (alike for table in tables for alike in _alike(table)):
        if len(runs) > 1:
            cells = []
            for partition, metric in OVER_SEEDS:
                values = [run.score(partition, metric).value for run in runs]
                both = float(np.mean(values)), float(np.std(values, ddof=1))
                cells.append(" ± ".join(number(value, metric) for value in both))
            found.append(Spread(name, runs[0].dataset, len(runs), cells))
    return found


def _alike(table: Table) -> list[tuple[str, list[RunResults]]]:
    """The runs of a table that have equal settings but for the seed, under the name that they have without it."""
    found: list[tuple[Run, list[RunResults]]] = []
    for result in table.runs:
        if result.run is None:
            continue
        unseeded = replace(result.run, seed=DEFAULT_SEED, unnamed_seed=DEFAULT_SEED)
        for known, results in found:
            if known == unseeded and not other_settings(results[0].record, result.record):
                results.append(result)
                break
        else:
            found.append((unseeded, [result]))
    return [(run.name, results) for run, results in found]


def without_embedding(results: Path, runs: Iterable[RunResults]) -> list[Contrast]:
    """Runs against the same network trained without the embedding."""
    by_run = {run.run: run for run in runs if run.run}
    found = []
    for settings, run in by_run.items():
        twin = by_run.get(replace(settings, embedding=False))
        if twin and settings.embedding:
            try:
                found += list(_contrasts(results, run, twin))
            except InputError as error:
                told = str(error).replace(f"{results}/", "")
                found.append(Contrast(run.name, twin.name, term("rmse").label, MISSING, MISSING, told))
    return found


def _contrasts(results: Path, run: RunResults, twin: RunResults) -> Iterator[Contrast]:
    # Settings of the embedding are recorded for the twin too, which does not use them.
    other = [text for text in other_settings(run.record, twin.record) if not text.startswith("embeddings.")]
    if other:
        raise InputError(f"not compared: they differ in more than the embedding: {'; '.join(other)}")
    rows, reason = compare_runs(results / run.name, results / twin.name)
    for row in (row for row in rows if row["metric"] in METRICS):
        metric = row["metric"]
        interval = reason
        if row["low"] is not None:
            interval = " to ".join(number(row[end], metric, sign=True) for end in ("low", "high"))
        difference = number(row["difference"], metric, sign=True)
        verdict = f"with the embedding: {row['verdict']}"
        yield Contrast(run.name, twin.name, term(metric).label, difference, interval, verdict)

"""Runs that belong together: one experiment with several seeds, and a run with and without the embedding."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.config.runs import DEFAULT_SEED, Run
from pipeline.core.errors import InputError
from pipeline.evaluation.vocabulary import number, term
from pipeline.results.comparison import compare_runs, other_settings
from pipeline.results.read import RunResults
from pipeline.results.tables import MISSING, Table

METRICS = ("rmse", "accuracy", "ciede2000")
# Partition and metric of the scores whose spread over seeds is reported.
OVER_SEEDS = (("validation", "rmse"), ("validation", "accuracy"), ("test", "accuracy"), ("test", "rmse"),
              ("test", "ciede2000"))  # fmt: skip


def over_seeds(tables: Iterable[Table]) -> list[list[str]]:
    """Summarise runs that differ only in the seed of their training.

    Returns:
        Rows: the run's name without its seed, the dataset, the number of seeds, and mean ± standard deviation of each
        of `OVER_SEEDS`.
    """
    rows = []
    for name, runs in (same for table in tables for same in _by_experiment(table) if len(same[1]) > 1):
        cells = []
        for partition, metric in OVER_SEEDS:
            values = [run.score(partition, metric).value for run in runs]
            cells.append(f"{number(float(np.mean(values)), metric)} ± {number(float(np.std(values, ddof=1)), metric)}")
        rows.append([name, runs[0].dataset, str(len(runs)), *cells])
    return rows


def _by_experiment(table: Table) -> list[tuple[str, list[RunResults]]]:
    """Group the runs of a table whose settings differ at most in the seed; return their name without it, and them."""
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


def without_embedding(results: Path, runs: Iterable[RunResults]) -> list[list[str]]:
    """Compare runs on the test images with the same network trained without the embedding.

    Returns:
        Rows: the run, its twin without the embedding, metric, difference, 95 % interval and verdict.
    """
    by_settings = {run.run: run for run in runs if run.run}
    rows = []
    for settings, run in by_settings.items():
        twin = by_settings.get(replace(settings, embedding=False))
        if twin and settings.embedding:
            try:
                rows += [[run.name, twin.name, *cells] for cells in _differences(results, run, twin)]
            except InputError as error:
                reason = str(error).replace(f"{results}/", "")
                rows.append([run.name, twin.name, term("rmse").label, MISSING, MISSING, reason])
    return rows


def _differences(results: Path, run: RunResults, twin: RunResults) -> Iterator[tuple[str, str, str, str]]:
    # Settings of the embedding are recorded for the twin too, which does not use them.
    other = [text for text in other_settings(run.record, twin.record) if not text.startswith("embeddings.")]
    if other:
        raise InputError(f"not compared, because they differ in more than the embedding: {'; '.join(other)}")
    rows, reason = compare_runs(results / run.name, results / twin.name)
    for row in (row for row in rows if row["metric"] in METRICS):
        metric = row["metric"]
        interval = reason
        if row["low"] is not None:
            interval = " to ".join(number(row[end], metric, sign=True) for end in ("low", "high"))
        difference = number(row["difference"], metric, sign=True)
        yield term(metric).label, difference, interval, f"with the embedding: {row['verdict']}"

"""The figure of all runs: results/sweep.png, or one per table."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipeline.evaluation.predictors import GRAY, MAJORITY, MEAN
from pipeline.figures import sweeps
from pipeline.results.tables import Table


def draw(results: Path, tables: Sequence[Table]) -> None:
    """Draw sweep.png, or with several tables sweep_<dataset>.png, sweep_<dataset>_2.png and so on.

    Runs with unknown settings are left out, and networks that were only scored: their learning rate was never used.
    """
    for kind in ("png", "svg"):
        for old in results.glob(f"sweep*.{kind}"):
            old.unlink()
    drawn: Counter[str] = Counter()
    for table in tables:
        points = [
            sweeps.SweepPoint(run.name, run.run, tuple(run.score("validation", metric) for metric in sweeps.METRICS))
            for run in sorted(table.runs, key=lambda run: run.name)
            if run.run and run.record.get("epochs") != 0
        ]
        if points:
            drawn[table.dataset] += 1
            number = f"_{drawn[table.dataset]}" if drawn[table.dataset] > 1 else ""
            name = "sweep.png" if len(tables) == 1 else f"sweep_{table.dataset}{number}.png"
            lines = {
                (answer, metric): table.example.score("validation", metric, answer).value
                for answer in (MAJORITY, MEAN, GRAY)
                for metric in sweeps.METRICS
            }
            sweeps.sweep(results / name, table.dataset, points, lines)

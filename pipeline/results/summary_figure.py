"""The figure of all runs: results/sweep.png, or one per table."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipeline.evaluation.predictors import GRAY, MAJORITY, MEAN
from pipeline.figures import sweeps
from pipeline.results import comparison
from pipeline.results.tables import Table


def draw(results: Path, tables: Sequence[Table]) -> None:
    """Draw sweep.png, or with several tables sweep_<dataset>.png, sweep_<dataset>_2.png and so on.

    Runs with other epochs or training settings than most are marked. Runs with unknown settings are left out, and
    networks that were only scored: their learning rate was never used.
    """
    for kind in ("png", "svg"):
        for old in results.glob(f"sweep*.{kind}"):
            old.unlink()
    drawn: Counter[str] = Counter()
    for table in tables:
        shown = [run for run in table.runs if run.run and not run.only_scored]
        usual = Counter(comparison.conditions(run.record) for run in shown).most_common(1)
        points = [
            sweeps.SweepPoint(
                run.name,
                run.run,
                tuple(run.score("validation", metric) for metric in sweeps.METRICS),
                differs=comparison.conditions(run.record) != usual[0][0],
            )
            for run in sorted(shown, key=lambda run: run.name)
            if run.run
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

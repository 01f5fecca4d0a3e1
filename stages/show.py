"""Stage: the files of a run's results, and its headline figures."""

from pathlib import Path

import click

from stages import common
from stages.command import Stage

SHOWN = (
    ("predictions.png", "gray, predicted and true pictures"),
    ("curves.png", "loss and accuracy by epoch"),
    ("metrics.csv", "all scores, with the baselines'"),
    ("model.keras", "the trained network"),
    ("run.yaml", "settings and versions that produced it"),
)


@click.command("show", cls=Stage)
@click.argument("result", type=common.PATH)
def command(result: Path) -> None:
    """List the main files of RESULT, for example results/base_lr1e-4, and its scores."""
    from pipeline.results.record import headline

    figures = headline(result)
    click.echo()
    for name, meaning in SHOWN:
        click.echo(f"{result / name!s:45} {meaning}")
    click.echo(f"{result.parent / 'summary.md'!s:45} all runs side by side")
    click.echo(figures)

"""Stage: list the files of a run's results, and its main scores."""

from pathlib import Path

import click

from stages import arguments
from stages.command import Stage


@click.command("show", cls=Stage)
@click.argument("result", type=arguments.PATH)
def command(result: Path) -> None:
    """List the files and scores of a run.

    RESULT is, for example, results/base_lr1e-4.
    """
    from pipeline.config.paths import ResultFiles, SummaryFiles
    from pipeline.results.record import headline

    scores = headline(result)
    made = ResultFiles(result)
    click.echo()
    for path, meaning in (
        (made.figure("predictions"), "gray, predicted and true pictures"),
        (made.figure("curves"), "loss and accuracy by epoch"),
        (made.metrics, "all scores, with those of the baselines"),
        (made.model, "the trained network"),
        (made.record, "settings and versions that produced it"),
        (SummaryFiles(result.parent).text, "all runs side by side"),
    ):
        if path.exists():
            click.echo(f"{path!s:45} {meaning}")
    click.echo(scores)

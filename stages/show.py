"""Stage: where to look at a run's results, and its headline figures."""

from pathlib import Path

import click

from stages import common

SHOWN = (
    ("predictions.png", "gray, predicted and true pictures"),
    ("curves.png", "loss and accuracy by epoch"),
    ("metrics.csv", "all scores, beside those of answers that need no network"),
    ("model.keras", "the trained network"),
    ("run.yaml", "what made all this"),
)


@click.command("show", cls=common.Stage)
@click.argument("result", type=common.PATH)
def command(result: Path) -> None:
    """Say where to look in RESULT, for example results/base_lr1e-4, and what it scored."""
    from pipeline.results.collect import headline

    figures = headline(result.parent, result.name)
    click.echo()
    for name, meaning in SHOWN:
        click.echo(f"{result / name!s:45} {meaning}")
    click.echo(f"{result.parent / 'summary.md'!s:45} all runs side by side")
    click.echo(figures)


if __name__ == "__main__":
    command(prog_name="python -m stages.show")

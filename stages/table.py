"""Stage: print a table of chosen runs and metrics."""

from pathlib import Path

import click

from pipeline.config.partitions import PARTITIONS
from stages import arguments
from stages.command import Stage


@click.command("table", cls=Stage)
@click.argument("results", nargs=-1, required=True, type=arguments.PATH)
@click.option("--markdown", "form", flag_value="markdown", default=True, help="For Markdown; the default.")
@click.option("--latex", "form", flag_value="latex", help="For LaTeX with the package booktabs.")
@click.option("--csv", "form", flag_value="csv", help="As CSV, with all digits.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="A column; may be repeated.  [default: rmse, ciede2000, auc, chroma_ratio]",
)
@click.option("--baseline", "baselines", multiple=True, help="A further row, for example gray; may be repeated.")
@click.option(
    "--partition", type=click.Choice(PARTITIONS), default="test", show_default=True, help="Images that are scored."
)
def command(
    results: tuple[Path, ...], form: str, metrics: tuple[str, ...], baselines: tuple[str, ...], partition: str
) -> None:
    """Print a table of runs.

    RESULTS are the runs' folders, for example results/base_lr1e-4. A value is bold only if it is clearly better than
    that of every other run in the table, by the 95 % interval of their difference on the same images.
    """
    from pipeline.core.errors import InputError
    from pipeline.results import publication_table

    if len({path.parent for path in results}) > 1:
        raise InputError("RESULTS: expected runs in one folder, received several folders; copy them into one")
    names = [path.name for path in results]
    found = publication_table.choose(
        results[0].parent, names, metrics or publication_table.METRICS, baselines, partition
    )
    click.echo(publication_table.WRITTEN[form](found), nl=False)

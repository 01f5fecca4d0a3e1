"""Stage: compare two runs on the same images."""

from pathlib import Path

import click

from pipeline.config.partitions import PARTITIONS
from stages import arguments
from stages.command import Stage


@click.command("compare", cls=Stage)
@click.argument("one", type=arguments.PATH)
@click.argument("other", type=arguments.PATH)
@click.option(
    "--partition", type=click.Choice(PARTITIONS), default="test", show_default=True, help="Images to compare on."
)
def command(one: Path, other: Path, partition: str) -> None:
    """Compare two runs image by image.

    ONE and OTHER are their results, for example results/base_lr1e-4 and results/base_lr1e-3. Each difference is ONE
    minus OTHER, with its 95 % interval over images, or over groups of images.
    """
    from rich.console import Console
    from rich.table import Table

    from pipeline.evaluation.vocabulary import signed
    from pipeline.results.comparison import compare_runs, other_settings
    from pipeline.results.record import read_record, run_name

    rows, reason = compare_runs(one, other, partition)
    records = [read_record(folder) for folder in (one, other)]
    names = [run_name(record, folder) for record, folder in zip(records, (one, other), strict=True)]
    if names[0] == names[1]:  # the same run in two folders
        names = [str(one), str(other)]
    table = Table(title=f"{names[0]} against {names[1]}, {partition} images", box=None, title_justify="left")
    for heading in ("metric", *names, "difference", "95 % interval", f"{names[0]} is"):
        table.add_column(heading, justify="left" if heading == "metric" else "right", no_wrap=True)
    for row in rows:
        interval = "" if row["low"] is None else f"{row['low']:+.4g} to {row['high']:+.4g}"
        numbers = (f"{row['one']:.4f}", f"{row['other']:.4f}", signed(row["difference"], 4))
        table.add_row(row["metric"], *numbers, interval, row["verdict"])
    console = Console(width=1000, soft_wrap=True)  # cuts off no run's name
    console.print(table)
    if differences := other_settings(*records):
        console.print(f"Besides what their names say, they differ in: {'; '.join(differences)}.", markup=False)
    if reason:
        console.print(f"No intervals: {reason}. These images cannot tell whether a difference would hold on others.")

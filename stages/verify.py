"""Stage: verify every file against its recorded digest."""

import sys
from pathlib import Path

import click

from stages import arguments, common


@common.stage("verify")
@click.argument("paths", nargs=-1, type=arguments.PATH, metavar="[PATH]...")
def command(work: common.Work, paths: tuple[Path, ...]) -> None:
    """Find damaged and missing files.

    Checks all stores, runs and results, or those at or below PATH. The exit status is 1 if any file is damaged or
    missing. Damage is recorded. To repair it, run the command that made the file again, which makes only the damaged
    parts anew.
    """
    from pipeline.config.paths import Paths
    from pipeline.inspection.verify import verify

    if not paths:
        everything = (Path(work.config.data), Paths(work.config).models, work.path("results"))
        paths = tuple(path for path in everything if path.exists()) or everything
    total, damages = verify(paths, common.progress())
    for damage in damages:
        click.echo(damage)
    if damages:
        click.echo(
            f"verify: {len(damages)} of {total} files {'is' if len(damages) == 1 else 'are'} damaged or missing; to "
            "repair, run the command that wrote them, for example snakemake --cores 4 results/base_lr1e-4",
            err=True,
        )
        sys.exit(1)
    click.echo(f"verify: all {total} files are intact", err=True)

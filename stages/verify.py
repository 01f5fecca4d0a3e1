"""Stage: everything on disk is compared with the digests that were kept of it."""

import sys
from pathlib import Path

import click

from stages import common


@click.command("verify", cls=common.Stage)
@click.argument("paths", nargs=-1, type=common.PATH, metavar="[PATH]...")
@common.config_options
def command(paths: tuple[Path, ...], configs: tuple[Path, ...], assignments: tuple[str, ...]) -> None:
    """Read all stores, runs and results, or those at or below PATH, and name every file that is damaged or missing.

    Status 1 if there are any. What is damaged is noted, so that the workflow makes it again, and no more than it: run
    the command that made it.
    """
    from pipeline.config.paths import Paths
    from pipeline.inspection.verify import verify

    if not paths:
        config = common.load(configs, assignments)
        places = Paths(config)
        everything = (Path(config.data), places.model("x").parent, places.results)
        paths = tuple(path for path in everything if path.exists()) or everything
    total, found = verify(paths, common.progress())
    for damage in found:
        click.echo(damage)
    if found:
        click.echo(
            f"verify: {len(found)} of {total} files are not as they were written; the command that made them, for "
            "example snakemake --cores 4 results/base_lr1e-4, makes them again",
            err=True,
        )
        sys.exit(1)
    click.echo(f"verify: all {total} files are as they were written", err=True)


if __name__ == "__main__":
    command(prog_name="python -m stages.verify")

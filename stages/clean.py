"""Stage: delete the trainings that others replaced."""

import click

from stages import common


@common.stage("clean")
def command(work: common.Work) -> None:
    """Delete replaced trainings.

    `train --replace` keeps a training that it replaces in models/.replaced. This deletes that folder.
    """
    from pipeline.core import files
    from pipeline.training import replaced

    models = work.paths.models
    for training in replaced.kept(models):
        cost, size = replaced.cost(training), sum(path.stat().st_size for path in training.rglob("*") if path.is_file())
        files.remove(training)
        click.echo(f"clean: deleted {training} ({cost}; {size / 1e6:.0f} MB)", err=True)
    files.remove(replaced.folder(models))
    click.echo(f"clean: {models} has no replaced trainings", err=True)

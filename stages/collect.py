"""Stage: what one looks at of a run comes into results/<run>/, and into the summary of all runs."""

import click

from stages import common


@common.stage("collect", "model", "results", "replace", run=True)
def command(work: common.Work) -> None:
    """Fill results/RUN and renew results/summary.*."""
    from pipeline.config.runs import Run
    from pipeline.results.collect import collect, headline

    name = Run.parse(work.run_name).name
    folder = work.path("results")
    with common.hold(folder / name):
        target = collect(work.model, folder, name, replace=work.config.replace)
    click.echo(f"collect: {target} is complete\n{headline(target.parent, name)}", err=True)

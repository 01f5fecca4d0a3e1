"""Stage: what one looks at of a run comes into results/<run>/, and into the summary of all runs."""

from pathlib import Path

import click

from stages import common


@click.command("collect", cls=common.Stage)
@click.argument("run")
@common.config_options
@common.path_option("--model", "The folder of the evaluated run.")
@common.path_option("--results", "The folder of all results.")
@common.replace_option
def command(
    run: str,
    configs: tuple[Path, ...],
    assignments: tuple[str, ...],
    model: Path | None,
    results: Path | None,
    replace: bool,
) -> None:
    """Fill results/RUN and renew results/summary.*."""
    from pipeline.config.paths import Paths
    from pipeline.config.runs import Run
    from pipeline.results.collect import collect, headline

    Run.parse(run)
    config = common.load(configs, assignments, replace=replace)
    places = Paths(config)
    folder = results or places.results
    with common.hold(folder / run):
        target = collect(model or places.model(run), folder, run, replace=config.replace)
    click.echo(f"collect: {target} is complete\n{headline(target.parent, run)}", err=True)


if __name__ == "__main__":
    command(prog_name="python -m stages.collect")

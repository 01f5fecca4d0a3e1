"""Stage: results/index.html and results/report/, all runs to look at in a browser."""

from pathlib import Path

import click

from stages import common


@click.command("report", cls=common.Stage)
@common.config_options
@common.path_option("--results", "The folder of all results.")
@common.path_option("--data", "The folder of the datasets, whose pictures are shown beside the predicted ones.")
def command(configs: tuple[Path, ...], assignments: tuple[str, ...], results: Path | None, data: Path | None) -> None:
    """Write results/index.html: all runs, their figures, scores and pictures."""
    from pipeline.config.paths import Paths
    from pipeline.core.errors import InputError
    from pipeline.results.page import write_report

    config = common.load(configs, assignments)
    if data and not data.is_dir():
        raise InputError(f"--data {data}: expected the folder of the datasets, received none; name one that there is")
    folder = data or Path(config.data)
    index = write_report(
        results or Paths(config).results, lambda dataset: folder / dataset / "pictures", common.progress()
    )
    click.echo(f"report: open {index} in a browser", err=True)


if __name__ == "__main__":
    command(prog_name="python -m stages.report")

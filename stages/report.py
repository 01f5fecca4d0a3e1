"""Stage: write results/index.html and results/report/, a page of all runs."""

from pathlib import Path

import click

from stages import common


@common.stage("report", "results", "data")
def command(work: common.Work) -> None:
    """Write a web page of all runs.

    Writes results/index.html with their figures, scores and pictures.
    """
    from pipeline.config.paths import BaselineFiles, DatasetFiles
    from pipeline.core.errors import InputError
    from pipeline.results.page import write_report

    data = work.options["data"]
    if data and not data.is_dir():
        raise InputError(f"--data {data}: no such folder; name the folder that contains the datasets")
    folder = data or Path(work.config.data)

    def pictures_of(dataset: str) -> Path:
        return BaselineFiles(DatasetFiles(folder / dataset).baselines).pictures

    index = write_report(work.path("results"), pictures_of, common.progress())
    click.echo(f"report: open {index} in a browser", err=True)

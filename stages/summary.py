"""Stage: rewrite the summary of all runs in results/."""

import contextlib

import click

from stages import common


@common.stage("summary", "results")
def command(work: common.Work) -> None:
    """Rewrite the summary of all runs.

    Writes results/summary.*, which `evaluate` also updates.
    """
    from pipeline.config.paths import ResultFiles, SummaryFiles
    from pipeline.core.errors import InputError
    from pipeline.results.summary import write_summary

    results, folders = work.path("results"), []
    with contextlib.suppress(FileNotFoundError):
        folders = list(results.iterdir())
    if not any(ResultFiles(path).metrics.exists() or ResultFiles(path).record.exists() for path in folders):
        raise InputError(f"{results}: expected the results of at least one run, received none; evaluate a run first")
    write_summary(results)
    click.echo(f"summary: {SummaryFiles(results).text} is complete", err=True)

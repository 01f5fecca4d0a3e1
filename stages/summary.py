"""Stage: rewrite the summary of all runs in results/."""

import click

from stages import common


@common.stage("summary", "results")
def command(work: common.Work) -> None:
    """Rewrite the summary of all runs.

    That is results/summary.*, which `evaluate` updates, too.
    """
    from pipeline.config.paths import SummaryFiles
    from pipeline.results.summary import write_summary

    results = work.path("results")
    write_summary(results)
    click.echo(f"summary: {SummaryFiles(results).text} is complete", err=True)

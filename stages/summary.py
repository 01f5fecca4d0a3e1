"""Stage: the summary of all runs in results/."""

import click

from stages import common


@common.stage("summary", "results")
def command(work: common.Work) -> None:
    """Renew results/summary.*, the table of all runs; `evaluate` does it, too."""
    from pipeline.results.summary import write_summary

    results = work.path("results")
    write_summary(results)
    click.echo(f"summary: {results / 'summary.md'} is complete", err=True)

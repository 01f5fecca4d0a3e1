"""Stage: rank the combinations of a sweep."""

import click

from stages import common


@common.stage("sweep")
@click.argument("name")
@click.option("--by", "metric", default="rmse", show_default=True, help="Metric to rank by, on the validation images.")
def command(work: common.Work, name: str, metric: str) -> None:
    """Rank the combinations of a sweep.

    NAME is one of `sweeps` in the configuration. Writes results/sweeps/NAME.md, .csv, .png and .svg. Runs that
    are unfinished or diverged come last.
    """
    from pipeline.config.paths import SweepFiles
    from pipeline.config.sweeps import check
    from pipeline.core.errors import InputError
    from pipeline.evaluation.measures import METRICS
    from pipeline.results import ranking

    check(work.config, name)
    if metric not in METRICS:
        raise InputError(f"--by: expected one of {', '.join(METRICS)}, received {metric!r}")
    ranked = ranking.write(work.config, name, metric)
    finished = sum(not each.problems for each in ranked)
    where = SweepFiles(work.paths.results, name)
    click.echo(f"sweep: {finished} of {len(ranked)} combinations are finished; see {where.text}", err=True)
    best = ranked[0]
    if best.verdict == ranking.BEST:
        click.echo(f"{best.combination.name}: {metric} {best.over_images[0]:.4f}")

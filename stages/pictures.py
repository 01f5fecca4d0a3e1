"""Stage: write a run's pictures without loss, for other programs."""

from pathlib import Path

import click

from pipeline.config.partitions import PARTITIONS
from pipeline.core.text import printable
from stages import arguments, common


@common.stage("pictures", "images", "embeddings", "features", "splits", "baselines", "model", run=True)
@click.option("--out", required=True, type=arguments.PATH, help="Folder to write; must not exist.")
@click.option(
    "--partition", type=click.Choice(PARTITIONS), default="test", show_default=True, help="Images that are written."
)
def command(work: common.Work, out: Path, partition: str) -> None:
    """Write a run's pictures as PNG, for other programs.

    OUT gets the folders true, predicted and gray, with the very pixels that evaluate measures. Programs that compute
    FID or LPIPS compare two such folders.
    """
    run, config = work.run, work.config_of_run
    from pipeline.dataset.sources.outputs import refuse_output_inside
    from pipeline.results import lossless

    lossless.refuse_existing(out)
    refuse_output_inside(config.datasets[config.dataset], [out])
    images, embeddings, features = work.finished_stores
    work.start_backend(config.training.precision)
    from pipeline.embedding import recipe
    from pipeline.results import run_predictor

    with common.hold(work.model):
        loaded = run_predictor.load(
            run,
            images,
            embeddings,
            work.path("splits"),
            work.path("baselines"),
            work.model,
            config.evaluation,
            features=features,
            scheduler=config.scheduler,
            workers=config.workers,
            recognising=recipe.recognising(config.embedding, config.evaluation.recognition),
            more_architectures=config.architectures,
        )
        with common.hold(out):
            count = lossless.write(
                loaded,
                run.name,
                partition,
                out,
                threads=config.threads,
                evaluation=config.evaluation,
                progress=common.progress(),
            )
    what = f"{count} {partition} images of {run.name}: true, predicted and gray"
    click.echo(printable(f"pictures: {out} has {what}"), err=True)

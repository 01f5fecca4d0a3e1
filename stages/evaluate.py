"""Stage: score a trained run and draw its figures."""

import click

from stages import common


@common.stage(
    "evaluate", "images", "embeddings", "features", "splits", "baselines", "model", "results", "replace", run=True
)
def command(work: common.Work) -> None:
    """Score a run and draw its figures.

    Scores the validation and test images, and the training images unless evaluation.train is false. Writes results/RUN,
    and updates the summary of all runs.
    """
    run, config = work.run, work.config_of_run
    images, embeddings, features = work.finished_stores
    work.start_backend(config.training.precision)
    from pipeline.embedding import recipe
    from pipeline.results.evaluate import evaluate
    from pipeline.results.record import headline

    target = work.path("results") / run.name
    with common.hold(work.model), common.hold(target):
        if common.made_meanwhile(work, "evaluate"):
            return
        evaluate(
            run,
            images,
            embeddings,
            work.path("splits"),
            work.path("baselines"),
            work.model,
            target,
            config.evaluation,
            resolved=config.model_dump(),
            features=features,
            replace=config.replace,
            threads=config.threads,
            scheduler=config.scheduler,
            workers=config.workers,
            recognising=recipe.recognising(config.embedding, config.evaluation.recognition),
            more_architectures=config.architectures,
            progress=common.progress(),
        )
        with common.tracking(work) as tracking:
            tracking.results(target)
    click.echo(f"evaluate: {target} is complete\n{headline(target)}", err=True)

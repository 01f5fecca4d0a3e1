"""Stage: a trained run is scored and drawn."""

from stages import common


@common.stage("evaluate", "images", "embeddings", "splits", "baselines", "model", "replace", run=True)
def command(work: common.Work) -> None:
    """Score RUN on train, validation and test images."""
    run, config = work.run, work.config
    images, embeddings = work.finished_stores
    work.start_backend(config.training.precision)
    from pipeline.results.evaluate import evaluate

    with common.hold(work.model):
        evaluate(
            run,
            images,
            embeddings,
            work.path("splits"),
            work.path("baselines"),
            work.model,
            config.evaluation,
            resolved=config.model_dump(),
            replace=config.replace,
            threads=config.threads,
            embedding=config.embedding,
            more_architectures=config.architectures,
            progress=common.progress(),
        )

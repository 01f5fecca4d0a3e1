"""Stage: a trained run is scored and drawn."""

from pathlib import Path

import click

from stages import common


@click.command("evaluate", cls=common.Stage)
@click.argument("run")
@common.config_options
@common.path_option("--images", "The store of images.")
@common.path_option("--embeddings", "The store of embeddings.")
@common.path_option("--splits", "The split.")
@common.path_option("--references", "The scores of the answers that need no network.")
@common.path_option("--model", "The folder of the trained run; scores and figures go to its folder 'evaluation'.")
@common.replace_option
def command(
    run: str,
    configs: tuple[Path, ...],
    assignments: tuple[str, ...],
    images: Path | None,
    embeddings: Path | None,
    splits: Path | None,
    references: Path | None,
    model: Path | None,
    replace: bool,
) -> None:
    """Score RUN on train, validation and test images."""
    from pipeline.config.paths import Paths
    from pipeline.config.runs import Run

    config = common.load(configs, assignments, replace=replace)
    places = Paths(config)
    named = Run.parse(run)
    sources = common.image_store(images, places.images), common.embedding_store(embeddings, places.embeddings)
    for store in sources:
        store.manifest()
    common.start_backend(config, config.training.precision)
    from pipeline.results.evaluate import evaluate

    directory = model or places.model(run)
    with common.hold(directory):
        evaluate(
            named,
            *sources,
            splits or places.splits,
            references or places.references,
            directory,
            config.evaluation,
            resolved=config.model_dump(),
            replace=config.replace,
            threads=config.threads,
            embedding=config.embedding,
            more_architectures=config.architectures,
            progress=common.progress(),
        )


if __name__ == "__main__":
    command(prog_name="python -m stages.evaluate")

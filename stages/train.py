"""Stage: one run is trained."""

from pathlib import Path

import click

from stages import common


@click.command("train", cls=common.Stage)
@click.argument("run")
@common.config_options
@common.path_option("--images", "The store of images.")
@common.path_option("--embeddings", "The store of embeddings.")
@common.path_option("--splits", "The split.")
@common.path_option("--model", "The folder to write: weights, history, checkpoint.")
@common.replace_option
def command(
    run: str,
    configs: tuple[Path, ...],
    assignments: tuple[str, ...],
    images: Path | None,
    embeddings: Path | None,
    splits: Path | None,
    model: Path | None,
    replace: bool,
) -> None:
    """Train RUN, for example base_lr1e-4."""
    from pipeline.config.paths import Paths
    from pipeline.config.runs import Run
    from pipeline.networks.notation import resolve

    config = common.load(configs, assignments, replace=replace)
    places = Paths(config)
    named = Run.parse(run)
    resolve(named.architecture, config.architectures)
    sources = common.image_store(images, places.images), common.embedding_store(embeddings, places.embeddings)
    for store in sources:
        store.manifest()
    common.start_backend(config, config.training.precision)
    from pipeline.training.train import train

    directory = model or places.model(run)
    with common.hold(directory):
        train(
            named,
            *sources,
            splits or places.splits,
            directory,
            config.training,
            more_architectures=config.architectures,
            replace=config.replace,
            progress=common.progress(),
        )


if __name__ == "__main__":
    command(prog_name="python -m stages.train")

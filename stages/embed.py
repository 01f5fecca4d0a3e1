"""Stage: images.zarr becomes embeddings.zarr."""

from pathlib import Path

import click

from stages import common


@click.command("embed", cls=common.Stage)
@common.config_options
@common.path_option("--images", "The store of images.")
@common.path_option("--embeddings", "The store to write, ending in .zarr.")
@common.scheduler_option
@common.replace_option
def command(
    configs: tuple[Path, ...],
    assignments: tuple[str, ...],
    images: Path | None,
    embeddings: Path | None,
    scheduler: str | None,
    replace: bool,
) -> None:
    """Compute the embedding of every image, by the network that embedding.network names."""
    from pipeline.config.paths import Paths

    config = common.load(configs, assignments, scheduler=scheduler, replace=replace)
    places = Paths(config)
    source = common.image_store(images, places.images)
    source.manifest()
    common.start_backend(config, config.embedding.precision)
    from pipeline.embedding.embed import embed

    store = common.embedding_store(embeddings, places.embeddings)
    with common.hold(store.path):
        embed(
            source,
            store,
            config.embedding,
            replace=config.replace,
            scheduler=config.scheduler,
            progress=common.progress(),
        )


if __name__ == "__main__":
    command(prog_name="python -m stages.embed")

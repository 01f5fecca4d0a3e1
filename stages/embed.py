"""Stage: compute embeddings.zarr from images.zarr."""

from stages import common


@common.stage("embed", "images", "embeddings", "scheduler", "replace")
def command(work: common.Work) -> None:
    """Compute the embedding of every image.

    The setting embedding.network chooses the network.
    """
    config = work.config
    work.images.manifest()
    work.start_backend(config.embedding.precision)
    from pipeline.embedding.embed import embed

    with common.hold(work.embeddings.path):
        embed(
            work.images,
            work.embeddings,
            config.embedding,
            replace=config.replace,
            scheduler=config.scheduler,
            progress=common.progress(),
        )

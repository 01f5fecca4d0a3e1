"""Stage: read colour images into images.zarr and index.csv."""

from stages import common


@common.stage("ingest", "dataset", "images", "limit", "scheduler", "replace")
def command(work: common.Work) -> None:
    """Read the dataset's colour images into images.zarr."""
    from pipeline.dataset.ingest import ingest

    config = work.config
    with common.hold(work.images.path):
        if common.made_meanwhile(work, "ingest"):
            return
        ingest(
            config.datasets[config.dataset],
            work.images,
            limit=config.limit,
            images_per_shard=config.images_per_shard,
            outputs=work.paths.outputs,
            replace=config.replace,
            scheduler=config.scheduler,
            workers=config.workers,
            progress=common.progress(),
        )

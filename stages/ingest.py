"""Stage: a source of colour images becomes images.zarr and index.csv."""

from pathlib import Path

import click

from stages import common


@click.command("ingest", cls=common.Stage)
@common.config_options
@click.option("--dataset", help="One of the configuration's datasets.")
@common.path_option("--images", "The store to write, ending in .zarr; index.csv and report.csv stand beside it.")
@click.option("--limit", type=click.IntRange(min=1), help="Take the first images only.")
@common.scheduler_option
@common.replace_option
def command(
    configs: tuple[Path, ...],
    assignments: tuple[str, ...],
    dataset: str | None,
    images: Path | None,
    limit: int | None,
    scheduler: str | None,
    replace: bool,
) -> None:
    """Read colour images into images.zarr."""
    from pipeline.config.paths import Paths
    from pipeline.dataset.ingest import ingest

    config = common.load(configs, assignments, dataset=dataset, limit=limit, scheduler=scheduler, replace=replace)
    store = common.image_store(images, Paths(config).images)
    with common.hold(store.path):
        ingest(
            config.datasets[config.dataset],
            store,
            limit=config.limit,
            images_per_shard=config.images_per_shard,
            replace=config.replace,
            scheduler=config.scheduler,
            workers=config.workers,
            progress=common.progress(),
        )


if __name__ == "__main__":
    command(prog_name="python -m stages.ingest")

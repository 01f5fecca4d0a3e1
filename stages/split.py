"""Stage: index.csv becomes splits.csv."""

from pathlib import Path

import click

from stages import common


@click.command("split", cls=common.Stage)
@common.config_options
@common.path_option("--images", "The store of images, with index.csv beside it.")
@common.path_option("--splits", "The file to write.")
@common.replace_option
def command(
    configs: tuple[Path, ...],
    assignments: tuple[str, ...],
    images: Path | None,
    splits: Path | None,
    replace: bool,
) -> None:
    """Draw train, validation and test, by group."""
    from pipeline.config.paths import Paths
    from pipeline.dataset.index import read_index
    from pipeline.dataset.splits import write

    config = common.load(configs, assignments, replace=replace)
    places = Paths(config)
    source = common.image_store(images, places.images)
    target = splits or places.splits
    with common.hold(target):
        sizes = write(
            read_index(source),
            target,
            config.split,
            source.manifest()["fingerprint"],
            replace=config.replace,
        )
    click.echo(f"split: {', '.join(f'{name} {size}' for name, size in sizes.items())}", err=True)


if __name__ == "__main__":
    command(prog_name="python -m stages.split")

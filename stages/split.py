"""Stage: divide the images of index.csv into partitions, in splits.csv."""

import click

from stages import common


@common.stage("split", "images", "splits", "replace")
def command(work: common.Work) -> None:
    """Divide the images into train, validation and test.

    The draw is random and keeps groups together.
    """
    from pipeline.dataset.index import read_index
    from pipeline.dataset.splits import write

    target = work.path("splits")
    with common.hold(target):
        if common.made_meanwhile(work, "split"):
            return
        sizes = write(
            read_index(work.images),
            target,
            work.config.split,
            work.images.manifest()["fingerprint"],
            replace=work.config.replace,
        )
    click.echo(f"split: {', '.join(f'{name} {size}' for name, size in sizes.items())}", err=True)

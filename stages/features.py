"""Stage: compute features.zarr from images.zarr."""

import click

from stages import common
from stages.embed import compute


@common.stage("features", "images", "features", "scheduler", "replace")
@click.argument("maps", nargs=-1, metavar="[MAP]...")
def command(work: common.Work, maps: tuple[str, ...]) -> None:
    """Compute feature maps of every image.

    Only runs whose networks read maps need them. MAP is a map of the network that the setting embedding.network
    chooses, for example map_7. Without any, all its maps are computed. Maps that the store already has stay in it.
    """
    from pipeline.embedding import recipe

    made_with = work.features.attributes().get("settings", {})
    compute(work, work.features, recipe.maps(work.config.embedding, maps, made_with))

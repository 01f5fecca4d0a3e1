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

    def outputs() -> tuple[str, ...]:
        return recipe.maps(work.config.embedding, maps, work.features.attributes().get("settings", {}))

    outputs()  # an unknown map is refused before Keras is started
    compute(work, "features", work.features, outputs)

"""Stage: compute embeddings.zarr from images.zarr."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stages import common

if TYPE_CHECKING:
    from pipeline.storage.store import Store


@common.stage("embed", "images", "embeddings", "scheduler", "replace")
def command(work: common.Work) -> None:
    """Compute the embedding of every image.

    The setting embedding.network chooses the network.
    """
    from pipeline.storage.layouts import VECTOR

    compute(work, work.embeddings, [VECTOR])


def compute(work: common.Work, store: "Store", outputs: Sequence[str]) -> None:
    """Compute outputs of the embedding network into a store."""
    config = work.config
    work.images.manifest()
    work.start_backend(config.embedding.precision)
    from pipeline.embedding.embed import embed

    with common.hold(store.path):
        embed(
            work.images,
            store,
            config.embedding,
            outputs=outputs,
            replace=config.replace,
            scheduler=config.scheduler,
            progress=common.progress(),
        )

"""Stage: compute embeddings.zarr from images.zarr."""

from collections.abc import Callable, Sequence
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

    compute(work, "embed", work.embeddings, lambda: [VECTOR])


def compute(work: common.Work, stage: str, store: "Store", outputs_of: Callable[[], Sequence[str]]) -> None:
    """Compute outputs of the embedding network into a store; which ones is asked while its lock is held."""
    config = work.config
    work.images.manifest()
    work.start_backend(config.embedding.precision)
    from pipeline.embedding.embed import embed

    with common.hold(store.path):
        outputs = outputs_of()
        if common.made_meanwhile(work, stage, [] if stage == "embed" else outputs):
            return
        embed(
            work.images,
            store,
            config.embedding,
            outputs=outputs,
            replace=config.replace,
            scheduler=config.scheduler,
            progress=common.progress(),
        )

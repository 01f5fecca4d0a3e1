"""Stage: train one run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stages import common

if TYPE_CHECKING:
    from pipeline.training.recorder import Listener


@common.stage("train", "images", "embeddings", "features", "splits", "model", "replace", run=True)
def command(work: common.Work) -> None:
    """Train a run.

    RUN is, for example, base_lr1e-4.
    """
    train(work)


def train(work: common.Work, listeners: "Sequence[Listener]" = ()) -> None:
    """Train a run, unless another workflow has made it meanwhile; `listeners` as in `pipeline.training.train`."""
    run, config = work.run, work.config_of_run
    images, embeddings, features = work.finished_stores
    if untrained := work.untrained:
        from pipeline.training.untrained import record

        with common.hold(work.model):
            if not common.made_meanwhile(work, "train"):
                record(
                    run,
                    images,
                    embeddings,
                    work.path("splits"),
                    work.model,
                    stored=untrained.stored,
                    features=features,
                    replace=config.replace,
                )
        return
    work.start_backend(config.training.precision)
    from pipeline.training.train import train

    with common.hold(work.model), common.tracking(work) as tracking:
        if common.made_meanwhile(work, "train"):
            return
        train(
            run,
            images,
            embeddings,
            work.path("splits"),
            work.model,
            config.training,
            features=features,
            more_architectures=config.architectures,
            replace=config.replace,
            progress=common.progress(),
            listeners=[tracking.epochs, *listeners],
        )

"""When a training ends."""

from collections.abc import Mapping
from typing import Any

from pipeline.config.schema import Training


def ended(status: str, epochs: int, best_epoch: int, training: Training) -> bool:
    """Whether more epochs would change nothing, because the run diverged or stopped early."""
    patience = training.patience
    return status != "finished" or (patience is not None and epochs - best_epoch >= patience)


def finished(summary: Mapping[str, Any], training: Training) -> bool:
    """Whether a run with this summary, see `pipeline.training.train.train`, has no epochs left to train."""
    over = ended(summary["status"], summary["epochs"], summary["best_epoch"], training)
    return over or summary["epochs"] >= training.epochs

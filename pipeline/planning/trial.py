"""Trials of a run on a few photographs, before a night is spent on it."""

from pathlib import Path
from typing import Any

from pipeline.config.runs import Run, layered
from pipeline.config.schema import Config, Experiment

IMAGES = 20
LARGEST_BATCH = 64


def end_to_end(config: Config, run: Run, folder: Path) -> Config:
    """Return the configuration of a run, with everything in `folder`, few images and at most one epoch.

    Args:
        config: the whole configuration.
        run: one of its runs.
        folder: an empty one.
    """
    epochs = min(layered(config, run).training.epochs, 1)
    most: dict[str, Any] = {"epochs": epochs, "images": None, "trackers": []}
    training, experiments = config.training.model_copy(update=most), dict(config.experiments)
    own = experiments.get(run.experiment)
    if isinstance(own, Experiment):
        changed = own.training.model_copy(update=most)
        experiments[run.experiment] = own.model_copy(update={"training": changed})
    # The images of the other partitions are scored in the same way.
    evaluation = config.evaluation.model_copy(update={"train": False})
    changes = {"training": training, "experiments": experiments, "evaluation": evaluation}
    return _below(folder, IMAGES, config).model_copy(update=changes)


def one_batch(config: Config, run: Run, folder: Path) -> Config:
    """Return the configuration of a run, with everything in `folder`, and the images of one batch."""
    return _below(folder, min(run.batch_size, LARGEST_BATCH), config)


def _below(folder: Path, images: int, config: Config) -> Config:
    place = {"root": str(folder), "data": str(folder / "data"), "limit": images, "replace": False}
    return config.model_copy(update=place)

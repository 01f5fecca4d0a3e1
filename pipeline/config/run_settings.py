"""The settings that determine a run's numbers."""

from collections.abc import Mapping
from typing import Any

from pipeline.config.runs import Run
from pipeline.config.schema import Architecture, Training


def run_settings(
    run: Run,
    training: Training,
    architecture: Architecture | None,
    *,
    dataset: str,
    limit: int | None,
    images: Mapping[str, Any],
    embeddings: Mapping[str, Any],
    split: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the settings that determine a run's numbers, as JSON values.

    The number of epochs is not one of them unless the learning rate depends on it. A run without a network has no
    architecture, and nothing of `training` decides its numbers.

    `images`, `embeddings` and `split` are the settings that these were made with.
    """
    return {
        "run": run.name,
        **({"experiment": run.as_experiment()} if run.experiment else {}),
        **(
            {"architecture": architecture.model_dump(), "training": training.decisive()}
            if architecture
            else {"predictor": run.predictor}
        ),
        "dataset": dataset,
        "limit": limit,
        "images": dict(images),
        "embeddings": dict(embeddings),
        "split": dict(split),
    }

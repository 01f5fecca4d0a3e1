"""The settings that determine the numbers of a run."""

from collections.abc import Mapping
from typing import Any

from pipeline.config import schema
from pipeline.config.runs import Run


def run_settings(
    run: Run,
    training: schema.Training,
    architecture: schema.Architecture,
    *,
    dataset: str,
    limit: int | None,
    images: Mapping[str, Any],
    embeddings: Mapping[str, Any],
    split: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the settings, as JSON values, except the number of epochs.

    `images`, `embeddings` and `split` are the settings that these were made with.
    """
    return {
        "run": run.name,
        **({"experiment": run.as_experiment()} if run.experiment else {}),
        "architecture": architecture.model_dump(),
        "training": training.model_dump(include={"precision", "start_at", "patience"}),
        "dataset": dataset,
        "limit": limit,
        "images": dict(images),
        "embeddings": dict(embeddings),
        "split": dict(split),
    }

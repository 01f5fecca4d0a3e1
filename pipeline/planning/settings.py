"""The settings that determine the output of each stage."""

from typing import Any

from pipeline.config.schema import Config
from pipeline.dataset import ingest
from pipeline.embedding import recipe
from pipeline.evaluation import baselines


def stage_settings(config: Config, stage: str) -> dict[str, Any]:
    """Return the settings that determine the output of a stage, as JSON values."""
    images = ingest.settings(config.datasets[config.dataset], config.images_per_shard)
    if stage == "ingest":
        return {**images, "limit": config.limit}
    if stage == "embed":
        return recipe.settings(config.embedding, config.images_per_shard)
    if stage == "split":
        return config.split.model_dump()
    if stage == "baselines":
        return baselines.settings(
            config.evaluation.seed, recipe.recognising(config.embedding, config.evaluation.recognition)
        )
    return config.evaluation.model_dump()

"""The settings that determine the numbers of runs and searches, and the feature maps that they read."""

from collections.abc import Collection
from typing import Any

from pipeline.config import searches, start
from pipeline.config.paths import Paths
from pipeline.config.run_settings import run_settings
from pipeline.config.runs import find, layered
from pipeline.config.schema import Config
from pipeline.embedding import recipe
from pipeline.evaluation import untrained
from pipeline.networks import inputs, notation
from pipeline.planning.artefacts import images_settings, stage_settings
from pipeline.storage.layouts import VECTOR

MAPS_VARIABLE = "DEEPCOLOR_MAPS"  # environment variable with the maps that the runs of a workflow read


def maps_of_run(config: Config, name: str) -> tuple[str, ...]:
    """Return the feature maps that a run's network or predictor reads.

    Raises:
        InputError: there is no such run, or embedding.network has no such maps.
    """
    run = find(config, name)
    if predictor := untrained.of_run(run):
        stored = predictor.stored
    else:
        architecture = notation.of_run(run, config.architectures)
        stored = inputs.stored(notation.input_names(architecture, embedding=run.embedding))
    maps = [output for output in stored if output != VECTOR]
    return recipe.maps(config.embedding, maps, {}) if maps else ()


def maps_to_store(config: Config, asked: Collection[str]) -> tuple[str, ...]:
    """Return the feature maps that the stage features stores: those asked for and those that the store already has.

    Args:
        asked: names of maps; none for all maps of embedding.network.

    Raises:
        InputError: embedding.network has no such maps.
    """
    return recipe.maps(config.embedding, asked, Paths(config).features.attributes().get("settings", {}))


def settings_of_search(config: Config, name: str) -> dict[str, Any]:
    """Return the settings that determine the trials of a search, but for their number, as JSON values.

    Raises:
        InputError: a file that the settings name cannot be read.
    """
    search = config.searches[name]
    own = search.model_dump(exclude={"trials"})
    training = layered(config, find(config, search.extends)).training
    return {
        **settings_of_training(config, search.extends),
        "search": own,
        "epochs": training.epochs,
        "evaluation": stage_settings(config, "evaluate"),
    }


def maps_of_search(config: Config, name: str) -> tuple[str, ...]:
    """Return the feature maps that the networks of a search's trials may read; raises as `maps_of_run`."""
    tried = {searches.experiment(config, name, values).architecture for values in searches.ends(config.searches[name])}
    names = [notation.input_names(notation.resolve(each, config.architectures), embedding=True) for each in tried]
    maps = sorted({output for each in names for output in inputs.stored(each)} - {VECTOR})
    return recipe.maps(config.embedding, maps, {}) if maps else ()


def settings_of_training(config: Config, name: str) -> dict[str, Any]:
    """Return the settings that determine a run's numbers, as JSON values; see `pipeline.config.run_settings`.

    Raises:
        InputError: there is no such run, or a file that its settings name cannot be read.
    """
    run = untrained.checked(find(config, name))
    config = layered(config, run)
    return run_settings(
        run,
        config.training if run.predictor else start.with_digest(config.training),
        None if run.predictor else notation.of_run(run, config.architectures),
        dataset=config.dataset,
        limit=config.limit,
        images=images_settings(config),
        embeddings=stage_settings(config, "embed"),
        split=stage_settings(config, "split"),
    )

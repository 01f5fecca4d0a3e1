"""What the stages of the workflow make: the file that records it, and the settings that determine it.

An artefact of the dataset that is entered here is refused before work starts, made again, or replaced, whenever its
settings or its data changed (`check.py`, `due.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.paths import BaselineFiles, Paths, ResultFiles, RunFiles, manifest_of
from pipeline.config.schema import Config
from pipeline.core import files
from pipeline.core.registry import Registry
from pipeline.dataset import ingest
from pipeline.embedding import recipe
from pipeline.evaluation import baselines
from pipeline.storage.store import Store


@dataclass(frozen=True)
class Artefact:
    """What a stage makes for a dataset or, if it has a run's name, for a run.

    Attributes:
        name: of the stage.
        manifest: path of the file that the stage writes last, given the run's name if there is one. That of a dataset
            has ``settings``, and the fingerprints of what it was made from, by their names in `due.fingerprints`.
        settings: those that determine the output, as JSON values; None if they depend on more than the configuration.
        store: the store that the stage writes, if it does; it has its settings from its first shard on.
        table: path of the table beside the manifest, if the stage writes one.
    """

    name: str
    manifest: Callable[[Paths, str], Path]
    settings: Callable[[Config], dict[str, Any]] | None = None
    store: Callable[[Paths], Store] | None = None
    table: Callable[[Paths], Path] | None = None

    def begun(self, paths: Paths) -> tuple[Path, dict[str, Any]] | None:
        """Return the path of the dataset's output and the settings it was begun with, which are empty if it was not.

        None for what is made for a run, or with settings that depend on more than the configuration.
        """
        if self.settings and self.store:
            store = self.store(paths)
            return store.path, store.attributes().get("settings", {})
        if self.settings and self.table:
            return self.table(paths), files.read_if_whole(self.manifest(paths, "")).get("settings", {})
        return None


def images_settings(config: Config) -> dict[str, Any]:
    """Return the settings of the images; those recorded if only the source's place differs."""
    source = config.datasets[config.dataset]
    return ingest.recorded_settings(source, config.images_per_shard, Paths(config).images)


def _baselines(config: Config) -> dict[str, Any]:
    network = recipe.recognising(config.embedding, config.evaluation.recognition)
    return baselines.settings(config.evaluation, network)


ARTEFACTS: Registry[Artefact] = Registry("artefact", "stage")
for _artefact in (
    Artefact(
        "ingest",
        manifest=lambda paths, run: paths.images.manifest_path,
        settings=lambda config: {**images_settings(config), "limit": config.limit},
        store=lambda paths: paths.images,
    ),
    Artefact(
        "embed",
        manifest=lambda paths, run: paths.embeddings.manifest_path,
        settings=lambda config: recipe.settings(config.embedding, config.images_per_shard),
        store=lambda paths: paths.embeddings,
    ),
    Artefact(
        "features",
        manifest=lambda paths, run: paths.features.manifest_path,
        store=lambda paths: paths.features,
    ),
    Artefact(
        "split",
        manifest=lambda paths, run: manifest_of(paths.splits),
        settings=lambda config: config.split.model_dump(),
        table=lambda paths: paths.splits,
    ),
    Artefact(
        "baselines",
        manifest=lambda paths, run: BaselineFiles(paths.baselines).manifest,
        settings=_baselines,
        table=lambda paths: paths.baselines,
    ),
    Artefact("train", manifest=lambda paths, run: RunFiles(paths.model(run)).summary),
    Artefact(
        "evaluate",
        manifest=lambda paths, run: ResultFiles(paths.results / run).listing,
        settings=lambda config: config.evaluation.model_dump(),
    ),
):
    ARTEFACTS.register(_artefact)


def stage_settings(config: Config, stage: str) -> dict[str, Any]:
    """Return the settings that determine the output of a stage, as JSON values.

    Raises:
        InputError: no stage of this name makes anything.
        ValueError: they depend on more than the configuration.
    """
    if (settings := ARTEFACTS[stage].settings) is None:
        raise ValueError(f"expected a stage whose settings are in the configuration, received {stage}")
    return settings(config)


def manifest(paths: Paths, stage: str, run: str = "") -> Path:
    """Return the path of the file that a stage writes last; raises as `stage_settings`."""
    return ARTEFACTS[stage].manifest(paths, run)

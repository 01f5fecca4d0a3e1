"""Whether the output of a stage was made with the present settings and data, by the records beside it.

Snakemake remembers settings by the spelling of a path, and in one clone only.
"""

import math
import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pipeline import SINCE
from pipeline.config.paths import Paths, ResultFiles, RunFiles, manifest_of
from pipeline.config.runs import allowing_more_patience, find, layered
from pipeline.config.schema import Config
from pipeline.core import files
from pipeline.core.conflicts import differing
from pipeline.core.errors import InputError
from pipeline.core.text import counted
from pipeline.dataset.fingerprints import other_data
from pipeline.embedding import recipe
from pipeline.planning.artefacts import ARTEFACTS, manifest, stage_settings
from pipeline.planning.settings import maps_of_run, settings_of_training
from pipeline.results import record
from pipeline.training import ending, replaced


def reasons(config: Config, stage: str, run: str = "", maps: Collection[str] = ()) -> list[str]:
    """Return why an existing output has to be made again, mostly as ``key: old, now new``; nothing if it is current.

    Missing output gives no reason, because the workflow makes it in any case. Only small files are read.

    Args:
        config: the configuration.
        stage: the stage that makes the output.
        run: the name of the run, for train and evaluate.
        maps: feature maps that runs read, for features.

    Raises:
        InputError: the run or the settings of the stage are invalid.
    """
    paths = Paths(config)
    if stage == "train":
        return _training(config, paths, run)
    if stage == "evaluate":
        return _results(config, paths, run)
    path = manifest(paths, stage)
    if not path.exists():
        return []
    if not (old := files.read_if_whole(path)):
        return [f"{path.name}: damaged"]
    made_with = dict(old["settings"])
    if stage == "ingest":
        made_with["limit"] = old.get("limit")
    new = _settings(config, stage, made_with, maps)
    data = {key: old[key] for key in ("images", "split") if isinstance(old.get(key), str)}
    now = {key: value for key, value in fingerprints(paths).items() if key in data}
    return [*differing(made_with, new), *other_data(paths.images, data, now)]


def replaced_by(config: Config, stage: str, run: str = "", maps: Collection[str] = ()) -> str:
    """Say what `replace` takes away from a stage's output, and what it cost; nothing if the output is kept.

    Arguments and errors as in `reasons`.
    """
    paths = Paths(config)
    if not config.replace:
        return ""
    if stage == "train":
        directory = paths.model(run)
        old, done = files.read_if_whole(RunFiles(directory).settings), replaced.begun(directory)
        new, fewer = settings_of_training(config, run), done > layered(config, find(config, run)).training.epochs
        old.pop("fingerprints", None)
        if not old or not (fewer or differing(allowing_more_patience(old, new), new)):
            return ""
        place = replaced.folder(paths.models)
        return f"{directory} ({replaced.cost(directory)}) will be moved to {place}, and trained from scratch"
    if not (store := ARTEFACTS[stage].store) or not (old := store(paths).attributes()):
        return ""
    new = _settings(config, stage, old["settings"], maps)
    new.pop("limit", None)
    if not differing(old["settings"], new):
        return ""
    return f"{store(paths).path} ({counted(old['rows'], 'image')}) will be deleted"


def is_made(config: Config, stage: str, run: str = "", maps: Collection[str] = ()) -> bool:
    """Whether the stage's output exists and was made with these settings; arguments and errors as in `reasons`."""
    return manifest(Paths(config), stage, run).exists() and not reasons(config, stage, run, maps)


def made_meanwhile(config: Config, stage: str, run: str = "", maps: Collection[str] = ()) -> bool:
    """Whether another workflow made the stage's output, with these settings, since the workflow of this process began.

    Arguments and errors as in `reasons`.
    """
    made = is_made(config, stage, run, maps)
    return made and manifest(Paths(config), stage, run).stat().st_mtime >= float(os.environ.get(SINCE, math.inf))


def fingerprints(paths: Paths, maps: Iterable[str] = ()) -> dict[str, str]:
    """Return the fingerprints of the existing data that a run would be trained on, which reads these feature maps."""
    features = files.read_if_whole(paths.features.manifest_path).get("maps", {}) if maps else {}
    found = {
        "images": files.read_if_whole(paths.images.manifest_path).get("fingerprint"),
        "embeddings": files.read_if_whole(paths.embeddings.manifest_path).get("fingerprint"),
        "split": files.read_if_whole(manifest_of(paths.splits)).get("files", {}).get(paths.splits.name),
        **{f"features.{name}": features.get(name) for name in maps},
    }
    return {name: fingerprint for name, fingerprint in found.items() if fingerprint}


def _settings(config: Config, stage: str, made_with: Mapping[str, Any], maps: Collection[str]) -> dict[str, Any]:
    """The present settings of an artefact of the dataset; of features, with the maps that runs read or that it has."""
    if stage != "features":
        return stage_settings(config, stage)
    stored = recipe.maps(config.embedding, maps or made_with["outputs"], made_with)
    return recipe.settings(config.embedding, config.images_per_shard, stored)


def _training(config: Config, paths: Paths, name: str) -> list[str]:
    where = RunFiles(paths.model(name))
    if not where.summary.exists():
        return []
    if not (old := files.read_if_whole(where.summary)):
        return [f"{where.summary.name}: damaged"]
    training, new = layered(config, find(config, name)).training, settings_of_training(config, name)
    made_with = allowing_more_patience(old["settings"], new)
    trained_on = made_with.pop("fingerprints", {})
    differences = differing(made_with, new)
    differences += other_data(paths.images, trained_on, fingerprints(paths, maps_of_run(config, name)))
    if "predictor" not in new and (old["epochs"] > training.epochs or not ending.finished(old, training)):
        differences.append(f"epochs: {old['epochs']}, now {training.epochs}")
    return differences


def _results(config: Config, paths: Paths, name: str) -> list[str]:
    result = paths.results / name
    if not result.exists():
        return []
    try:
        old = record.read_record(result)
    except InputError:
        return [f"{ResultFiles.record.name}: missing or damaged"]
    trained = files.read_if_whole(RunFiles(paths.model(name)).summary)
    if not trained:
        return []
    weights = RunFiles(paths.model(name)).weights(config.evaluation.weights).name
    differences = differing(old.get("settings", {}), trained["settings"])
    differences += differing(
        old.get("configuration", {}).get("evaluation", {}), config.evaluation.model_dump(), "evaluation."
    )
    if not differences and old.get("weights_sha256") not in (None, trained["files"].get(weights)):
        differences.append(f"{weights}: other content")
    return differences

"""Checks before any work starts for what would make it fail or mix up results."""

import contextlib
import itertools
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import pipeline
from pipeline import SINCE, WORKFLOW
from pipeline.config.loading import VARIABLE
from pipeline.config.paths import Paths, RunFiles, scratch_of
from pipeline.config.runs import allowing_more_patience, find, layered
from pipeline.config.schema import Config, Untrained
from pipeline.core import extras, files, locks, lost
from pipeline.core.conflicts import differing, refuse_other
from pipeline.core.errors import InputError
from pipeline.core.text import escaped
from pipeline.dataset import ingest, moved
from pipeline.dataset.fingerprints import other_data
from pipeline.dataset.index import Earlier
from pipeline.dataset.sources.base import files_below
from pipeline.dataset.sources.open import open_source
from pipeline.dataset.sources.outputs import refuse_output_inside
from pipeline.dataset.sources.table import read_table
from pipeline.evaluation import untrained
from pipeline.networks import heads, notation
from pipeline.planning import due
from pipeline.planning.artefacts import ARTEFACTS, images_settings
from pipeline.planning.estimate import count_images
from pipeline.planning.settings import maps_of_run, settings_of_training
from pipeline.results import record
from pipeline.storage.store import Store
from pipeline.training import replaced

log = logging.getLogger("deepcolor")
CODE = Path(pipeline.__file__).parents[1]


def stage_environment(config: Config) -> dict[str, str]:
    """Return the environment of stage commands: the configuration, the calling process, and Snakemake's Python.

    A cluster's job is a process of its own, which inherits the time when its workflow started.
    """

    def first(folder: Path, name: str) -> str:
        return os.pathsep.join(filter(None, (str(folder), os.environ.get(name))))

    return {
        VARIABLE: config.model_dump_json(),
        WORKFLOW: locks.name_of(os.getpid()),
        SINCE: os.environ.get(SINCE, str(time.time())),
        "PATH": first(Path(sys.executable).parent, "PATH"),
        "PYTHONPATH": first(CODE, "PYTHONPATH"),  # the workflow may have been called from any folder
    }


def is_ingested(config: Config) -> bool:
    """Whether all images are stored as wanted, and their source is gone or has moved: Snakemake knows only paths."""
    source, paths = config.datasets[config.dataset], Paths(config)
    manifest = files.read_if_whole(paths.images.manifest_path)
    if not manifest or manifest["limit"] != config.limit:
        return False
    known = moved.is_elsewhere(source, paths.images) and not moved.has_moved(source, paths.images)
    return (
        (known or moved.is_gone(source))
        and not differing(manifest["settings"], images_settings(config))
        and paths.index.exists()
        and paths.report.exists()
        and not _is_outdated(config, paths.images)
    )


def source_files(config: Config) -> list[str]:
    """Return the files or the folder that the dataset is read from. Missing ones are left to ingest to report."""
    source = config.datasets[config.dataset]
    path = getattr(source, "path", None)
    if path is None or moved.is_gone(source):
        return []
    return sorted(map(str, Path(path).rglob("*.npy"))) if source.kind == "kaggle" else [str(path)]


def _check_place(config: Config, store: Store) -> None:
    """Refuse a source at other paths than recorded if its images differ; say so if it is gone."""
    source = config.datasets[config.dataset]
    if not store.manifest_path.exists():
        return
    if moved.is_gone(source):
        gone = " or ".join(map(escaped, moved.places(source).values()))
        log.warning("%s is gone; only ingest needs it, and the images in %s are used", gone, store.path)
    elif not differing(
        store.attributes().get("settings", {}), ingest.settings(source, config.images_per_shard)
    ) and moved.has_moved(source, store):
        log.info("comparing the images in %s with %s", store.path, escaped(moved.places(source)["path"]))
        opened = open_source(
            source, limit=config.limit, scratch=scratch_of(store), workers=config.workers,
            every_row=getattr(source, "leave_out_damaged", False), stored=Earlier.of(store).ids,
        )  # fmt: skip
        moved.refuse_other_images(source, opened, store)


def _note_changes(config: Config, store: Store) -> None:
    """Note that photographs changed since ingest, because Snakemake only notices changes of a folder's list of files.

    A modification time in the future, as from a camera with a wrong clock, does not count: it would always be newer.
    """
    source, manifest = config.datasets[config.dataset], store.manifest_path
    if source.kind != "folder" or moved.is_gone(source) or not manifest.exists() or _is_outdated(config, store):
        return
    root, ingested, now = Path(source.path), moved.seen(source, store), time.time()
    groups = read_table(source)
    folders = (Path(folder) for folder, _, _ in os.walk(root)) if groups is None else ()
    photographs = (root / name for name in (files_below(root)[0] if groups is None else groups))
    for path in itertools.chain(folders, photographs):
        with contextlib.suppress(OSError):
            if ingested < path.stat().st_mtime <= now:
                changed = escaped(str(path))
                log.info("%s changed after it was ingested; checking the photographs again", changed)
                lost.note(store.path, [f"changed: {changed}"])
                return


def _is_outdated(config: Config, store: Store) -> bool:
    """Whether Snakemake will run ingest, because its source or a note is newer."""
    ingested = store.manifest_path.stat().st_mtime if store.manifest_path.exists() else 0.0
    seen = moved.seen(config.datasets[config.dataset], store)
    return any(Path(path).stat().st_mtime > ingested for path in lost.notes(store.path)) or any(
        Path(path).stat().st_mtime > seen for path in source_files(config)
    )


def _note_losses(store: Store) -> None:
    """Note missing shards; remove such a note if no job has seen it and the shards exist again."""
    if not store.manifest_path.exists():
        return
    note = lost.path_of(store.path)
    if missing := store.missing_shards():
        log.warning("%s is no longer complete: computing shards %s again", store.path, missing)
        lost.note(store.path, [f"{lost.MISSING}: shards {missing}"])
    elif (
        note.exists()
        and note.stat().st_mtime > store.manifest_path.stat().st_mtime
        and note.read_text(encoding="utf-8").startswith(lost.MISSING)
    ):
        note.unlink()


def _refuse_files(**folders: Path) -> None:
    for key, folder in folders.items():
        existing = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
        if existing.exists() and not existing.is_dir():
            raise InputError(f"{key}: expected a folder, received {folder}, but {existing} is a file; name another")


def check_data(config: Config) -> None:
    """Refuse photographs that are not apart from the output, and stores, a split or baselines made otherwise.

    Notes lost shards.

    Raises:
        InputError: names the file and what differs, an architecture that cannot be built, or a file that is no folder.
    """
    _refuse_files(data=Path(config.data), root=Path(config.root))
    for name in config.architectures:
        notation.resolve(name, config.architectures)
    for name, experiment in config.experiments.items():
        if isinstance(experiment, Untrained):
            untrained.choose(experiment.predictor, f"experiments.{name}.predictor")
        else:
            notation.resolve(experiment.architecture, config.architectures, experiment.head, f"experiments.{name}")
    paths = Paths(config)
    refuse_output_inside(config.datasets[config.dataset], paths.outputs)
    for store in (paths.images, paths.embeddings, paths.features):
        _note_losses(store)
    _note_changes(config, paths.images)
    if config.replace:
        return
    for artefact in ARTEFACTS.values():
        if artefact.settings and (begun := artefact.begun(paths)):
            new = artefact.settings(config)
            new.pop("limit", None)
            refuse_other(*begun, new)
    rows = paths.images.attributes().get("rows", 0)
    if rows and (fewer := count_images(config)) < rows:
        refuse_other(paths.images.path, {"images": rows}, {"images": fewer})
    _check_place(config, paths.images)


def check_run(config: Config, name: str) -> dict[str, Any]:
    """Refuse an unknown run name, and one that already stands for a run with other settings.

    Returns:
        The settings that determine the run's numbers, as JSON values.

    Raises:
        InputError: gives the canonical name, or what differs.
    """
    run, maps = find(config, name), maps_of_run(config, name)
    new, config = settings_of_training(config, name), layered(config, run)
    if not run.predictor:
        architecture = notation.of_run(run, config.architectures)
        heads.refuse_temperature(architecture.head, config.evaluation.temperature, "evaluation.temperature")
    for tracker in config.training.trackers:
        extras.require(tracker, f"training.trackers: {tracker}")
    paths, epochs = Paths(config), config.training.epochs
    if not config.replace:
        if maps and (old := paths.features.attributes().get("settings")):
            refuse_other(paths.features.path, {**old, "outputs": maps}, {**new["embeddings"], "outputs": maps})
        record.refuse_other(paths.results / name, new, config.evaluation.model_dump(), epochs)
        if old := files.read_if_whole(RunFiles(paths.model(name)).settings):
            old = allowing_more_patience(old, new)
            trained_on = old.pop("fingerprints", {})
            trained = replaced.begun(paths.model(name))
            fewer = [f"epochs: {trained}, now {epochs}"] if trained > epochs else []
            refuse_other(paths.model(name), old, new, more=fewer)
            if not _is_outdated(config, paths.images):
                changed = other_data(paths.images, trained_on, due.fingerprints(paths, maps))
                refuse_other(paths.model(name), {}, {}, more=changed)
    return {**new, "epochs": epochs}

"""Checks before any work starts: everything that would make it fail, or mix up results."""

import contextlib
import itertools
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from pipeline import WORKFLOW
from pipeline.config.loading import VARIABLE
from pipeline.config.paths import Paths, RunFiles, manifest_of
from pipeline.config.run_settings import run_settings
from pipeline.config.runs import find, layered
from pipeline.config.schema import Config
from pipeline.core import files, locks, lost
from pipeline.core.conflicts import refuse_other
from pipeline.core.text import escaped
from pipeline.dataset import ingest
from pipeline.dataset.sources.base import files_below
from pipeline.networks import notation
from pipeline.planning.estimate import count_images, epochs_done
from pipeline.planning.settings import stage_settings
from pipeline.results import record
from pipeline.storage.store import Store

log = logging.getLogger("deepcolor")


def stage_environment(config: Config) -> dict[str, str]:
    """The environment of stage commands: the configuration, the calling process, and the Python that runs Snakemake."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {VARIABLE: config.model_dump_json(), WORKFLOW: locks.name_of(os.getpid()), "PATH": path}


def source_files(config: Config) -> list[str]:
    """The files or the folder that the dataset is made from; none where it has none.

    Nor where they are missing: ingest reports that in one line.
    """
    path = getattr(config.datasets[config.dataset], "path", None)
    if path is None or not Path(path).exists():
        return []
    if config.datasets[config.dataset].kind == "kaggle":
        return sorted(str(found) for found in Path(path).rglob("*.npy"))
    return [str(path)]


def _note_changes(config: Config, store: Store) -> None:
    """Note that photographs changed since ingest; of a folder, Snakemake itself only sees changes of the list of files.

    A modification time in the future, as a camera with a wrong clock writes it, does not count: it would stay newer.
    """
    source, manifest = config.datasets[config.dataset], store.manifest_path
    if source.kind != "folder" or not manifest.exists() or _is_outdated(config, store):
        return
    root, made, now = Path(source.path), manifest.stat().st_mtime, time.time()
    folders = (Path(folder) for folder, _, _ in os.walk(root))
    photographs = (root / name for name in files_below(root)[0])
    for path in itertools.chain(folders, photographs):
        with contextlib.suppress(OSError):
            if made < path.stat().st_mtime <= now:
                changed = escaped(str(path))
                log.info("%s changed after it was ingested; checking the photographs again", changed)
                lost.note(store.path, [f"changed: {changed}"])
                return


def _is_outdated(config: Config, store: Store) -> bool:
    """Whether Snakemake will run ingest, because its source or a note is newer."""
    made = store.manifest_path.stat().st_mtime if store.manifest_path.exists() else 0.0
    return any(Path(path).stat().st_mtime > made for path in (*source_files(config), *lost.notes(store.path)))


def _note_losses(store: Store) -> None:
    """Write a note where shards are missing; take back one that no job has seen yet if they are there after all."""
    if not store.manifest_path.exists():
        return
    note = lost.path_of(store.path)
    if missing := store.missing_shards():
        log.warning("%s is no longer complete (shards %s); making them again", store.path, missing)
        lost.note(store.path, [f"{lost.MISSING}: shards {missing}"])
    elif (
        note.exists()
        and note.stat().st_mtime > store.manifest_path.stat().st_mtime
        and note.read_text(encoding="utf-8").startswith(lost.MISSING)
    ):
        note.unlink()


def check_data(config: Config) -> None:
    """Refuse stores, a split or baselines made with other settings or from more images; note shards that were lost.

    Raises:
        InputError: names the file and what differs, or an architecture that cannot be built.
    """
    for name in (*config.architectures, *(own.architecture for own in config.experiments.values())):
        notation.resolve(name, config.architectures)
    places = Paths(config)
    for store in (places.images, places.embeddings):
        _note_losses(store)
    _note_changes(config, places.images)
    if config.replace:
        return
    made_with = {
        places.images.path: (places.images.attributes().get("settings"), "ingest"),
        places.embeddings.path: (places.embeddings.attributes().get("settings"), "embed"),
    }
    for path, stage in ((places.splits, "split"), (places.baselines, "baselines")):
        made_with[path] = (files.read_if_whole(manifest_of(path)).get("settings"), stage)
    for path, (old, stage) in made_with.items():
        new = stage_settings(config, stage)
        new.pop("limit", None)
        refuse_other(path, old or {}, new)
    rows = places.images.attributes().get("rows", 0)
    if rows and (fewer := count_images(config)) < rows:
        refuse_other(places.images.path, {"images": rows}, {"images": fewer})


def check_run(config: Config, name: str) -> dict[str, Any]:
    """Refuse an unknown run name, and one that already stands for a run with other settings.

    Returns:
        The settings that decide the run's numbers, as JSON values.

    Raises:
        InputError: gives the canonical name, or what differs.
    """
    run = find(config, name)
    config = layered(config, run)
    new = run_settings(
        run,
        config.training,
        notation.resolve(run.architecture, config.architectures),
        dataset=config.dataset,
        limit=config.limit,
        images=ingest.settings(config.datasets[config.dataset], config.images_per_shard),
        embeddings=stage_settings(config, "embed"),
        split=stage_settings(config, "split"),
    )
    places = Paths(config)
    directory = places.model(name)
    decisive = {**new, "epochs": config.training.epochs}
    if config.replace:
        return decisive
    record.refuse_other(places.results / name, new, config.evaluation.model_dump(), config.training.epochs)
    old = files.read_if_whole(RunFiles(directory).settings)
    if not old:
        return decisive
    trained_on = old.pop("fingerprints", {})
    epochs = epochs_done(config, name)
    fewer = [f"epochs: {epochs}, now {config.training.epochs}"] if epochs > config.training.epochs else []
    refuse_other(directory, old, new, more=fewer)
    if not _is_outdated(config, places.images):
        refuse_other(directory, trained_on, {**trained_on, **_fingerprints(places)}, prefix="data.")
    return decisive


def _fingerprints(places: Paths) -> dict[str, str]:
    """Fingerprints of what a run would be trained on now, as far as it exists."""
    manifests = {
        "images": files.read_if_whole(places.images.manifest_path).get("fingerprint"),
        "embeddings": files.read_if_whole(places.embeddings.manifest_path).get("fingerprint"),
        "split": files.read_if_whole(manifest_of(places.splits)).get("files", {}).get(places.splits.name),
    }
    return {name: fingerprint for name, fingerprint in manifests.items() if fingerprint}

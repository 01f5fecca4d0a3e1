"""Before any work: what stands in its way, and what it will take."""

import contextlib
import itertools
import logging
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pipeline import WORKFLOW, blueprints, files, ingest, locks, lost, recipes, results
from pipeline.blueprints import EMBEDDING_FLOPS
from pipeline.config import VARIABLE, Config
from pipeline.conflicts import WAYS_OUT, differing
from pipeline.errors import InputError
from pipeline.places import Places
from pipeline.run_settings import run_settings
from pipeline.runs import Run
from pipeline.sources import open_source
from pipeline.sources.base import escaped, files_below
from pipeline.stores import Store

log = logging.getLogger("deepcolor")

EFFICIENCY = 0.75  # of the matrix product's rate that networks reach, measured on two CPU types
PIXELS = 224 * 224


def stage_settings(config: Config, stage: str) -> dict[str, Any]:
    """The settings that decide the output of a stage, as JSON values."""
    images = ingest.settings(config.datasets[config.dataset], config.images_per_shard)
    if stage == "ingest":
        return {**images, "limit": config.limit}
    if stage == "embed":
        return recipes.settings(config.embedding, config.images_per_shard)
    if stage == "split":
        return config.split.model_dump()
    if stage == "references":
        return recipes.references(config.evaluation.seed, config.embedding)
    return config.evaluation.model_dump()


def stage_environment(config: Config) -> dict[str, str]:
    """The environment of stage commands: the configuration, who calls, and the Python that runs Snakemake."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {VARIABLE: config.model_dump_json(), WORKFLOW: locks.name_of(os.getpid()), "PATH": path}


def source_files(config: Config) -> list[str]:
    """The files or the folder that the dataset is made from, where it has any.

    A folder that is missing is left to ingest, which says so in one line.
    """
    path = getattr(config.datasets[config.dataset], "path", None)
    if path is None or not Path(path).exists():
        return []
    if config.datasets[config.dataset].kind == "kaggle":
        return sorted(str(found) for found in Path(path).rglob("*.npy"))
    return [str(path)]


def _note_changes(config: Config, store: Store) -> None:
    """Note that photographs changed since they were ingested: of a folder, Snakemake itself sees no more than its list.

    A time to come, as a camera with a wrong clock gives it, does not count: it would be newer for ever.
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
                log.info("%s was changed after it was ingested; the photographs are looked at again", changed)
                lost.note(store.path, [f"changed: {changed}"])
                return


def _is_outdated(config: Config, store: Store) -> bool:
    """Whether ingest will be run because what it was made from, or a note, is newer."""
    made = store.manifest_path.stat().st_mtime if store.manifest_path.exists() else 0.0
    return any(Path(path).stat().st_mtime > made for path in (*source_files(config), *lost.notes(store.path)))


def _note_losses(store: Store) -> None:
    """Bring the note of lost shards up to date; one that no job has seen yet is taken back if the shards are there."""
    if not store.manifest_path.exists():
        return
    note = lost.path_of(store.path)
    if missing := store.missing_shards():
        log.warning("%s is not complete any more (shards %s); they are made again", store.path, missing)
        lost.note(store.path, [f"{lost.MISSING}: shards {missing}"])
    elif (
        note.exists()
        and note.stat().st_mtime > store.manifest_path.stat().st_mtime
        and note.read_text(encoding="utf-8").startswith(lost.MISSING)
    ):
        lost.take_back(store.path)


def check_data(config: Config) -> None:
    """Refuse to work on stores or a split made with other settings, or of more images; note shards that were lost.

    Raises:
        InputError: names the store and what differs.
    """
    for name in config.architectures:
        blueprints.resolve(name, config.architectures)
    places = Places(config)
    for store in (places.images, places.embeddings):
        _note_losses(store)
    _note_changes(config, places.images)
    if config.replace:
        return
    made_with = {
        places.images.path: (places.images.attributes().get("settings"), "ingest"),
        places.embeddings.path: (places.embeddings.attributes().get("settings"), "embed"),
    }
    for path, stage in ((places.splits, "split"), (places.references, "references")):
        made_with[path] = (files.read_if_whole(path.with_suffix(".json")).get("settings"), stage)
    for path, (old, stage) in made_with.items():
        new = stage_settings(config, stage)
        new.pop("limit", None)
        if old and (differences := differing(old, new)):
            raise InputError(f"{path} was made with other settings ({'; '.join(differences)}); {WAYS_OUT}")
    rows = places.images.attributes().get("rows", 0)
    if rows and (fewer := count_images(config)) < rows:
        raise InputError(f"{places.images.path} holds {rows} images, asked for are {fewer}; {WAYS_OUT}")


def check_run(config: Config, name: str) -> dict[str, Any]:
    """Refuse a name that is no run, and a run whose name stands for another one already.

    Returns:
        What decides the run's numbers, as JSON values.

    Raises:
        InputError: gives the right name, or what differs.
    """
    run = Run.parse(name)
    new = run_settings(
        run,
        config.training,
        config.architectures,
        dataset=config.dataset,
        limit=config.limit,
        images=ingest.settings(config.datasets[config.dataset], config.images_per_shard),
        embeddings=stage_settings(config, "embed"),
        split=stage_settings(config, "split"),
    )
    places = Places(config)
    directory = places.model(name)
    decisive = {**new, "epochs": config.training.epochs}
    if config.replace:
        return decisive
    results.refuse_other(places.results / name, new, config.evaluation.model_dump(), config.training.epochs)
    old = files.read_if_whole(directory / "settings.json")
    if not old:
        return decisive
    trained_on = old.pop("fingerprints", {})
    differences = differing(old, new)
    if not differences and not _is_outdated(config, places.images):
        differences = differing(trained_on, {**trained_on, **_fingerprints(places)}, "data.")
    if (epochs := _epochs_done(config, name)) > config.training.epochs:
        differences.append(f"epochs: {epochs}, now {config.training.epochs}")
    if differences:
        raise InputError(f"{directory} holds another run of that name ({'; '.join(differences)}); {WAYS_OUT}")
    return decisive


def _fingerprints(places: Places) -> dict[str, str]:
    """The bytes that a run would be trained on now, as far as they are made."""
    manifests = {
        "images": files.read_if_whole(places.images.manifest_path).get("fingerprint"),
        "embeddings": files.read_if_whole(places.embeddings.manifest_path).get("fingerprint"),
        "split": files.read_if_whole(places.splits.with_suffix(".json")).get("files", {}).get(places.splits.name),
    }
    return {name: fingerprint for name, fingerprint in manifests.items() if fingerprint}


def matrix_rate(size: int = 1024, seconds: float = 0.2) -> float:
    """Floating-point operations per second of float32 matrix products on this machine's CPU, measured now."""
    left = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    left @ left
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        left @ left
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def count_images(config: Config) -> int:
    """How many images the dataset has; of a folder, how many it had or, at first, has at most."""
    places = Places(config)
    source = config.datasets[config.dataset]
    if source.kind != "folder":
        return open_source(source, limit=config.limit, scratch=places.dataset / "images.scratch").n
    if config.limit is None and (rows := files.read_if_whole(places.images.manifest_path).get("rows")):
        return int(rows)
    below = sum(path.is_file() for path in Path(source.path).rglob("*"))
    return min(below, config.limit or below)


def plan(config: Config, jobs: Sequence[tuple[str, str | None]]) -> list[str]:
    """What the jobs will take in time, disk and memory, as lines of text.

    Args:
        config: the configuration.
        jobs: rule names, each with its run where it has one.

    Raises:
        InputError: the disk is too small.
    """
    images = count_images(config)
    if not jobs:
        return []
    rate = EFFICIENCY * matrix_rate() * min(1.0, config.threads / (os.cpu_count() or 1))
    seconds = disk = 0.0
    memory = 0.6e9
    share = config.split.train
    recognised = stage_settings(config, "references")["recognition"] is not None
    rules = [rule for rule, _ in jobs]
    for rule, name in jobs:
        if rule == "ingest":
            seconds += 0.03 * images
            disk += 0.6 * 3 * PIXELS * images
            if config.datasets[config.dataset].kind == "folder":
                disk += 3 * PIXELS * images
        elif rule == "embed":
            seconds += 25 + images * EMBEDDING_FLOPS / rate
            disk += 4000 * images + 0.25e9
            memory = max(memory, 2.5e9)
        elif rule == "references":
            seconds += 0.25 * images + recognised * 5 * images * EMBEDDING_FLOPS / rate
        elif rule in ("train", "evaluate") and name:
            flops = blueprints.forward_flops(Run.parse(name).architecture, 224, config.architectures)
            if rule == "train":
                epochs = max(config.training.epochs - _epochs_done(config, name), 0)
                seconds += 10 + epochs * images * flops * (3 * share + config.split.validation) / rate
                disk += 0.35e9
                decoded = 3 * PIXELS * images * (share + config.split.validation)
                memory = max(memory, 2e9 + min(decoded, config.training.memory_gib * 2**30))
            else:
                seconds += 10 + images * (0.15 + flops / rate) + recognised * 3 * images * EMBEDDING_FLOPS / rate
    free = shutil.disk_usage(_existing(Path(config.data))).free
    if disk > free:
        raise InputError(
            f"{config.data}: this work needs about {disk / 1e9:.1f} GB of disk, {free / 1e9:.1f} GB are free; "
            "free some, or set data and root to a larger disk"
        )
    lines = [
        f"{images} images; {len(jobs)} jobs ({', '.join(f'{rules.count(r)} {r}' for r in dict.fromkeys(rules))})",
        f"about {_duration(seconds)} on this machine's CPU (a GPU is faster), {disk / 1e9:.1f} GB of disk "
        f"({free / 1e9:.0f} GB free), {memory / 1e9:.1f} GB of memory",
    ]
    if memory > psutil.virtual_memory().total:
        lines.append("warning: this machine has less memory than that; lower training.memory_gib")
    if "embed" in rules:
        lines.append(f"the weights of the embedding network are {recipes.label(stage_settings(config, 'embed'))}")
    return lines


def _epochs_done(config: Config, name: str) -> int:
    history = Places(config).model(name) / "history.csv"
    with contextlib.suppress(InputError):
        return len(files.read_csv(history, ("epoch",)))
    return 0


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"

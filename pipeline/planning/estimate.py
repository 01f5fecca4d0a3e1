"""What the work will take: time, disk and memory."""

import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil

from pipeline.config.paths import Paths, RunFiles, scratch_of
from pipeline.config.runs import find, layered
from pipeline.config.schema import Config
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.dataset.sources.open import open_source
from pipeline.embedding import recipe, registry
from pipeline.networks import notation
from pipeline.planning.settings import stage_settings

EFFICIENCY = 0.75  # of the matrix product's rate that networks reach, measured on two CPU types


PIXELS = 224 * 224


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
    places = Paths(config)
    source = config.datasets[config.dataset]
    if source.kind != "folder":
        return open_source(source, limit=config.limit, scratch=scratch_of(places.images)).n
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
    network = registry.get(config.embedding.network)
    recognised = stage_settings(config, "references")["recognition"] is not None
    rules = [rule for rule, _ in jobs]
    for rule, name in jobs:
        if rule == "ingest":
            seconds += 0.03 * images
            disk += 0.6 * 3 * PIXELS * images
            if config.datasets[config.dataset].kind == "folder":
                disk += 3 * PIXELS * images
        elif rule == "embed":
            seconds += 25 + images * network.flops / rate
            disk += network.bytes_per_image() * images + 4 * network.parameters
            memory = max(memory, 2.5e9)
        elif rule == "references":
            seconds += 0.25 * images + recognised * 5 * images * network.flops / rate
        elif rule in ("train", "evaluate") and name:
            run = find(config, name)
            training = layered(config, run).training
            flops = notation.forward_flops(run.architecture, 224, config.architectures)
            if rule == "train":
                epochs = max(training.epochs - epochs_done(config, name), 0)
                seconds += 10 + epochs * images * flops * (3 * share + config.split.validation) / rate
                disk += 0.35e9
                decoded = 3 * PIXELS * images * (share + config.split.validation)
                memory = max(memory, 2e9 + min(decoded, training.memory_gib * 2**30))
            else:
                seconds += 10 + images * (0.15 + flops / rate) + recognised * 3 * images * network.flops / rate
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
        lines.append(f"the weights of the embedding network are {recipe.label(stage_settings(config, 'embed'))}")
    return lines


def epochs_done(config: Config, name: str) -> int:
    """How many epochs a run has been trained."""
    history = RunFiles(Paths(config).model(name)).history
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

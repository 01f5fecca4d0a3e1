"""Estimates of the time, disk and memory that jobs need."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from pipeline.config.paths import Paths, scratch_of
from pipeline.config.runs import find, layered
from pipeline.config.schema import Config
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.core.text import counted
from pipeline.dataset import moved
from pipeline.dataset.sources.open import open_source
from pipeline.dataset.sources.table import read_table
from pipeline.embedding import recipe, registry
from pipeline.evaluation import untrained
from pipeline.images.formats import SIZE
from pipeline.networks.cost import forward_flops
from pipeline.planning import due
from pipeline.planning.artefacts import stage_settings
from pipeline.planning.settings import maps_of_run, maps_to_store
from pipeline.training import replaced

EFFICIENCY = 0.75  # rate of networks relative to matrix products, measured on two CPU types
BYTES = 3 * SIZE**2  # per image, of L and ab


@dataclass
class _Cost:
    """What jobs need: seconds, floating-point operations and bytes of disk in total; peak bytes of memory and scratch.

    Scratch is disk that a job frees when it ends.
    """

    seconds: float = 0.0
    flops: float = 0.0
    disk: float = 0.0
    memory: float = 0.6e9
    scratch: float = 0.0

    def add(
        self, seconds: float, flops: float = 0.0, disk: float = 0.0, memory: float = 0.0, scratch: float = 0.0
    ) -> None:
        self.seconds += seconds
        self.flops += flops
        self.disk += disk
        self.memory = max(self.memory, memory)
        self.scratch = max(self.scratch, scratch)


def matrix_rate(size: int = 1024, seconds: float = 0.2) -> float:
    """Measure the floating-point operations per second of float32 matrix products on this machine's CPU."""
    left = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    left @ left
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        left @ left
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def count_images(config: Config) -> int:
    """Return the number of images in the dataset; for a folder not yet ingested, the number of files."""
    images = Paths(config).images
    source = config.datasets[config.dataset]
    manifest = files.read_if_whole(images.manifest_path)
    if (rows := manifest.get("rows")) and (manifest["limit"] == config.limit or moved.is_gone(source)):
        return min(int(rows), config.limit or int(rows))
    if source.kind != "folder":
        return open_source(source, limit=config.limit, scratch=scratch_of(images), every_row=False).n
    groups = read_table(source)
    count = sum(path.is_file() for path in Path(source.path).rglob("*")) if groups is None else len(groups)
    return min(count, config.limit or count)


def plan(config: Config, jobs: Sequence[tuple[str, str | None]]) -> list[str]:
    """Describe the time, disk and memory that the jobs need, in lines of text.

    Args:
        config: the configuration.
        jobs: pairs of a rule and its run, if it has one.

    Raises:
        InputError: the disk is too small.
    """
    images = count_images(config)
    if not jobs:
        return []
    rules = [rule for rule, _ in jobs]
    cost = _Cost()
    for rule, name in jobs:
        _add(cost, config, rule, name, images)
    if "features" in rules:
        asked = [each for _, name in jobs if name for each in maps_of_run(config, name)]
        _add_features(cost, config, maps_to_store(config, asked), images)
    disk = cost.disk + cost.scratch
    rate = EFFICIENCY * matrix_rate() * min(1.0, config.threads / (os.cpu_count() or 1))
    data = Path(config.data).absolute()
    free = shutil.disk_usage(next(path for path in (data, *data.parents) if path.exists())).free
    if disk > free:
        raise InputError(
            f"{config.data}: this work needs about {disk / 1e9:.1f} GB of disk, but only {free / 1e9:.1f} GB are "
            "free; free some space, or set data and root to another disk"
        )
    counts = ", ".join(f"{count} {rule}" for rule, count in Counter(rules).items())
    duration = _duration(cost.seconds + cost.flops / rate)
    lines = [
        f"{counted(images, 'image')}; {counted(len(jobs), 'job')} ({counts})",
        f"about {duration} on this machine's CPU (a GPU is faster), {disk / 1e9:.1f} GB of disk "
        f"({free / 1e9:.0f} GB free), {cost.memory / 1e9:.1f} GB of memory",
    ]
    if cost.memory > psutil.virtual_memory().total:
        lines.append("warning: this machine has less memory; lower training.memory_gib")
    if "embed" in rules:
        lines.append(f"weights of the embedding network: {recipe.label(stage_settings(config, 'embed'))}")
    return lines


def _add(cost: _Cost, config: Config, rule: str, name: str | None, images: int) -> None:
    """Add the cost of one job of the run `name`, if it has one."""
    network = registry.ENTRIES[config.embedding.network]
    recognising = config.evaluation.recognition
    recognition = registry.ENTRIES[recognising].flops if recognising else 0.0
    scored = images * sum(getattr(config.split, partition) for partition in config.evaluation.partitions)
    if rule == "ingest":
        copies = 1.6 if config.datasets[config.dataset].kind == "folder" else 0.6
        cost.add(0.03 * images, disk=copies * BYTES * images)
    elif rule == "embed":
        disk = network.bytes_per_image() * images + 4 * network.parameters
        cost.add(25, images * network.flops, disk, 2.5e9)
    elif rule == "baselines":
        cost.add(0.25 * scored, 5 * scored * recognition)
    elif rule == "train" and name and due.is_made(config, rule, name):
        return  # it starts, and finds nothing to train
    elif rule in ("train", "evaluate") and name:
        run = find(config, name)
        if predictor := untrained.of_run(run):
            if rule == "evaluate":
                seconds = predictor.seconds / min(config.workers, os.cpu_count() or 1)
                partitions = {*config.evaluation.partitions} & {*predictor.partitions}
                answered = images * sum(getattr(config.split, partition) for partition in partitions)
                cost.add(10 + (0.15 + seconds) * answered, 3 * answered * recognition)
            return
        training, split = layered(config, run).training, config.split
        flops = forward_flops(run.architecture, SIZE, config.architectures, network.outputs, run.head)
        if rule == "evaluate":
            more = training.start_from is not None  # the network before training is scored too
            cost.add(10 + 0.15 * scored, (1 + more) * scored * flops + (3 + more) * scored * recognition)
            return
        epochs = max(training.epochs - epochs_done(config, name), 0)
        maps = network.bytes_per_image(maps_of_run(config, name))
        decoded = (BYTES + maps) * images * (split.train + split.validation)
        most = training.memory_gib * 2**30
        scratch = decoded if decoded > most else 0.0
        memory = 2e9 + min(decoded, most)
        trained_on = split.train if training.images is None else min(split.train, training.images / images)
        cost.add(10, epochs * images * flops * (3 * trained_on + split.validation), 0.35e9, memory, scratch)


def _add_features(cost: _Cost, config: Config, maps: Sequence[str], images: int) -> None:
    """Add the cost of computing feature maps."""
    network = registry.ENTRIES[config.embedding.network]
    cost.add(25, images * network.flops, network.bytes_per_image(maps) * images, 2.5e9)


def epochs_done(config: Config, name: str) -> int:
    """Return the number of epochs that a run was trained for."""
    return replaced.epochs(Paths(config).model(name))


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"

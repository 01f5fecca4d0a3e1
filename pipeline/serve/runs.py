"""The finished runs that the page offers."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.paths import SHIPPED, ResultFiles
from pipeline.config.runs import DIVERGED, diverged
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.embedding import recipe
from pipeline.results.record import read_network_record

log = logging.getLogger("deepcolor")


@dataclass(frozen=True)
class ServedRun:
    """A finished run.

    Attributes:
        name: the run's name.
        folder: ``results/<run>/``, or that of a published network.
        weights: a short description of the embedding network's weights.
        random: whether these weights are random.
        findings: sentences about its scores on the test images; may be empty.
        takes_hints: whether the network takes colours that a person wants at places of a photograph.
    """

    name: str
    folder: Path
    weights: str
    random: bool
    findings: tuple[str, ...]
    takes_hints: bool = False


def read(folder: Path) -> ServedRun:
    """Read ``results/<run>/`` without loading its networks.

    Raises:
        InputError: the run is unfinished, diverged or damaged.
    """
    record = read_network_record(folder)
    if diverged(record):
        raise InputError(f"{folder}: {DIVERGED}")
    model = ResultFiles(folder).model
    if not model.is_file():
        raise InputError(f"{folder}: expected a trained network, received no {model.name}; evaluate the run")
    files.refuse_changed(model)
    embedding, findings = record.get("embedding"), record.get("findings")
    if not isinstance(embedding, Mapping) or "weights" not in embedding:
        raise InputError(f"{folder / 'run.yaml'}: expected embedding.weights, received none; evaluate the run again")
    return ServedRun(
        name=str(record.get("run", folder.name)) + " (comes with DeepColor)" * (folder == SHIPPED),
        folder=folder,
        weights="none, it takes no embedding" if embedding["weights"] == "none" else recipe.label(dict(embedding)),
        random=embedding["weights"] == "random",
        findings=tuple(map(str, findings)) if isinstance(findings, list) else (),
        takes_hints=ResultFiles(folder).spreading.exists(),
    )


def offered(folder: Path) -> list[ServedRun]:
    """Return the network that comes with DeepColor and the finished runs in a folder of results, by name.

    Damaged runs are skipped with a warning.

    Raises:
        InputError: the network that comes with DeepColor is damaged.
    """
    runs = [read(SHIPPED)]
    for entry in sorted(folder.glob("[!.]*")):
        if ResultFiles(entry).record.is_file():
            try:
                runs.append(read(entry))
            except InputError as error:
                log.warning("skipped: %s", error)
    return runs

"""What the page tells of the runs to choose from."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.paths import ResultFiles
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.embedding import recipe
from pipeline.results.record import read_record

log = logging.getLogger("deepcolor")


@dataclass(frozen=True)
class ServedRun:
    """A finished run.

    Attributes:
        name: as the page shows it.
        folder: ``results/<run>/``.
        weights: those of its embedding network, in a few words.
        random: whether that network was never trained.
        findings: what its test images say, a sentence each; may be empty.
    """

    name: str
    folder: Path
    weights: str
    random: bool
    findings: tuple[str, ...]


def read(folder: Path) -> ServedRun:
    """Read ``results/<run>/``; its networks are not loaded.

    Raises:
        InputError: it is no finished run, or is damaged.
    """
    record = read_record(folder)
    model = ResultFiles(folder).model
    if not model.is_file():
        raise InputError(f"{folder}: expected a trained network, received no {model.name}; evaluate the run")
    files.refuse_changed(model)
    made = record.get("embedding")
    if not isinstance(made, Mapping) or "weights" not in made:
        raise InputError(f"{folder / 'run.yaml'}: expected how its embeddings were made; evaluate the run again")
    found = record.get("findings")
    return ServedRun(
        name=str(record.get("run", folder.name)),
        folder=folder,
        weights="none, it takes no embedding" if made["weights"] == "none" else recipe.label(dict(made)),
        random=made["weights"] == "random",
        findings=tuple(map(str, found)) if isinstance(found, list) else (),
    )


def finished(folder: Path) -> list[ServedRun]:
    """All runs of a folder of results, by name; what is damaged or unfinished is left out with a warning.

    Raises:
        InputError: there are none.
    """
    runs = []
    entries = folder.iterdir() if folder.is_dir() else ()
    for entry in sorted(entries):
        if not entry.name.startswith(".") and ResultFiles(entry).record.is_file():
            try:
                runs.append(read(entry))
            except InputError as error:
                log.warning("left out: %s", error)
    if not runs:
        raise InputError(f"{folder}: expected a finished run, received none; train one, or name one with --run")
    return runs

"""The interface of trackers, and what each of them is given.

A tracker has a run of its own for each training, which the fingerprint of the training's settings and data identifies.
So a training that resumes, and its evaluation, report to the same run.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pipeline.config.paths import ResultFiles, RunFiles
from pipeline.core import csv_files, extras, files
from pipeline.evaluation import scores

PICTURES = 8  # predicted pictures that a tracker is given

History = Sequence[Mapping[str, float]]

log = logging.getLogger("deepcolor")


class Tracker(Protocol):
    """A run in a tracker of experiments."""

    def epochs(self, history: History) -> None:
        """Log those epochs of a history that it does not have."""

    def results(self, folder: ResultFiles) -> None:
        """Log the metrics of an evaluated run, its figures, pictures and network."""

    def close(self) -> None:
        """Write what is left."""


class Tracking:
    """The trackers of one run. One that fails says so once, and the work goes on without it.

    Args:
        names: of the trackers.
        root: folder below which they store; see `pipeline.config.schema.Config.root`.
        model: ``models/<run>/``.

    Raises:
        InputError: the extra of a tracker is not installed.
    """

    def __init__(self, names: Sequence[str], root: Path, model: Path) -> None:
        self._names, self._root, self._model = tuple(dict.fromkeys(names)), root, model
        self._opened: dict[str, Tracker | None] | None = None  # None until the run has settings
        for name in self._names:
            extras.require(name, f"training.trackers: {name}")

    def epochs(self, history: History) -> None:
        """See `Tracker.epochs`; a listener of `pipeline.training.train.train`."""
        self._each(lambda tracker: tracker.epochs(history))

    def results(self, folder: Path) -> None:
        """See `Tracker.results`, for ``results/<run>/``; epochs that a tracker does not have come first."""
        history = RunFiles(self._model).history  # there is none where nothing was trained
        rows = csv_files.read(history, ("epoch",)) if self._names and history.exists() else ()
        self.epochs([{key: float(value) for key, value in row.items()} for row in rows])
        self._each(lambda tracker: tracker.results(ResultFiles(folder)))

    def close(self) -> None:
        """See `Tracker.close`."""
        if self._opened:
            self._each(lambda tracker: tracker.close())

    def _each(self, act: Callable[[Tracker], None]) -> None:
        if self._opened is None:
            self._opened = dict.fromkeys(self._names)
        for name, tracker in list(self._opened.items()):
            try:
                tracker = self._opened[name] = tracker or self._open(name)
                act(tracker)
            except Exception as error:
                del self._opened[name]
                log.warning("%s: %s; going on without this tracker", name, " ".join(str(error).split())[:300])

    def _open(self, name: str) -> Tracker:
        from importlib import import_module

        self._root.mkdir(parents=True, exist_ok=True)
        settings = files.read_json(RunFiles(self._model).settings)
        opened: Tracker = import_module(f"pipeline.tracking.{name}").open_run(
            self._root, self._model.name, files.fingerprint(settings)[:16], dict(flat(settings))
        )
        return opened


def flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested settings by dotted keys, as text."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", str(value)


def metrics_of(folder: ResultFiles) -> dict[str, float]:
    """Return the finite scores of a run's network, and the ends of their intervals.

    They are named ``<partition>/<metric>``, ``…/low`` and ``…/high``.
    """
    found = {}
    for row in csv_files.read(folder.metrics, scores.COLUMNS):
        if row["answer"] == scores.MODEL:
            name = f"{row['partition']}/{row['metric']}"
            named = {name: row["value"], f"{name}/low": row["low"], f"{name}/high": row["high"]}
            found.update({key: float(text) for key, text in named.items() if text and math.isfinite(float(text))})
    return found


def files_of(folder: ResultFiles) -> dict[str, list[Path]]:
    """Return the files of an evaluated run that a tracker gets, by the folder where they belong."""
    shown = [path for path in sorted(folder.directory.iterdir()) if path.is_file() and not path.name.startswith(".")]
    return {"": shown, folder.pictures.name: sorted(folder.pictures.glob("*.jpg"))[:PICTURES]}

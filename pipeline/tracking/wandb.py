"""Weights & Biases: offline, in <root>/wandb, unless WANDB_MODE says otherwise; `wandb sync` uploads it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Before wandb is imported, which otherwise reports its errors.
os.environ.setdefault("WANDB_ERROR_REPORTING", "false")

import wandb

from pipeline.config.paths import ResultFiles
from pipeline.core import files
from pipeline.tracking.trackers import History, files_of, metrics_of

PROJECT = "deepcolor"


def open_run(root: Path, name: str, identity: str, settings: Mapping[str, str]) -> "WandbRun":
    """Return the run with this identity. Offline, each process writes a part of it, and `wandb sync` joins them."""
    mode: Any = os.environ.get("WANDB_MODE", "offline")
    options = wandb.Settings(silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True)
    run = wandb.init(
        mode=mode, dir=str(root), project=PROJECT, name=name, id=identity, config=dict(settings), settings=options,
        resume="allow" if mode == "online" else None, reinit="create_new",
    )  # fmt: skip
    return WandbRun(run, root / "wandb" / f"{identity}.json")


class WandbRun:
    """See `pipeline.tracking.trackers.Tracker`; the `state` file says how many epochs earlier processes have logged."""

    def __init__(self, run: Any, state: Path) -> None:
        self._run, self._state = run, state
        self._logged = int(files.read_if_whole(state).get("epochs", 0))

    def epochs(self, history: History) -> None:
        """Log the new epochs' columns, at the step of the epoch."""
        for step, row in enumerate(history[self._logged :], self._logged + 1):
            self._run.log(dict(row), step=step)
            self._logged = step
            files.write_json(self._state, {"epochs": step})

    def results(self, folder: ResultFiles) -> None:
        """Put metrics into the run's summary, and log figures, pictures and the files with the network."""
        self._run.summary.update(metrics_of(folder))
        found = files_of(folder)
        pictures = [path for paths in found.values() for path in paths if path.suffix in (".png", ".jpg")]
        shown = {f"{path.parent.name}/{path.stem}": wandb.Image(str(path)) for path in pictures}
        self._run.log({**shown, "epoch": self._logged})
        artifact = wandb.Artifact(f"{folder.directory.name}-results", type="model")
        for path in found[""]:
            artifact.add_file(str(path))
        self._run.log_artifact(artifact)

    def close(self) -> None:
        """End this process' part of the run."""
        self._run.finish()

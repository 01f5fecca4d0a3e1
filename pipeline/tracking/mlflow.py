"""MLflow: by default in <root>/mlflow.db and <root>/mlartifacts, which need no server."""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

# Before MLflow is imported, which otherwise reports its use.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from pipeline.config.paths import ResultFiles
from pipeline.tracking.trackers import History, files_of, metrics_of

EXPERIMENT = "deepcolor"
IDENTITY = "deepcolor.identity"
LONGEST = 6000  # characters of a parameter
AT_ONCE = 100  # parameters, or metrics, in one call

for name in ("mlflow", "alembic"):
    logging.getLogger(name).setLevel(logging.WARNING)


def open_run(root: Path, name: str, identity: str, settings: Mapping[str, str]) -> "MLflowRun":
    """Return the run with this identity; create it, with the settings, if there is none."""
    place = os.environ.get("MLFLOW_TRACKING_URI")
    client = MlflowClient(place or f"sqlite:///{(root / 'mlflow.db').absolute()}")
    found = client.get_experiment_by_name(EXPERIMENT)
    artifacts = None if place else (root / "mlartifacts").absolute().as_uri()
    experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT, artifacts)
    runs = client.search_runs([experiment], f"tags.`{IDENTITY}` = '{identity}'")
    if runs:
        client.update_run(runs[0].info.run_id, "RUNNING")
        return MLflowRun(client, runs[0].info.run_id)
    run = client.create_run(experiment, run_name=name).info.run_id
    params = [Param(key, value[:LONGEST]) for key, value in settings.items()]
    for first in range(0, len(params), AT_ONCE):
        client.log_batch(run, params=params[first : first + AT_ONCE])
    client.set_tag(run, IDENTITY, identity)  # last, so that a run that has it is complete
    return MLflowRun(client, run)


class MLflowRun:
    """See `pipeline.tracking.trackers.Tracker`."""

    def __init__(self, client: MlflowClient, run: str) -> None:
        self._client, self._run, self._finished = client, run, False
        self._logged = max((metric.step for metric in client.get_metric_history(run, "epoch")), default=0)

    def epochs(self, history: History) -> None:
        """Log the new epochs' columns, at the step of the epoch."""
        for step, row in enumerate(history[self._logged :], self._logged + 1):
            self._log(row, step)
            self._logged = step

    def results(self, folder: ResultFiles) -> None:
        """Log metrics and files, and end the run."""
        self._log(metrics_of(folder), self._logged)
        for place, paths in files_of(folder).items():
            for path in paths:
                self._client.log_artifact(self._run, str(path), place or None)
        self._finished = True

    def close(self) -> None:
        """Say that the run has ended, if it was evaluated."""
        if self._finished:
            self._client.set_terminated(self._run)

    def _log(self, values: Mapping[str, float], step: int) -> None:
        now = int(1000 * time.time())
        metrics = [Metric(key, value, now, step) for key, value in values.items()]
        for first in range(0, len(metrics), AT_ONCE):
            self._client.log_batch(self._run, metrics[first : first + AT_ONCE])

"""run.yaml: the record of how a run was trained and evaluated, and of the findings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config import runs
from pipeline.config.paths import ResultFiles
from pipeline.config.yaml_files import read_yaml
from pipeline.core import conflicts, files
from pipeline.core.errors import InputError


def read_record(result: Path) -> dict[str, Any]:
    """Read the run.yaml of ``results/<run>/``. That of a diverged network has the one finding that it diverged.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = ResultFiles(result).record
    if not path.exists():
        raise InputError(
            f"{result}: expected the results of a run, but there is no {path.name}; name a folder results/<run>"
        )
    files.refuse_changed(path)
    record = read_yaml(path)
    if runs.diverged(record):  # earlier versions could score such a network
        record["findings"] = [runs.NO_NUMBERS.format(record["status"])]
    return record


def read_network_record(result: Path) -> dict[str, Any]:
    """Read the run.yaml of a run that has a network; raise an InputError for one that needs no training, as others."""
    record = read_record(result)
    if runs.is_untrained(record):
        raise InputError(
            f"{result}: expected a run with a network, received one whose predictor needs no training and works only "
            "within its dataset; choose another run"
        )
    return record


def scored_on(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fingerprints of the images and the split on which a run was scored; None for unknown ones."""
    fingerprints = record.get("fingerprints") or {}
    return {name: fingerprints.get(name) for name in ("images", "split")}


def run_name(record: Mapping[str, Any], result: Path) -> str:
    """Return the run's name in its run.yaml; the folder may have been renamed. Without one, the folder's name."""
    return str(record.get("run") or result.name)


def refuse_other(
    result: Path, settings: Mapping[str, Any], evaluation: Mapping[str, Any], epochs: int | None = None
) -> None:
    """Refuse to replace results that were made with other settings.

    Args:
        result: ``results/<run>/``, which need not exist.
        settings: the settings that decide the run's numbers; see `pipeline.config.run_settings`.
        evaluation: the settings of evaluation; a different number of drawn pictures is no difference.
        epochs: the number of epochs requested; fewer than recorded is a difference, more is not.

    Raises:
        InputError: some settings differ; names them.
    """
    try:
        old = read_record(result)
    except InputError:  # missing or damaged, so nothing worth keeping
        return
    decisive = settings.keys() - {"fingerprints"}
    before = {key: old.get("settings", {}).get(key) for key in decisive}
    before["evaluation"] = _without_drawings(old.get("configuration", {}).get("evaluation", {}))
    now = {**{key: settings[key] for key in decisive}, "evaluation": _without_drawings(evaluation)}
    before = runs.allowing_more_patience(before, now)
    fewer = [f"epochs: {old['epochs']}, now {epochs}"] if epochs is not None and old.get("epochs", 0) > epochs else []
    conflicts.refuse_other(result, before, now, more=fewer)


def _without_drawings(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of evaluation without those that decide drawings only."""
    return {key: value for key, value in evaluation.items() if key != "pictures"}


def headline(result: Path) -> str:
    """Return the findings on the test images, one line each; see `pipeline.evaluation.paired.findings`."""
    record = read_record(result)
    findings = record.get("findings", [])
    return "\n".join([f"{run_name(record, result)}, test images:", *(f"  {sentence}" for sentence in findings)])

"""The record of a run's results: what made them, and what was found."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config import loading
from pipeline.config.paths import ResultFiles
from pipeline.core import conflicts, files
from pipeline.core.errors import InputError


def read_record(result: Path) -> dict[str, Any]:
    """The run.yaml of ``results/<run>/``.

    Raises:
        InputError: it is missing or damaged.
    """
    path = ResultFiles(result).record
    if not path.exists():
        raise InputError(f"{result}: expected the results of a run, received no {path.name}; name a folder of results/")
    files.refuse_changed(path)
    return loading.read_yaml(path)


def refuse_other(
    result: Path, settings: Mapping[str, Any], evaluation: Mapping[str, Any], epochs: int | None = None
) -> None:
    """Refuse to replace results that were made with other settings.

    Args:
        result: ``results/<run>/``, there or not.
        settings: what decides the run's numbers; see `pipeline.config.run_settings`.
        evaluation: the settings of evaluation.
        epochs: how many are asked for; fewer than there are is a difference, more is not.

    Raises:
        InputError: names what differs.
    """
    try:
        old = read_record(result)
    except InputError:  # none, or damaged: it is made anew
        return
    decisive = settings.keys() - {"fingerprints"}
    before = {key: old.get("settings", {}).get(key) for key in decisive}
    before["evaluation"] = old.get("configuration", {}).get("evaluation", {})
    now = {**{key: settings[key] for key in decisive}, "evaluation": evaluation}
    fewer = [f"epochs: {old['epochs']}, now {epochs}"] if epochs is not None and old.get("epochs", 0) > epochs else []
    conflicts.refuse_other(result, before, now, more=fewer)


def headline(result: Path) -> str:
    """What the test images say of a run, a line each; see `pipeline.evaluation.paired.findings`."""
    found = read_record(result).get("findings", [])
    return "\n".join([f"{result.name}, test images:", *(f"  {sentence}" for sentence in found)])

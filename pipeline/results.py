"""Results: all that one looks at of one run, in one folder, and the summary of all runs."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import config, files, locks
from pipeline.conflicts import WAYS_OUT, differing
from pipeline.errors import InputError

HISTORY = "history.csv"
CARD = "model-card.md"
FIGURES = ("curves", "predictions", "errors", "chroma")
EVALUATED = (
    *("metrics.csv", "per_image.csv", "differences.csv"),
    *(f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")),
    *("pictures", "model.keras", "run.yaml", files.LISTING),
)


def read_record(result: Path) -> dict[str, Any]:
    """The run.yaml of ``results/<run>/``.

    Raises:
        InputError: it is missing or damaged.
    """
    if not (result / "run.yaml").exists():
        raise InputError(f"{result}: expected the results of a run, received no run.yaml; name a folder of results/")
    files.refuse_changed(result / "run.yaml")
    return config.read_yaml(result / "run.yaml")


def refuse_other(
    result: Path, settings: Mapping[str, Any], evaluation: Mapping[str, Any], epochs: int | None = None
) -> None:
    """Refuse to replace results that were made with other settings.

    Args:
        result: ``results/<run>/``, there or not.
        settings: what decides the run's numbers; see `pipeline.run_settings`.
        evaluation: the settings of evaluation.
        epochs: how many are asked for; fewer than there are is a difference, more is not.

    Raises:
        InputError: names what differs.
    """
    try:
        files.refuse_changed(result / "run.yaml")
        old = config.read_yaml(result / "run.yaml")
    except InputError:  # none, or damaged: it is made anew
        return
    differences = differing(old.get("configuration", {}).get("evaluation", {}), evaluation, "evaluation.")
    decisive = settings.keys() - {"fingerprints"}
    before = old.get("settings", {})
    differences += differing({k: before.get(k) for k in decisive}, {k: settings[k] for k in decisive})
    if epochs is not None and old.get("epochs", 0) > epochs:
        differences.append(f"epochs: {old['epochs']}, now {epochs}")
    if differences:
        raise InputError(f"{result} holds other results of that name ({'; '.join(differences)}); {WAYS_OUT}")


def collect(directory: Path, results: Path, run: str, *, replace: bool = False) -> Path:
    """Put ``models/<run>/``'s history, scores, figures and model into ``results/<run>/``, with a model card, and renew
    the summary.

    The folder appears whole; one that was there before is replaced in one step.

    Args:
        directory: ``models/<run>/``.
        results: the folder of all results.
        run: the run's name.
        replace: whether results that were made with other settings may be replaced.

    Raises:
        InputError: the run was not evaluated as it is, or there are other results of that name.
    """
    from pipeline import model_card  # as slow to import as `summary`

    evaluated = directory / "evaluation"
    sources = [directory / "training.json", directory / HISTORY, *(evaluated / name for name in EVALUATED)]
    if missing := [path for path in sources if not path.exists()]:
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        raise InputError(f"{missing[0]}{more} not there; train and evaluate {run} first")
    target = results / run
    made, trained = read_record(evaluated), files.read_json(directory / "training.json")
    weights = trained["files"].get(f"{made['weights_evaluated']}.weights.h5")
    if (made["epochs"], made["weights_sha256"]) != (trained["epochs"], weights):
        raise InputError(
            f"{evaluated}: expected scores of the run as it is, after {trained['epochs']} epochs, received those of an "
            f"earlier state, after {made['epochs']}; evaluate {run} again"
        )
    if not replace:
        refuse_other(target, made["settings"], made["configuration"]["evaluation"], made["epochs"])
    history = {HISTORY: trained["files"][HISTORY]}
    listed = files.read_listing(evaluated)
    with files.new_folder(target) as new:
        for folder, names in ((directory, history), (evaluated, listed)):
            for name in names:
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, new / name)
        (new / "pictures").mkdir(exist_ok=True)  # also where the run answered with no colour that can be shown
        files.refuse_damaged(new, {**history, **listed})
        model_card.write(evaluated, run, new / CARD)
        files.write_listing(new)
    refresh_summary(results)
    return target


def refresh_summary(results: Path) -> None:
    """Write the summary of all runs that are there; runs that end at the same time wait for each other."""
    from pipeline import summary  # draws: slow to import, and the workflow asks this module before any job

    with locks.in_turn(results / ".summary.lock"):
        summary.write_summary(results)


def headline(results: Path, run: str) -> str:
    """What the test images say of a run, a line each; see `pipeline.differences.findings`."""
    found = read_record(results / run).get("findings", [])
    return "\n".join([f"{run}, test images:", *(f"  {sentence}" for sentence in found)])

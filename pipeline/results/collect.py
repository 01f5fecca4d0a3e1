"""What one looks at of a run, in one folder, and the summary of all runs."""

import shutil
from pathlib import Path

from pipeline.core import files, locks
from pipeline.core.errors import InputError
from pipeline.results.record import CARD, EVALUATED, HISTORY, read_record, refuse_other

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
    from pipeline.results import model_card  # as slow to import as `summary`

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
    from pipeline.results import summary  # draws: slow to import, and the workflow asks this module before any job

    with locks.in_turn(results / ".summary.lock"):
        summary.write_summary(results)


def headline(results: Path, run: str) -> str:
    """What the test images say of a run, a line each; see `pipeline.evaluation.paired.findings`."""
    found = read_record(results / run).get("findings", [])
    return "\n".join([f"{run}, test images:", *(f"  {sentence}" for sentence in found)])

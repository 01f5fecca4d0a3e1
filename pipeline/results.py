"""Results: all that one looks at of one run, in one folder, and the summary of all runs."""

import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

from pipeline import files, summary
from pipeline.errors import InputError

EVALUATED = ("metrics.csv", "curves.png", "predictions.png", "model.keras", "run.yaml")


def collect(directory: Path, results: Path, run: str) -> Path:
    """Put ``models/<run>/``'s history, scores, figures and model into ``results/<run>/``, and renew the summary.

    The folder appears whole; one that was there before is replaced in one step.

    Raises:
        InputError: the run was not evaluated.
    """
    sources = [directory / "history.csv", *(directory / "evaluation" / name for name in EVALUATED)]
    if missing := [str(path) for path in sources if not path.is_file()]:
        raise InputError(f"{', '.join(missing)} not there; train and evaluate {run} first")
    target = results / run
    results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{run}.", dir=results) as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        for path in sources:
            shutil.copyfile(path, new / path.name)
        if target.exists():
            target.rename(Path(scratch) / "old")
        new.rename(target)
    refresh_summary(results)
    return target


def refresh_summary(results: Path) -> None:
    """Write the summary of all runs that are there; runs that end at the same time wait for each other."""
    with FileLock(results / ".summary.lock"):
        summary.write_summary(results)


def headline(results: Path, run: str) -> str:
    """The run's own figures in a line or two, beside what needs no network."""
    rows = files.read_csv(results / run / "metrics.csv", ("partition", "answer", "metric", "value"))
    value = {(r["answer"], r["metric"]): float(r["value"]) for r in rows if r["partition"] == "test"}

    def show(metric: str, digits: int, answers: tuple[str, ...]) -> str:
        found = [f"{answer} {value[answer, metric]:.{digits}f}" for answer in answers if (answer, metric) in value]
        return ", ".join(found)

    return (
        f"{run}, test images: RMSE {show('rmse', 2, ('model', 'mean', 'gray'))}; "
        f"accuracy {show('accuracy', 4, ('model', 'majority', 'paper'))}; "
        f"CIEDE2000 {show('ciede2000', 2, ('model', 'mean', 'gray'))}"
    )

"""The share of a sweep that is not spent on its networks: the paper's runs on the default data, in a new folder.

    python -m benchmarks.sweep FOLDER [RUN ...]

Runs Snakemake on two cores for `paper` or the named runs, and prints JSON: the seconds in total and of each part.
`share` is the share of start-up: everything but the preparation of the data, the epochs without tracing, the scoring of
images, and the results of evaluation (intervals, figures and the saved network). Checks of inputs, checkpoints, the
model card and the summary therefore count as start-up. If Snakemake's times of successive jobs overlap, the parts add
up to more than the total.
"""

import argparse
import csv
import json
import re
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import ROOT, THREADS, machine
from pipeline.core.files import LISTING

RUN_STAGES = ("train", "evaluate")


def rows(path: Path, delimiter: str) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def parts(folder: Path, total: float) -> dict[str, float]:
    """Return the seconds of each part of a sweep that took `total` seconds, by name."""
    jobs = {path: float(rows(path, "\t")[0]["s"]) for path in (folder / "logs").rglob("*.tsv")}
    by_stage = {name: sum(took for path, took in jobs.items() if path.stem == name) for name in RUN_STAGES}
    epochs = [
        [float(row["seconds"]) for row in rows(path, ",")] for path in sorted((folder / "models").glob("*/times.csv"))
    ]
    tracing = sum(max(first - min(others), 0.0) for first, *others in epochs)
    computing = sum(map(sum, epochs)) - tracing
    scoring = results = 0.0
    for path in (folder / "logs").glob("*/evaluate.log"):
        batches = re.findall(r"images: (\d+) of \1 in (\d+) s", path.read_text(encoding="utf-8"))
        scoring += sum(float(took) for _, took in batches)
        written = folder / "results" / path.parent.name
        scored = max(picture.stat().st_mtime for picture in (written / "pictures").glob("*.jpg"))
        results += (written / LISTING).stat().st_mtime - scored
    return {
        "preparation of the data": sum(jobs.values()) - sum(by_stage.values()),
        "epochs": computing,
        "tracing": tracing,
        "train besides": by_stage["train"] - computing - tracing,
        "scoring": scoring,
        "results": results,
        "evaluate besides": by_stage["evaluate"] - scoring - results,
        "between jobs": total - sum(jobs.values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="new folder for data, models, logs and results")
    parser.add_argument("runs", nargs="*", metavar="RUN", help="default: all runs of the paper")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    if folder.exists():
        parser.error(f"{folder}: expected a new folder, received an existing one; name another folder")
    command = [Path(sys.executable).with_name("snakemake"), "--cores", THREADS]
    command += [folder / "results" / run for run in arguments.runs] or ["paper"]
    command += ["--config", f"root={folder}", f"data={folder / 'data'}"]
    began = time.monotonic()
    if subprocess.run(list(map(str, command)), cwd=ROOT, stdout=sys.stderr).returncode:
        raise SystemExit("the workflow failed: nothing measured")
    total = time.monotonic() - began
    measured = parts(folder, total)
    useful = ("preparation of the data", "epochs", "scoring", "results")
    starting = sum(max(seconds, 0) for name, seconds in measured.items() if name not in useful)
    report = {"machine": machine(), "seconds": round(total, 1)}
    report |= {name: round(value, 1) for name, value in measured.items()}
    print(json.dumps({**report, "share": round(starting / total, 3)}))


if __name__ == "__main__":
    main()

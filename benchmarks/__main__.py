"""Measure rows of the benchmark, each in a separate process, and update docs/performance.md.

    python -m benchmarks [ROW ...]

Without names, measure all rows, in 10 to 15 minutes on two cores. The results go to benchmarks/results/<machine>.json,
where rows that are not named keep their last result.
"""

import argparse
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import performance
from benchmarks.measure import RESULTS, ROOT, machine, machine_name

# Modules and functions, in the order of the table.
ROWS = {
    "training-step": "training.step",
    "training-step-bfloat16": "training.step_bfloat16",
    "epoch": "training.epoch",
    "cached-embeddings": "training.cached",
    "cached-maps": "maps.cached",
    "embed": "embedding.embed",
    "features": "maps.features",
    "ingest": "data.ingest",
    "sizes": "data.sizes",
    "access": "data.access",
    "evaluate": "evaluation.evaluate",
    "start": "starts.start",
    "colouring": "colouring.colouring",
    "memory": "memory.growth",
    "growth": "growth.growth",
}


def measure(name: str) -> list[dict[str, object]]:
    """Measure a row and return its lines as JSON values."""
    module, function = ROWS[name].split(".")
    code = f"from benchmarks import {module}, measure; measure.hand_over({module}.{function}())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{name}: the measurement failed with status {done.returncode}")
    lines: list[dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    rows = parser.parse_args().rows or list(ROWS)
    if unknown := sorted(set(rows) - set(ROWS)):
        parser.error(f"expected rows of {', '.join(ROWS)}, received {', '.join(unknown)}")
    path = RESULTS / f"{machine_name()}.json"
    results = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}
    for number, name in enumerate(rows, 1):
        began = time.monotonic()
        lines = measure(name)
        took = time.monotonic() - began
        results[name] = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "seconds": round(took), "lines": lines}
        print(f"{number} of {len(rows)}: {name}, {took:.0f} s", file=sys.stderr, flush=True)
        for line in lines:
            print(f"  {performance.sentence(line)}", file=sys.stderr, flush=True)
        write(path, {"machine": machine(), "rows": {row: results[row] for row in ROWS if row in results}})
    performance.update()


def write(path: Path, values: object) -> None:
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.rename(path)


if __name__ == "__main__":
    main()

"""Peak anonymous memory of the stages with n images, and its growth with their number.

    python -m benchmarks.memory [--images 25000] [STAGE ...]

Each stage runs as a command in a separate process, whose RssAnon is read from /proc (Linux) a hundred times a second;
mapped files are not counted. So that 25,000 images do not take hours, a stub that draws random numbers replaces the
embedding network, the trained network is small, and only a corner of each image is scored. Prints JSON for all stages
or those named; each needs the output of the stages before it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from benchmarks.datasets import write_archive
from benchmarks.measure import ROOT, Line, Ratio
from pipeline import WORKFLOW
from pipeline.config import loading, schema
from pipeline.images.formats import SIZE

FEW, MANY = 256, 1024
LITTLE = {"little": schema.Architecture(encoder="4/2 4/2 4/2", fusion="1x1:4", decoder="4 ^ 4 ^ 2 ^")}
RUN = "little_lr1e-3"
# Embeddings whose spread embed computes at its end; otherwise up to 2048, which takes at most 0.5 s and 45 MiB.
SPREAD = 16
START = """
from pipeline.config import schema
from pipeline.networks.backend import start
start(schema.Config().threads)
import pipeline.embedding.embed, pipeline.embedding.network
"""
STUB = """
import sys
import numpy as np
from pipeline.embedding import embed
from pipeline.core import files
from pipeline.embedding import recipe
from stages.__main__ import main

def stub(embedding, saved, outputs):
    files.write_json(saved.with_name("embedding_network.json"), recipe.weights(embedding))
    def network(lightness):
        seeds = (1000 * lightness.mean(axis=(1, 2))).astype(int)
        rows = [np.random.default_rng(seed).normal(0, 1, 1000).astype(np.float32) for seed in seeds]
        return {"embedding": np.stack(rows)}
    return network

embed._load = stub
main(sys.argv[1:])
"""
CORNERS = """
import sys
from pipeline.evaluation import measures, scoring
from stages.__main__ import main

whole = measures.measure

def measure(truth, predicted):
    corner = measures.Truth(truth.lightness[:, :32, :32], truth.ab[:, :32, :32], truth.rarity)
    return whole(corner, predicted[:, :32, :32])

scoring.measure = measure
main(sys.argv[1:])
"""


def peak(*arguments: str | Path) -> int:
    """Run Python and return its largest RssAnon in MiB."""
    highest = 0
    process = subprocess.Popen([sys.executable, *map(str, arguments)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        for line in status.splitlines():
            if line.startswith("RssAnon:"):
                highest = max(highest, int(line.split()[1]))
        time.sleep(0.01)
    if process.returncode:
        raise SystemExit(process.stderr.read() if process.stderr else "")
    return round(highest / 1024)


def peaks(folder: Path, n: int, before_embed: str = "", only: Collection[str] = ()) -> dict[str, int]:
    """Return the MiB of each stage with the first n images of the archive in the folder."""
    for variable in (loading.VARIABLE, WORKFLOW):
        os.environ.pop(variable, None)
    settings = {
        "dataset": "synthetic",
        "datasets": {"synthetic": {"kind": "kaggle", "path": str(folder / "archive")}},
        "limit": n,
        "architectures": {name: value.model_dump() for name, value in LITTLE.items()},
        "root": str(folder / f"{n}"),
        "data": str(folder / f"{n}" / "data"),
        "training": {"epochs": 1},
        "evaluation": {"pictures": 1},
    }
    path = folder / f"{n}.yaml"
    path.write_text(json.dumps(settings))
    stages = {
        "ingest": ("-m", "stages", "ingest"),
        "embed": ("-c", before_embed + STUB, "embed"),
        "split": ("-m", "stages", "split"),
        "baselines": ("-c", CORNERS, "baselines"),
        "train": ("-m", "stages", "train", RUN),
        "train, memory_gib: 0": ("-m", "stages", "train", f"{RUN}_s1", "--set", "training.memory_gib=0"),
        "evaluate": ("-c", CORNERS, "evaluate", RUN),
        "verify": ("-m", "stages", "verify"),
    }
    chosen = {stage: command for stage, command in stages.items() if not only or stage in only}
    return {stage: peak(*command, "--config", path) for stage, command in chosen.items()}


def growth() -> list[Line]:
    """Measure every stage with few images and with many."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_archive(folder / "archive", MANY)
        spread = f"from pipeline.embedding import embed\nembed.SPREAD_ROWS = {SPREAD}\n"
        few, many = (peaks(folder, n, spread) for n in (FEW, MANY))
    notes = {
        "embed": f"With a stub instead of the network, and the spread of {SPREAD} embeddings.",
        "baselines": "Scores only a corner of each image.",
        "evaluate": "Scores only a corner of each image.",
        "train": "Holds the training and validation images, 80 % of all, up to memory_gib.",
        "train, memory_gib: 0": "Maps decoded images from a file.",
    }
    added = (MANY - FEW) * 3 * SIZE**2 / 2**20
    return [
        Line(
            f"peak memory of {stage}",
            f"{many[stage]} MiB with {MANY} images; {few[stage]} MiB with {FEW}",
            f"the additional images, decoded: {added:.0f} MiB",
            Ratio.of([(many[stage] - few[stage]) / added]),
            0.9 if stage == "train" else 0.1,
            at_least=False,
            note=notes.get(stage, ""),
        )
        for stage in few
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="ingest, embed, split, baselines, train, …")
    arguments = parser.parse_args()
    n = arguments.images
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_archive(folder / "archive", n)
        measured = peaks(folder, n, only=arguments.stages)
        print(json.dumps({"images": n, "TensorFlow, started": peak("-c", START), **measured}, indent=2))


if __name__ == "__main__":
    main()

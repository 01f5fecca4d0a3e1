"""How long commands take to start."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import datasets
from benchmarks.measure import ROOT, Line, Ratio, in_turn, median, quotients
from pipeline import WORKFLOW
from pipeline.core.locks import name_of

ROUNDS = 2
SMALL = {"small": {"encoder": "4/2 4/2 4/2", "fusion": "1x1:4", "decoder": "4 ^ 4 ^ 2 ^"}}


def _command(*arguments: object, environment: Mapping[str, str] | None = None) -> Callable[[], None]:
    return lambda: subprocess.run(
        [str(argument) for argument in arguments], cwd=ROOT, env=environment, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _more(what: str, ours: list[float], than: str, other: list[float], allowed: float) -> Line:
    more = [a - b for a, b in zip(ours, other, strict=True)]
    return Line(
        f"start of {what}: seconds more, of the {allowed:g} that it may take",
        f"{median(ours):.2f} s",
        f"{than}: {median(other):.2f} s",
        Ratio.of([each / allowed for each in more]),
        1.0,
        at_least=False,
    )


def start() -> list[Line]:
    snakemake = Path(sys.executable).with_name("snakemake")
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "Snakefile"
        empty.write_text("rule all:\n")
        commands = (
            _command(sys.executable, "-m", "stages", "--help"),
            _command(sys.executable, "-c", "pass"),
            _command(snakemake, "-n", "paper", "--directory", folder, "-s", ROOT / "workflow" / "Snakefile"),
            _command(snakemake, "-n", "-s", empty, "--directory", folder),
        )
        (Path(folder) / "config").symlink_to(ROOT / "config")
        for command in commands:
            command()
        found = in_turn(*commands, rounds=ROUNDS)
    return [
        _more("`python -m stages --help`", found[0], "an empty Python", found[1], 0.3),
        _more("`snakemake -n paper`", found[2], "an empty Snakefile", found[3], 1.0),
    ]


def stages() -> list[Line]:
    """A stage that finds its work done: what remains is its start."""
    environment = {key: value for key, value in os.environ.items() if key != WORKFLOW}
    workflow = {**environment, WORKFLOW: name_of(os.getpid())}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images, embeddings, split = datasets.synthetic(folder / "data", 16)
        settings = folder / "settings.yaml"
        settings.write_text(json.dumps({"training": {"epochs": 1}, "root": name, "architectures": SMALL}))
        train = (
            sys.executable, "-m", "stages", "train", "small_lr1e-3", "--config", settings,
            "--images", images.path, "--embeddings", embeddings.path, "--splits", split,
        )  # fmt: skip
        alone, shared = _command(*train, environment=environment), _command(*train, environment=workflow)
        alone()
        shared()
        together, apart = in_turn(shared, alone, rounds=ROUNDS)
    return [
        Line(
            "a stage of a workflow that finds its work done (`train`)",
            f"{median(together):.2f} s",
            f"with a start of Python and TensorFlow of its own: {median(apart):.2f} s",
            quotients(apart, together),
            2.0,
        )
    ]

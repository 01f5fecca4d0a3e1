"""The start-up time of commands."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import ROOT, Line, Ratio, in_turn, median

ROUNDS = 2


def _command(*arguments: object) -> Callable[[], None]:
    return lambda: subprocess.run(
        [str(argument) for argument in arguments], cwd=ROOT, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _more(what: str, ours: list[float], than: str, other: list[float], allowed: float) -> Line:
    more = [a - b for a, b in zip(ours, other, strict=True)]
    return Line(
        f"start of {what}, beyond {than}; limit {allowed:g} s",
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
        times = in_turn(*commands, rounds=ROUNDS)
    return [
        _more("`python -m stages --help`", times[0], "an empty Python", times[1], 0.3),
        _more("`snakemake -n paper`", times[2], "an empty Snakefile", times[3], 1.0),
    ]

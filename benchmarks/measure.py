"""The parts that all rows share: measuring in turn, ratios with their spread, and lines of the table."""

import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.core.machine import processor_flags

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
THREADS = 2


@dataclass(frozen=True)
class Ratio:
    """Median, lowest and highest of the values of all rounds, and the number of rounds."""

    median: float
    lowest: float
    highest: float
    rounds: int

    @classmethod
    def of(cls, values: list[float]) -> "Ratio":
        return cls(statistics.median(values), min(values), max(values), len(values))


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        what: the name of the measurement.
        ours: DeepColor's value, with its unit.
        compared: the reference and its value.
        ratio: the ratio that the target is for.
        target: the ratio that is required.
        at_least: whether the target is a lower bound; otherwise it is an upper bound.
        limit: the most that the machine can do, with its unit, if that was measured.
        share: the share of the limit that was reached.
        note: a sentence, if the number alone would mislead.
    """

    what: str
    ours: str
    compared: str
    ratio: Ratio
    target: float
    at_least: bool = True
    limit: str = ""
    share: Ratio | None = None
    note: str = ""

    @property
    def met(self) -> bool:
        return self.ratio.median >= self.target if self.at_least else self.ratio.median <= self.target

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Line":
        values = {key: value for key, value in values.items() if key != "met"}
        share = Ratio(**values["share"]) if values["share"] else None
        return cls(**{**values, "ratio": Ratio(**values["ratio"]), "share": share})


def seconds(function: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def in_turn(*functions: Callable[[], Any], rounds: int) -> list[list[float]]:
    """Return the seconds of each function in each round: A B A B ..., so that all see the same load of the machine."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds):
        for each, function in zip(times, functions, strict=True):
            each.append(seconds(function))
    return times


def quotients(upper: list[float], lower: list[float]) -> Ratio:
    """Divide one by the other, round by round."""
    return Ratio.of([a / b for a, b in zip(upper, lower, strict=True)])


def median(values: list[float]) -> float:
    return statistics.median(values)


def machine() -> dict[str, Any]:
    """Describe what determines the machine's speed."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    family = re.search(r"^cpu family\s*:\s*(.+)$", text, re.MULTILINE)
    known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16")
    return {
        "processor": model[1] if model else platform.processor() or platform.machine(),
        "family": family[1] if family else "",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "arithmetic": [flag for flag in known if flag in processor_flags()],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def machine_name() -> str:
    """Return the machine's name for a file."""
    facts = machine()
    fastest = facts["arithmetic"][-1:]
    family = [f"family {facts['family']}"] if facts["family"] else []
    words = " ".join([facts["processor"], *family, *fastest, f"{facts['cores']} cores"])
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def hand_over(lines: list[Line]) -> None:
    """Print lines as JSON on the last line of standard output, for the calling process."""
    sys.stdout.write(json.dumps([line.as_json() for line in lines]) + "\n")

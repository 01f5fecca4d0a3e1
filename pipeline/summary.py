"""All runs side by side: results/summary.csv and results/summary.md."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline import scores
from pipeline.errors import InputError
from pipeline.files import read_csv, write_csv, write_text

# Heading, answer, partition, metric, decimals.
_NUMBERS = (
    ("validation RMSE", scores.MODEL, "validation", "rmse", 2),
    ("validation accuracy", scores.MODEL, "validation", "accuracy", 4),
    ("majority (validation)", scores.MAJORITY, "validation", "accuracy", 4),
    ("paper (validation)", scores.PAPER, "validation", "accuracy", 4),
    ("test accuracy", scores.MODEL, "test", "accuracy", 4),
    ("majority (test)", scores.MAJORITY, "test", "accuracy", 4),
    ("paper (test)", scores.PAPER, "test", "accuracy", 4),
    ("test RMSE", scores.MODEL, "test", "rmse", 2),
    ("gray RMSE", scores.GRAY, "test", "rmse", 2),
    ("mean RMSE", scores.MEAN, "test", "rmse", 2),
    ("PSNR", scores.MODEL, "test", "psnr", 2),
    ("SSIM", scores.MODEL, "test", "ssim", 4),
    ("CIEDE2000", scores.MODEL, "test", "ciede2000", 2),
)
_MISSING = "–"
_LEGEND = f"""\
Runs are ranked by validation RMSE, lowest first and runs without a number last, each dataset for itself. Nothing is
ranked or chosen by a test score.

- **embedding weights**: those of the network that embeds the images. RANDOM: it was never trained, so the scores say
  how the code behaves, not how well the method colours.
- **status**: how training ended, and which weights were scored: the best epoch's by validation, or the last epoch's.
- **accuracy**: share of pixels where the larger one of a and b is the truth's larger one (the paper's measure). Only
  what lies above *majority* was learned.
- **majority**: the accuracy of always answering the channel that is the larger one in most training pixels.
- **paper**: the accuracy that the paper reports for this run, on its own images.
- **RMSE**: root of the mean squared error of a and b, in 8-bit units; lower is better.
- **gray RMSE**, **mean RMSE**: the same on the test images for two answers without a network: gray everywhere, and the
  training images' mean colour everywhere.
- **PSNR** (dB, higher is better), **SSIM** (at most 1, higher is better), **CIEDE2000** (visible colour difference,
  lower is better): test images, predicted against true colours, both with the true lightness. Gray, too, scores well
  on PSNR and SSIM.
- NaN: not a number, the model had diverged. {_MISSING}: there is no such number.
"""


@dataclass(frozen=True)
class _Result:
    """One readable results folder."""

    run: str
    info: Mapping[str, Any]
    rows: list[dict[str, str]]
    values: Mapping[tuple[str, str, str], float]  # by answer, partition, metric

    @property
    def dataset(self) -> str:
        return str(self.info.get("dataset") or self.rows[0]["dataset"])

    @property
    def rank(self) -> tuple[str, bool, float, str]:
        error = self.values.get((scores.MODEL, "validation", "rmse"), math.nan)
        return self.dataset, math.isnan(error), 0.0 if math.isnan(error) else error, self.run


def write_summary(results: Path) -> None:
    """Gather every ``results/<run>/metrics.csv`` and ``run.yaml`` into ``summary.csv`` and ``summary.md``.

    The table ranks by validation RMSE. A run without a readable metrics.csv is left out of both and named in
    summary.md; one without a readable run.yaml is listed with its numbers.

    Args:
        results: the folder that holds one folder per run, and gets both files.
    """
    found, unreadable = [], []
    entries = results.iterdir() if results.is_dir() else ()
    folders = [path for path in entries if path.is_dir() and not path.name.startswith(".")]
    for folder in sorted(folders, key=lambda path: path.name):
        try:
            found.append(_read(folder))
        except InputError as error:
            unreadable.append((folder.name, str(error)))
    rows = [{name: row[name] for name in scores.COLUMNS} for result in found for row in result.rows]
    write_csv(results / "summary.csv", scores.COLUMNS, rows)
    write_text(results / "summary.md", _markdown(sorted(found, key=lambda result: result.rank), unreadable))


def _read(folder: Path) -> _Result:
    name = f"{folder.name}/metrics.csv"
    try:
        rows = read_csv(folder / "metrics.csv", scores.COLUMNS)
    except InputError as error:
        raise InputError(str(error).replace(str(folder / "metrics.csv"), name)) from None
    if not rows:
        raise InputError(f"{name} has no rows")
    values = {}
    for line, row in enumerate(rows, start=2):
        # A row of the dataset's references may be for all runs.
        row["run"] = row["run"] or folder.name
        if row["run"] != folder.name:
            raise InputError(f"{name}, line {line}: expected the run {folder.name}, received {row['run']!r}")
        try:
            values[row["answer"], row["partition"], row["metric"]] = float(row["value"])
        except (TypeError, ValueError):
            raise InputError(f"{name}, line {line}: expected a number, received {row['value']!r}") from None
    return _Result(folder.name, _info(folder / "run.yaml"), rows, values)


def _info(path: Path) -> Mapping[str, Any]:
    try:
        info = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError):
        info = None
    return info if isinstance(info, dict) else {"status": "run.yaml unreadable"}


def _markdown(found: list[_Result], unreadable: list[tuple[str, str]]) -> str:
    parts = ["# All runs", "", _LEGEND]
    if found:
        headings = [
            "run",
            "dataset",
            "embedding weights",
            "epochs",
            "status",
            *(number[0] for number in _NUMBERS),
            "remark",
        ]
        alignments = [":--", ":--", ":--", "--:", ":--", *("--:" for _ in _NUMBERS), ":--"]
        parts += [_line(headings), _line(alignments), *(_line(_cells(result)) for result in found), ""]
    else:
        parts += ["There are no runs yet.", ""]
    if unreadable:
        parts += ["## Unreadable", "", "These folders have no readable metrics.csv and are left out:", ""]
        parts += [f"- {name}: {_plain(reason)}" for name, reason in unreadable] + [""]
    return "\n".join(parts)


def _cells(result: _Result) -> list[str]:
    embedding = result.info.get("embedding")
    weights = embedding.get("weights") if isinstance(embedding, Mapping) else None
    status = result.info.get("status", "unknown")
    evaluated = result.info.get("weights_evaluated")
    return [
        result.run,
        result.dataset,
        "**RANDOM**" if weights == "random" else _plain(weights or "unknown"),
        _plain(result.info.get("epochs", _MISSING)),
        _plain(f"{status}, {evaluated} weights" if evaluated else status),
        *(_number(result.values.get((answer, split, metric)), digits) for _, answer, split, metric, digits in _NUMBERS),
        _remark(result),
    ]


def _remark(result: _Result) -> str:
    network = result.values.get((scores.MODEL, "test", "rmse"))
    mean = result.values.get((scores.MEAN, "test", "rmse"))
    # Written so that NaN is not better either.
    return "" if network is None or mean is None or network < mean else "not better than the mean colour"


def _number(value: float | None, digits: int) -> str:
    if value is None:
        return _MISSING
    return "NaN" if math.isnan(value) else f"{value:.{digits}f}"


def _plain(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"

"""All runs side by side: results/summary.csv and results/summary.md."""

import contextlib
import itertools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pipeline.evaluation import paired, predictors, scores
from pipeline.figures import sweeps
from pipeline.evaluation.bootstrap import FEWEST_GROUPS
from pipeline.results.comparison import compare_runs, other_settings
from pipeline.core import locks
from pipeline.core.errors import InputError
from pipeline.core.files import digest_file, read_csv, refuse_changed, write_csv, write_json, write_text
from pipeline.config.runs import DEFAULT_SEED, Run

_MINUS_PAPER = "minus paper"  # the model's value less the paper's
# Heading, answer, partition, metric, decimals.
_NUMBERS = (
    ("validation RMSE", scores.MODEL, "validation", "rmse", 2),
    ("validation accuracy", scores.MODEL, "validation", "accuracy", 4),
    ("majority (validation)", predictors.MAJORITY, "validation", "accuracy", 4),
    ("paper (validation)", scores.PAPER, "validation", "accuracy", 4),
    ("minus paper (validation)", _MINUS_PAPER, "validation", "accuracy", 4),
    ("test accuracy", scores.MODEL, "test", "accuracy", 4),
    ("majority (test)", predictors.MAJORITY, "test", "accuracy", 4),
    ("paper (test)", scores.PAPER, "test", "accuracy", 4),
    ("minus paper (test)", _MINUS_PAPER, "test", "accuracy", 4),
    ("test RMSE", scores.MODEL, "test", "rmse", 2),
    ("gray RMSE", predictors.GRAY, "test", "rmse", 2),
    ("mean RMSE", predictors.MEAN, "test", "rmse", 2),
    ("PSNR", scores.MODEL, "test", "psnr", 2),
    ("SSIM", scores.MODEL, "test", "ssim", 4),
    ("gray PSNR", predictors.GRAY, "test", "psnr", 2),
    ("CIEDE2000", scores.MODEL, "test", "ciede2000", 2),
    ("gray CIEDE2000", predictors.GRAY, "test", "ciede2000", 2),
    ("with wrong embeddings: RMSE", scores.EMBEDDING_SHUFFLED, "test", "rmse", 2),
)
REPORT = "report"  # the folder of the page of all results
_OVER_SEEDS = tuple(
    number for number in _NUMBERS if number[1] == scores.MODEL and number[3] in ("rmse", "accuracy", "ciede2000")
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
- **minus paper**: this run's accuracy less the paper's, which was measured on other images.
- **gray RMSE**, **mean RMSE**: the same on the test images for two answers without a network: gray everywhere, and the
  training images' mean colour everywhere.
- **PSNR** (dB, higher is better), **SSIM** (at most 1, higher is better), **CIEDE2000** (visible colour difference,
  lower is better): test images, predicted against true colours, both with the true lightness. Gray, too, scores well
  on PSNR and SSIM.
- **with wrong embeddings**: the same network, given another image's embedding. As good as its own: the embedding does
  not matter.
- [a, b]: 95 % bootstrap interval over the images, or over their groups. There is none with fewer than
  {FEWEST_GROUPS} groups: so few say nothing about other photographs.
- NaN: not a number, the model had diverged. {_MISSING}: there is no such number.
"""


_OTHER_IMAGES = (
    "The images, or the split, are others than those of this dataset's runs above: "
    "numbers of the two cannot be compared."
)


@dataclass(frozen=True)
class _Result:
    """One readable results folder."""

    run: str
    info: Mapping[str, Any]
    rows: list[dict[str, str]]
    values: Mapping[tuple[str, str, str], float]  # by answer, partition, metric
    ends: Mapping[tuple[str, str, str], tuple[float, float]]  # of intervals
    differences: list[dict[str, str]]

    @property
    def dataset(self) -> str:
        return str(self.info.get("dataset") or self.rows[0]["dataset"])

    def score(self, metric: str) -> tuple[float, float | None, float | None]:
        """The model's value on the validation partition, and the ends of its interval."""
        key = scores.MODEL, "validation", metric
        low, high = self.ends.get(key, (None, None))
        return self.values.get(key, math.nan), low, high

    @property
    def images(self) -> str:
        """What tells the images that it was scored on; see `scores.scored_on`."""
        return scores.scored_on((split, answer, m, value) for (answer, split, m), value in self.values.items())

    @property
    def rank(self) -> tuple[str, bool, float, str]:
        error = self.values.get((scores.MODEL, "validation", "rmse"), math.nan)
        return self.dataset, math.isnan(error), 0.0 if math.isnan(error) else error, self.run


def write_summary(results: Path) -> None:
    """Gather every ``results/<run>/metrics.csv`` and ``run.yaml`` into ``summary.csv``, ``summary.md`` and sweep.png,
    and their digests into ``summary.json``. Runs that end at the same time take turns.

    Both rank by validation RMSE. A run without a readable metrics.csv is left out of both and named in
    summary.md; one without a readable run.yaml is listed with its numbers.

    Args:
        results: the folder that holds one folder per run, and gets both files.
    """
    results.mkdir(parents=True, exist_ok=True)
    with locks.in_turn(results / ".summary.lock"):
        _write(results)


def _write(results: Path) -> None:
    found, unreadable = [], []
    folders = [path for path in results.iterdir() if path.is_dir() and not path.name.startswith(".") and path.name != REPORT]
    for folder in sorted(folders, key=lambda path: path.name):
        try:
            found.append(_read(folder))
        except InputError as error:
            unreadable.append((folder.name, str(error)))
    tables = _tables(found)
    rows = [{name: row[name] for name in scores.COLUMNS} for table in tables for result in table for row in result.rows]
    (results / "summary.json").unlink(missing_ok=True)
    _draw_sweeps(results, tables)
    write_text(results / "summary.md", _markdown(results, tables, unreadable))
    write_csv(results / "summary.csv", scores.COLUMNS, rows)
    written = [results / "summary.csv", results / "summary.md", *sorted(results.glob("sweep*.*g"))]
    write_json(results / "summary.json", {"files": {path.name: digest_file(path) for path in written}})


def _read(folder: Path) -> _Result:
    name = f"{folder.name}/metrics.csv"
    try:
        refuse_changed(folder / "metrics.csv")
        rows = read_csv(folder / "metrics.csv", scores.COLUMNS)
    except InputError as error:
        raise InputError(str(error).replace(str(folder), folder.name)) from None
    if not rows:
        raise InputError(f"{name} has no rows")
    values, ends = {}, {}
    for line, row in enumerate(rows, start=2):
        # A row of the dataset's baselines may be for all runs.
        row["run"] = row["run"] or folder.name
        if row["run"] != folder.name:
            raise InputError(f"{name}, line {line}: expected the run {folder.name}, received {row['run']!r}")
        try:
            key = row["answer"], row["partition"], row["metric"]
            values[key] = float(row["value"])
            if row["low"] and row["high"]:
                ends[key] = float(row["low"]), float(row["high"])
        except (TypeError, ValueError):
            raise InputError(f"{name}, line {line}: expected a number, received {row['value']!r}") from None
    for partition in ("validation", "test"):
        own, papers = ((answer, partition, "accuracy") for answer in (scores.MODEL, scores.PAPER))
        if own in values and papers in values:
            values[_MINUS_PAPER, partition, "accuracy"] = values[own] - values[papers]
    path = folder / "differences.csv"
    compared = []
    if path.exists():
        refuse_changed(path)
        compared = read_csv(path, paired.COLUMNS)
    return _Result(folder.name, _info(folder / "run.yaml"), rows, values, ends, compared)


def _info(path: Path) -> Mapping[str, Any]:
    try:
        info = yaml.safe_load(path.read_text(encoding="utf-8"))
        refuse_changed(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError, InputError):
        info = None
    return info if isinstance(info, dict) else {"status": "run.yaml unreadable"}


def _tables(found: list[_Result]) -> list[list[_Result]]:
    """Runs that were scored on the same images, ranked: by dataset, of each the largest table first."""
    tables: dict[tuple[str, str], list[_Result]] = {}
    for result in sorted(found, key=lambda result: result.rank):
        tables.setdefault((result.dataset, result.images), []).append(result)
    return [table for _, table in sorted(tables.items(), key=lambda item: (item[0][0], -len(item[1]), item[0][1]))]


def _markdown(results: Path, tables: list[list[_Result]], unreadable: list[tuple[str, str]]) -> str:
    parts = ["# All runs", "", _LEGEND]
    found = [result for table in tables for result in table]
    first = {table[0].dataset: table for table in reversed(tables)}
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
        ranked = [result for table in tables if table is first[table[0].dataset] for result in table]
        parts += [_line(headings), _line(alignments), *(_line(_cells(result)) for result in ranked), ""]
        for table in tables:
            if table is not first[table[0].dataset]:
                parts += [f"## {_plain(table[0].dataset)}, scored on other images", "", _OTHER_IMAGES, ""]
                parts += [_line(headings), _line(alignments), *(_line(_cells(result)) for result in table), ""]
        parts += _seeds(tables) + _without_embedding(results, found)
    else:
        parts += ["There are no runs yet.", ""]
    if unreadable:
        parts += ["## Unreadable", "", "These folders have no readable metrics.csv and are left out:", ""]
        parts += [f"- {name}: {_plain(reason)}" for name, reason in unreadable] + [""]
    return "\n".join(parts)


def _seeds(tables: list[list[_Result]]) -> list[str]:
    """How far runs that differ only in their seed lie apart."""
    lines = []
    for name, results in itertools.chain.from_iterable(map(_alike, tables)):
        if len(results) > 1:
            cells = []
            for _, answer, split, metric, digits in _OVER_SEEDS:
                values = [result.values.get((answer, split, metric), math.nan) for result in results]
                both = float(np.mean(values)), float(np.std(values, ddof=1))
                cells.append(" ± ".join(_number(value, digits) for value in both))
            lines.append(_line([name, results[0].dataset, str(len(results)), *cells]))
    if not lines:
        return []
    headings = ["run, any seed", "dataset", "seeds", *(number[0] for number in _OVER_SEEDS)]
    return [
        "## Spread over training seeds",
        "",
        "Mean and standard deviation of runs on the same images that differ only in the seed of their training.",
        "",
        _line(headings),
        _line([":--"] * 2 + ["--:"] * (1 + len(_OVER_SEEDS))),
        *lines,
        "",
    ]


def _alike(table: list[_Result]) -> list[tuple[str, list[_Result]]]:
    """Runs that differ in their seed alone, under the name that they have without it."""
    found: list[tuple[str, list[_Result]]] = []
    for result in table:
        with contextlib.suppress(InputError):
            name = replace(Run.parse(result.run), seed=DEFAULT_SEED).name
            own = [
                results
                for known, results in found
                if known == name and not other_settings(results[0].info, result.info)
            ]
            if own:
                own[0].append(result)
            else:
                found.append((name, [result]))
    return found


def _without_embedding(results: Path, found: list[_Result]) -> list[str]:
    """Runs beside the same network trained without the embedding."""
    lines = []
    by_name = {result.run: result for result in found}
    for result in found:
        without = f"{result.run}_noembed"
        if without in by_name:
            try:
                other = other_settings(result.info, by_name[without].info)
                # Those of the embedding are the twin's in name only.
                if other := [difference for difference in other if not difference.startswith("embeddings.")]:
                    raise InputError(f"not compared: they differ in more than the embedding: {'; '.join(other)}")
                rows, reason = compare_runs(results / result.run, results / without)
            except InputError as error:
                told = str(error).replace(f"{results}/", "")
                lines.append(_line([result.run, without, "rmse", _MISSING, _MISSING, _plain(told)]))
                continue
            for row in rows:
                if row["metric"] in ("rmse", "accuracy", "ciede2000"):
                    interval = reason
                    if row["low"] is not None:
                        interval = " to ".join(paired.signed(row[end], 4) for end in ("low", "high"))
                    verdict = f"with the embedding: {row['verdict']}"
                    difference = paired.signed(row["difference"], 4)
                    lines.append(_line([result.run, without, row["metric"], difference, interval, verdict]))
    if not lines:
        return []
    return [
        "## With and without the embedding",
        "",
        "The run minus the same network trained without the embedding, on the same test images.",
        "",
        _line(["run", "without", "metric", "difference", "95 % interval", "verdict"]),
        _line([":--", ":--", ":--", "--:", ":--", ":--"]),
        *lines,
        "",
    ]


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
        *(
            _number(result.values.get((answer, split, metric)), digits, signed=answer == _MINUS_PAPER)
            + _interval(result.ends.get((answer, split, metric)), digits)
            for _, answer, split, metric, digits in _NUMBERS
        ),
        _remark(result),
    ]


def _remark(result: _Result) -> str:
    findings = result.info.get("findings")
    first = str(findings[0]) if isinstance(findings, list) and findings else ""
    one_colour = "one colour everywhere" if first.startswith(paired.ONE_COLOUR) else ""
    return "; ".join(filter(None, (one_colour, _against_mean(result))))


def _against_mean(result: _Result) -> str:
    if result.differences:
        return paired.remark(result.differences)
    network = result.values.get((scores.MODEL, "test", "rmse"))
    mean = result.values.get((predictors.MEAN, "test", "rmse"))
    # Written so that NaN is not better either.
    return "" if network is None or mean is None or network < mean else "not better than the mean colour"


def _number(value: float | None, digits: int, *, signed: bool = False) -> str:
    if value is None:
        return _MISSING
    return "NaN" if math.isnan(value) else f"{value:{'+' if signed else ''}.{digits}f}"


def _interval(ends: tuple[float, float] | None, digits: int) -> str:
    return f" [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]" if ends else ""


def _plain(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _draw_sweeps(results: Path, tables: list[list[_Result]]) -> None:
    """Draw sweep.png, of one table, or sweep_<dataset>.png of each, and sweep_<dataset>_2.png of its second one."""
    for kind in ("png", "svg"):
        for old in results.glob(f"sweep*.{kind}"):
            old.unlink()
    drawn: Counter[str] = Counter()
    for table in tables:
        mine = sorted(table, key=lambda result: result.run)
        dataset = mine[0].dataset
        points = []
        for result in mine:
            with contextlib.suppress(InputError):
                run = Run.parse(result.run)
                points.append(
                    sweeps.SweepPoint(
                        run.name,
                        dataset,
                        run.architecture,
                        float(run.learning_rate),
                        float(run.l2),
                        run.batch_size,
                        run.seed,
                        run.embedding,
                        result.score("accuracy"),
                        result.score("ciede2000"),
                    )
                )
        if points:
            values = mine[0].values
            drawn[dataset] += 1
            number = f"_{drawn[dataset]}" if drawn[dataset] > 1 else ""
            sweeps.sweep(
                results / ("sweep.png" if len(tables) == 1 else f"sweep_{dataset}{number}.png"),
                points,
                majority=values.get((predictors.MAJORITY, "validation", "accuracy")),
                mean_ciede2000=values.get((predictors.MEAN, "validation", "ciede2000")),
                gray_ciede2000=values.get((predictors.GRAY, "validation", "ciede2000")),
            )

"""The page: results/index.html and results/report/, to look at in a browser, from file:// and without network."""

import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.core import files, locks
from pipeline.evaluation import predictors, scores
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress, Silent
from pipeline.results.read import RunResults, pictures, read_runs
from pipeline.results.page_views import Cell, PARTITIONS, badges, cell, run_view, script_data
from pipeline.results.vocabulary import MEASURES, answers, number

TEMPLATES = Path(__file__).with_name("templates")
STRIP = 6  # test images of a run that the overview shows
MARKERS = ("page.css", "wall.js")  # files by which a folder report/ is known to be one that was written here

# Columns of the overview: heading, partition, metric.
OVERVIEW = (
    ("RMSE, validation", "validation", "rmse"),
    ("accuracy, validation", "validation", "accuracy"),
    ("RMSE, test", "test", "rmse"),
    ("CIEDE2000, test", "test", "ciede2000"),
    ("accuracy, test", "test", "accuracy"),
)


class Table(NamedTuple):
    """Runs of one dataset that were scored on the same images, in the order of validation RMSE."""

    title: str
    another: bool
    runs: list[RunResults]
    rows: list[tuple[RunResults, list[Cell]]]
    references: list[tuple[str, list[Cell]]]
    strip: list[int]
    no_interval: dict[str, str]


def write_report(
    results: Path,
    pictures_of: Callable[[str], Path] | Mapping[str, Path],
    progress: Progress | None = None,
) -> Path:
    """Write ``index.html`` and the folder ``report/`` of all runs that are in `results`.

    The folder is built beside the old one and takes its place when it is whole. Pictures of the truth come into it (as
    hard links where the file system allows); predicted ones are shown from ``results/<run>/pictures/``.

    Args:
        results: the folder that holds one folder per run.
        pictures_of: by dataset, the folder with ``true/`` and ``gray/``, each holding ``<row, six digits>.jpg``.
        progress: told of each run.

    Returns:
        The path of index.html.
    """
    if not results.is_dir():
        raise InputError(f"{results}: expected a folder of results, received none; run an experiment first")
    _refuse_foreign(results)
    new, old, target = results / ".report.new", results / ".report.old", results / "report"
    with locks.in_turn(results / ".report.lock"):
        if old.exists() and not target.exists():  # killed between the two renames
            old.rename(target)
        for leftover in (new, old):
            files.remove(leftover)
        try:
            with files.naming(target):
                index = _build(results, new, pictures_of, progress or Silent())
            (results / "report.json").unlink(missing_ok=True)
            if target.exists():
                target.rename(old)
            try:
                new.rename(target)
            except OSError:
                if old.exists():
                    old.rename(target)
                raise
        finally:
            files.remove(new)
        files.remove(old)
        files.write_text(results / "index.html", index)
        digests = {"index.html": files.digest_file(results / "index.html")}
        digests |= {f"{target.name}/{name}": digest for name, digest in files.digests(target).items()}
        files.write_json(results / "report.json", {"files": digests})
    return results / "index.html"


def _refuse_foreign(results: Path) -> None:
    """Refuse a folder in which the page would take the place of files that are not ours.

    Raises:
        InputError: names one of them.
    """
    index, folder = results / "index.html", results / "report"
    foreign = []
    if index.exists() and not (index.is_file() and b"DeepColor" in index.read_bytes()[:4096]):
        foreign.append(index)
    empty = folder.is_dir() and not any(folder.iterdir())
    if folder.exists() and not empty and not all((folder / name).is_file() for name in MARKERS):
        foreign.append(folder)
    entries = [path for path in sorted(results.iterdir()) if not path.name.startswith(".")]
    if not any((path / name).exists() for path in entries for name in ("metrics.csv", "run.yaml")):
        foreign += [path for path in entries if not path.name.startswith(("index.html", "report", "summary.", "sweep"))]
    if foreign:
        raise InputError(
            f"{results}: expected a folder of results, received one with {foreign[0].name}, which is none of theirs; "
            "name another folder, or move it away"
        )


def _build(
    results: Path, new: Path, pictures_of: Callable[[str], Path] | Mapping[str, Path], progress: Progress
) -> str:
    """Fill the folder `new`; return the overview."""
    (new / "data").mkdir(parents=True)
    for path in sorted(TEMPLATES.iterdir()):
        if path.suffix in (".css", ".js"):
            shutil.copyfile(path, new / path.name)
    runs, left_out = read_runs(results)
    tables = _tables(runs)
    whole: dict[str, frozenset[int]] = {}  # by run, the rows whose true and gray pictures are there
    for dataset in sorted({run.dataset for run in runs}):
        whole |= _link_pictures(pictures_of, dataset, [run for run in runs if run.dataset == dataset], new)
    templates = _templates()
    with progress.track("report, runs", len(runs)) as advance:
        for table in tables:
            for run in table.runs:
                # JSON as a script, since a page from file:// may not fetch; <, > and & cannot end it.
                text = json.dumps(script_data(run, whole[run.name]))
                text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
                (new / "data" / f"{run.name}.js").write_text(f"const run = {text};\n", encoding="utf-8")
                page = templates.get_template("run.html").render(
                    run_view(run), strip=_strip(run.images.rows), whole=whole[run.name]
                )
                (new / f"{run.name}.html").write_text(page, encoding="utf-8")
                advance()
    return templates.get_template("index.html").render(
        tables=tables,
        overview=OVERVIEW,
        left_out=left_out,
        whole=whole,
        names=[name for name in ("summary.md", "summary.csv") if (results / name).is_file()],
        sweeps=sorted(path.name for path in results.glob("sweep*.svg") if path.is_file()),
    )


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["part"] = lambda name: quote(str(name), safe="")
    environment.filters["picture"] = lambda row: f"{row:06d}.jpg"
    environment.globals.update(badges=badges, answers=answers(), measures=MEASURES)
    return environment


def _link_pictures(
    pictures_of: Callable[[str], Path] | Mapping[str, Path], dataset: str, runs: Sequence[RunResults], new: Path
) -> dict[str, frozenset[int]]:
    """Bring the true and gray pictures of the runs' test images into the page; return, by run, the rows that have both.

    A run of other images than the dataset has by now has none: a row's picture would be that of another image.
    """
    whole: dict[str, frozenset[int]] = {run.name: frozenset() for run in runs}
    try:
        source = pictures_of(dataset) if callable(pictures_of) else pictures_of[dataset]
    except KeyError:
        return whole
    both = pictures(source / "true") & pictures(source / "gray")
    now = files.read_if_whole(source.with_name("images.json")).get("fingerprint")
    for run in runs:
        fingerprints = run.info.get("fingerprints")
        own = fingerprints.get("images") if isinstance(fingerprints, Mapping) else None
        if now is None or own in (None, now):
            whole[run.name] = both.intersection(run.images.rows)
    rows = sorted(frozenset().union(*whole.values()))
    for kind in ("true", "gray") if rows else ():
        folder = new / "pictures" / dataset / kind
        folder.mkdir(parents=True)
        for row in rows:
            name = f"{row:06d}.jpg"
            try:
                os.link(source / kind / name, folder / name)
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(source / kind / name, folder / name)
    return whole


def _tables(runs: Iterable[RunResults]) -> list[Table]:
    """Runs by dataset, and by the images that they were scored on."""
    groups: dict[tuple[str, str], list[RunResults]] = {}
    for run in runs:
        images = scores.scored_on((*key, score.value) for key, score in run.scores.items())
        groups.setdefault((run.dataset, images), []).append(run)
    for dataset, without in [key for key in groups if not key[1]]:
        # A run without readable scores stands with the others of its dataset.
        others = [key for key in groups if key[0] == dataset and key[1]]
        if others:
            groups[others[0]] += groups.pop((dataset, without))
    tables: list[Table] = []
    for (dataset, _), members in sorted(groups.items(), key=lambda group: (group[0][0], -len(group[1]), group[0][1])):
        ranked = sorted(members, key=_rank)
        example = next((run for run in ranked if run.scores), ranked[0])
        tables.append(
            Table(
                title=dataset,
                another=any(table.title == dataset for table in tables),
                runs=ranked,
                rows=[(run, _overview(run)) for run in ranked],
                references=[
                    (baseline.meaning, [cell(example.scores.get((p, answer, m)), m) for _, p, m in OVERVIEW])
                    for answer, baseline in predictors.BASELINES.items()
                    if any((p, answer, m) in example.scores for _, p, m in OVERVIEW)
                ],
                strip=_strip(sorted({row for run in ranked for row in run.images.rows})),
                no_interval=_reasons(ranked),
            )
        )
    return tables


def _reasons(runs: Iterable[RunResults]) -> dict[str, str]:
    """Why scores have no interval, and in which partitions."""
    partitions: dict[str, list[str]] = {}
    for partition in PARTITIONS:
        for reason in dict.fromkeys(reason for run in runs for reason in run.no_interval.get(partition, ())):
            partitions.setdefault(reason, []).append(partition)
    return {reason: ", ".join(names) for reason, names in partitions.items()}


def _rank(run: RunResults) -> tuple[bool, float, str]:
    error = run.value("validation", scores.MODEL, "rmse")
    return math.isnan(error), 0.0 if math.isnan(error) else error, run.name


def _strip(rows: Sequence[int]) -> list[int]:
    """A few rows, evenly over all: chosen by place and not by how well they look."""
    count = min(STRIP, len(rows))
    return [rows[(2 * i + 1) * len(rows) // (2 * count)] for i in range(count)]


def _overview(run: RunResults) -> list[Cell]:
    cells = []
    for _, partition, metric in OVERVIEW:
        shown = cell(run.scores.get((partition, scores.MODEL, metric)), metric)
        paper = run.scores.get((partition, scores.PAPER, metric))
        if paper is not None:
            gap = run.value(partition, scores.MODEL, metric) - paper.value
            shown = shown._replace(paper=(number(paper.value, metric), number(gap, metric, sign=True)))
        cells.append(shown)
    return cells

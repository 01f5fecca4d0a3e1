"""The page of results for a browser: results/index.html and results/report/. It works from file://, offline."""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps

from pipeline.config.paths import SWEEPS, DatasetFiles, ResultFiles, SummaryFiles
from pipeline.core import files, locks
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress, Silent
from pipeline.core.text import counted
from pipeline.evaluation import predictors, scores, vocabulary
from pipeline.images import jpeg
from pipeline.results.markdown import TEMPLATES
from pipeline.results.page_views import OVERVIEW, badges, overview, ranking_view, run_view, script_data
from pipeline.results.read import RunResults, pictures, read_runs
from pipeline.results.tables import Table, heading, tables

STRIP = 6  # number of test images in the overview


def write_report(results: Path, pictures_of: Callable[[str], Path], progress: Progress | None = None) -> Path:
    """Write ``index.html`` and the folder ``report/`` of all runs in `results`.

    The folder is built beside the old one and replaces it when complete. It includes the true pictures (as hard links
    where the file system allows); predicted ones are shown from ``results/<run>/pictures/``.

    Args:
        results: the folder with one folder per run.
        pictures_of: returns a dataset's folder with ``true/`` and ``gray/``, which contain ``<row, six digits>.jpg``.
        progress: displays the number of runs.

    Returns:
        The path of index.html.

    Raises:
        InputError: the folder does not exist, or the page would overwrite files that DeepColor did not write.
    """
    if not results.is_dir():
        raise InputError(f"{results}: expected a folder of results, received none; run an experiment first")
    _refuse_foreign(results)
    where = SummaryFiles(results)
    with locks.in_turn(where.page_lock):
        files.remove(where.old_scratch)
        prefix = f"{where.pages.name}/"
        own = [name.removeprefix(prefix) for name in files.read_if_whole(where.page_manifest).get("files", ())]
        with files.new_folder(where.pages, own) as new:
            index = _build(results, new, pictures_of, progress or Silent())
            digests = {f"{prefix}{name}": digest for name, digest in files.digests(new).items()}
            where.page_manifest.unlink(missing_ok=True)
        files.write_text(where.page, index)
        digests[where.page.name] = files.digest_file(where.page)
        files.write_json(where.page_manifest, {"files": digests})
    return where.page


def _refuse_foreign(results: Path) -> None:
    where = SummaryFiles(results)
    index, folder = where.page, where.pages
    foreign = []
    if index.exists() and not (index.is_file() and b"DeepColor" in index.read_bytes()[:4096]):
        foreign.append(index)
    empty = folder.is_dir() and not any(folder.iterdir())
    if folder.exists() and not empty and not where.has_pages:
        foreign.append(folder)
    entries = [path for path in sorted(results.iterdir()) if not path.name.startswith(".")]
    if not any(ResultFiles(path).metrics.exists() or ResultFiles(path).record.exists() for path in entries):
        foreign += [path for path in entries if not path.name.startswith(where.prefixes)]
    if foreign:
        raise InputError(
            f"{results}: expected a folder of results, received {foreign[0].name}, which DeepColor did not write; "
            "choose another folder, or move that file or folder away"
        )


def _build(results: Path, new: Path, pictures_of: Callable[[str], Path], progress: Progress) -> str:
    """Fill the folder `new`; return the overview."""
    (new / "data").mkdir(parents=True)
    for path in sorted(TEMPLATES.iterdir()):
        if path.suffix in (".css", ".js"):
            shutil.copyfile(path, new / path.name)
    runs, left_out = read_runs(results)
    shown = tables(runs)
    complete: dict[str, frozenset[int]] = {}  # by run, the rows that have a true and a gray picture
    for dataset in sorted({run.dataset for run in runs}):
        complete |= _link_pictures(pictures_of(dataset), [run for run in runs if run.dataset == dataset], new)
    templates = _templates()
    with progress.track("report, runs", len(runs)) as advance:
        for run in (run for table in shown for run in table.runs):
            # A script, since a page from file:// may not fetch JSON.
            text = f"const run = {htmlsafe_json_dumps(script_data(run, complete[run.name]))};\n"
            (new / "data" / f"{run.name}.js").write_text(text, encoding="utf-8")
            page = templates.get_template("run.html").render(
                run_view(run), strip=_strip(run.images.rows), complete=complete[run.name]
            )
            (new / f"{run.name}.html").write_text(page, encoding="utf-8")
            advance()
    rankings = []
    for path in sorted(set((results / SWEEPS).glob("*.csv")).difference((results / SWEEPS).glob("*.costs.csv"))):
        try:
            rankings.append(ranking_view(path))
        except (InputError, ValueError) as error:
            left_out.append(str(error))
    return templates.get_template("index.html").render(
        tables=[_section(table, complete) for table in shown],
        overview=[heading(scores.MODEL, *column) for column in OVERVIEW],
        left_out=left_out,
        names=[path.name for path in (SummaryFiles(results).text, SummaryFiles(results).table) if path.is_file()],
        sweeps=sorted(path.name for path in results.glob("sweep*.svg") if path.is_file()),
        rankings=rankings,
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
    environment.filters["picture"] = jpeg.name
    environment.filters["stem"] = lambda row: Path(jpeg.name(row)).stem
    environment.globals.update(badges=badges, counted=counted, heading=vocabulary.heading, term=vocabulary.term)
    return environment


def _link_pictures(source: Path, runs: Sequence[RunResults], new: Path) -> dict[str, frozenset[int]]:
    """Link a dataset's true and gray pictures of test images into the page; return, by run, the rows with both.

    A run gets none if the dataset's images have changed since: a row's picture would be that of another image.
    """
    both = pictures(source / "true") & pictures(source / "gray")
    now = files.read_if_whole(DatasetFiles(source.parent).images.manifest_path).get("fingerprint")
    complete = {}
    for run in runs:
        fingerprints = run.record.get("fingerprints")
        own = fingerprints.get("images") if isinstance(fingerprints, Mapping) else None
        complete[run.name] = both.intersection(run.images.rows if now is None or own in (None, now) else ())
    rows = sorted(frozenset().union(*complete.values()))
    for kind in ("true", "gray") if rows else ():
        folder = new / "pictures" / runs[0].dataset / kind
        folder.mkdir(parents=True)
        for name in map(jpeg.name, rows):
            try:
                os.link(source / kind / name, folder / name)
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(source / kind / name, folder / name)
    return complete


def _section(table: Table, complete: Mapping[str, frozenset[int]]) -> dict[str, Any]:
    """Return the overview of a table of runs, for index.html."""
    example = table.example
    return {
        "table": table,
        "runs": [(run, overview(run)) for run in table.runs],
        "baselines": [
            (baseline.meaning, overview(example, name))
            for name, baseline in predictors.BASELINES.items()
            if any((partition, name, metric) in example.scores for partition, metric in OVERVIEW)
        ],
        "strip": _strip(sorted({row for run in table.runs for row in run.images.rows})),
        "complete": complete[table.runs[0].name],
        "no_interval": _reasons(table.runs),
    }


def _reasons(runs: Iterable[RunResults]) -> dict[str, str]:
    """Return the reasons why scores of the overview have no interval, with the partitions."""
    partitions: dict[str, set[str]] = {}
    for row in (row for run in runs for row in run.rows):
        if (row["partition"], row["metric"]) in OVERVIEW and (reason := scores.why_no_interval(row)):
            partitions.setdefault(reason, set()).add(row["partition"])
    return {reason: ", ".join(sorted(names)) for reason, names in partitions.items()}


def _strip(rows: Sequence[int]) -> list[int]:
    """Choose a few rows at even steps, not by how good they look."""
    count = min(STRIP, len(rows))
    return [rows[(2 * i + 1) * len(rows) // (2 * count)] for i in range(count)]

"""All runs side by side: results/summary.csv, summary.parquet, summary.md and sweep.png."""

from collections.abc import Iterable
from pathlib import Path

from pipeline.config.paths import SummaryFiles
from pipeline.core import csv_files, locks, parquet_files
from pipeline.core.files import digest_file, write_json, write_text
from pipeline.evaluation import paired, scores, vocabulary
from pipeline.evaluation.intervals import FEWEST_GROUPS
from pipeline.evaluation.predictors import GRAY, MAJORITY, MEAN
from pipeline.evaluation.scores import EMBEDDING_SHUFFLED, MODEL, PAPER, START
from pipeline.results import groups, summary_figure
from pipeline.results.markdown import environment, table
from pipeline.results.read import RunResults, read_runs
from pipeline.results.tables import MISSING, Cell, cell, heading, tables

MINUS_PAPER = "minus paper"  # the run's value minus the paper's
# Columns of summary.md: answer, partition, metric. START's only if a run has it.
COLUMNS = tuple(
    (answer, partition, metric)
    for partition, metric, answers in (
        ("validation", "rmse", (MODEL,)),
        ("validation", "accuracy", (MODEL, MAJORITY, PAPER, MINUS_PAPER)),
        ("test", "accuracy", (MODEL, MAJORITY, PAPER, MINUS_PAPER)),
        ("test", "rmse", (MODEL, GRAY, MEAN)),
        ("test", "psnr", (MODEL, GRAY)),
        ("test", "ssim", (MODEL,)),
        ("test", "ciede2000", (MODEL, START, GRAY)),
        ("test", "rmse", (EMBEDDING_SHUFFLED,)),
    )
    for answer in answers
)


def write_summary(results: Path) -> None:
    """Write ``summary.csv``, the same as Parquet, ``summary.md`` and sweep.png of all runs, and their digests.

    The runs of a dataset are ranked by validation RMSE. A run without a readable metrics.csv is left out; summary.md
    lists all files that are missing or damaged. Concurrent calls take turns.
    """
    results.mkdir(parents=True, exist_ok=True)
    with locks.in_turn(SummaryFiles(results).lock):
        _write(SummaryFiles(results))


def _write(where: SummaryFiles) -> None:
    results = where.directory
    runs, left_out = read_runs(results, images=False)
    ranked = tables(run for run in runs if run.scores)
    shown = [run for part in ranked for run in part.runs]
    started = any(answer == START for run in shown for _, answer, _ in run.scores)
    columns = [column for column in COLUMNS if started or column[0] != START]
    headings = ["run", "embedding weights", "epochs", "status", *(heading(*column) for column in columns), "remark"]
    alignments = [":--", ":--", "--:", ":--", *("--:" for _ in columns), ":--"]
    over_seeds = ["run, any seed", "dataset", "seeds", *(heading(MODEL, *column) for column in groups.OVER_SEEDS)]
    contrast = ["run", "without", "metric", "difference", "95 % interval", "verdict"]
    text = environment().get_template("summary.md").render(
        tables=[(part, table(headings, alignments, (_row(run, columns) for run in part.runs))) for part in ranked],
        explained=[vocabulary.term(metric) for metric in dict.fromkeys(metric for _, _, metric in columns)],
        start=vocabulary.heading(START) if started else "",
        fewest_groups=FEWEST_GROUPS,
        seeds=table(over_seeds, [":--"] * 2 + ["--:"] * (len(over_seeds) - 2), groups.over_seeds(ranked)),
        embedding=table(contrast, [":--"] * 3 + ["--:"] + [":--"] * 2, groups.without_embedding(results, shown)),
        problems=left_out + [f"{run.name}: {'; '.join(run.problems.values())}" for run in runs if run.problems],
    )  # fmt: skip
    where.manifest.unlink(missing_ok=True)
    summary_figure.draw(results, ranked)
    write_text(where.text, text)
    csv_files.write(
        where.table, scores.COLUMNS, ({name: row[name] for name in scores.COLUMNS} for r in shown for row in r.rows)
    )
    same = parquet_files.write_beside(where.table, scores.TYPES)
    written = [where.table, same, where.text, *sorted(results.glob("sweep*.*g"))]
    write_json(where.manifest, {"files": {path.name: digest_file(path) for path in written}})


def _row(run: RunResults, columns: Iterable[tuple[str, str, str]]) -> list[str]:
    weights = run.record.get("weights_evaluated")
    status = "needs no training" if run.untrained else "not trained here"
    return [
        run.name,
        run.embedding.replace("RANDOM", "**RANDOM**"),
        str(run.record.get("epochs", MISSING)),
        status if run.only_scored else f"{run.status}, {weights} weights" if weights else run.status,
        *(_cell(run, *column).line for column in columns),
        "; ".join(filter(None, ("one colour everywhere" * run.one_colour, paired.remark(run.compared)))),
    ]


def _cell(run: RunResults, answer: str, partition: str, metric: str) -> Cell:
    if answer != MINUS_PAPER:
        return cell(run.scores.get((partition, answer, metric)), metric)
    paper = run.scores.get((partition, PAPER, metric))
    return cell(paper and paper._replace(value=run.score(partition, metric).value - paper.value), metric, sign=True)

"""All runs side by side: results/summary.csv, results/summary.md and results/sweep.png."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.config.paths import SummaryFiles
from pipeline.core import locks
from pipeline.core.files import digest_file, write_csv, write_json, write_text
from pipeline.evaluation import paired, scores, vocabulary
from pipeline.evaluation.bootstrap import FEWEST_GROUPS
from pipeline.evaluation.predictors import GRAY, MAJORITY, MEAN
from pipeline.evaluation.scores import EMBEDDING_SHUFFLED, MODEL, PAPER
from pipeline.results import groups, sweep
from pipeline.results.markdown import environment
from pipeline.results.read import RunResults, read_runs
from pipeline.results.tables import MISSING, Cell, Table, cell, heading, tables

MINUS_PAPER = "minus paper"  # the run's value minus the paper's
# Columns of summary.md: answer, partition, metric.
COLUMNS = (
    (MODEL, "validation", "rmse"),
    (MODEL, "validation", "accuracy"),
    (MAJORITY, "validation", "accuracy"),
    (PAPER, "validation", "accuracy"),
    (MINUS_PAPER, "validation", "accuracy"),
    (MODEL, "test", "accuracy"),
    (MAJORITY, "test", "accuracy"),
    (PAPER, "test", "accuracy"),
    (MINUS_PAPER, "test", "accuracy"),
    (MODEL, "test", "rmse"),
    (GRAY, "test", "rmse"),
    (MEAN, "test", "rmse"),
    (MODEL, "test", "psnr"),
    (GRAY, "test", "psnr"),
    (MODEL, "test", "ssim"),
    (MODEL, "test", "ciede2000"),
    (GRAY, "test", "ciede2000"),
    (EMBEDDING_SHUFFLED, "test", "rmse"),
)


def write_summary(results: Path) -> None:
    """Gather every ``results/<run>/`` into ``summary.csv``, ``summary.md`` and sweep.png, and their digests into
    ``summary.json``.

    The runs of a dataset are ranked by validation RMSE. A run without a readable metrics.csv is left out; summary.md
    names it, and whatever else is missing or damaged. Runs that end at the same time take turns.

    Args:
        results: the folder that holds one folder per run, and gets the files.
    """
    results.mkdir(parents=True, exist_ok=True)
    with locks.in_turn(SummaryFiles(results).lock):
        _write(SummaryFiles(results))


def _write(where: SummaryFiles) -> None:
    results = where.directory
    found, left_out = read_runs(results, images=False)
    ranked = tables(run for run in found if run.scores)
    text = environment().get_template("summary.md").render(
        tables=[(table.dataset, table.another, [_row(run) for run in table.runs]) for table in ranked],
        headings=["run", "embedding weights", "epochs", "status", *(heading(*column) for column in COLUMNS), "remark"],
        alignments=[":--", ":--", "--:", ":--", *("--:" for _ in COLUMNS), ":--"],
        explained=[vocabulary.term(metric) for metric in dict.fromkeys(metric for _, _, metric in COLUMNS)],
        fewest_groups=FEWEST_GROUPS,
        seeds=_seeds(ranked),
        embedding=_embedding(results, ranked),
        problems=left_out + [f"{run.name}: {'; '.join(run.problems.values())}" for run in found if run.problems],
    )  # fmt: skip
    rows = [{name: row[name] for name in scores.COLUMNS} for table in ranked for run in table.runs for row in run.rows]
    where.manifest.unlink(missing_ok=True)
    sweep.draw(results, ranked)
    write_text(where.text, text)
    write_csv(where.table, scores.COLUMNS, rows)
    written = [where.table, where.text, *sorted(results.glob("sweep*.*g"))]
    write_json(where.manifest, {"files": {path.name: digest_file(path) for path in written}})


def _row(run: RunResults) -> list[str]:
    """The cells of a run's row."""
    evaluated = run.record.get("weights_evaluated")
    return [
        run.name,
        "**RANDOM**" if run.weights == "random" else run.weights,
        str(run.record.get("epochs", MISSING)),
        f"{run.status}, {evaluated} weights" if evaluated else run.status,
        *(_cell(run, *column).line for column in COLUMNS),
        "; ".join(filter(None, ("one colour everywhere" * run.one_colour, paired.remark(run.compared)))),
    ]


def _cell(run: RunResults, answer: str, partition: str, metric: str) -> Cell:
    if answer != MINUS_PAPER:
        return cell(run.scores.get((partition, answer, metric)), metric)
    papers = run.scores.get((partition, PAPER, metric))
    return cell(papers and papers._replace(value=run.score(partition, metric).value - papers.value), metric, sign=True)


_Parts = tuple[Sequence[str], Sequence[str], Sequence[Sequence[object]]]  # headings, alignments and rows of a table


def _seeds(ranked: Sequence[Table]) -> _Parts | None:
    headings = ["run, any seed", "dataset", "seeds", *(heading(MODEL, *column) for column in groups.OVER_SEEDS)]
    rows = [(spread.name, spread.dataset, spread.seeds, *spread.cells) for spread in groups.over_seeds(ranked)]
    return (headings, [":--"] * 2 + ["--:"] * (len(headings) - 2), rows) if rows else None


def _embedding(results: Path, ranked: Sequence[Table]) -> _Parts | None:
    rows = groups.without_embedding(results, [run for table in ranked for run in table.runs])
    headings = ["run", "without", "metric", "difference", "95 % interval", "verdict"]
    return (headings, [":--", ":--", ":--", "--:", ":--", ":--"], rows) if rows else None

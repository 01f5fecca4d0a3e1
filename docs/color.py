"""Write the tables and the picture of color.md: how networks and baselines colour the test photographs.

Usage: python -m docs.color

`make evidence` trains the networks of config/evidence.yaml first; the page names those that are missing. Scores are
kept in data/evidence/scores/ and measured again only if network, photographs or the network that measures recognition
are others.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from docs.evidence import TRUTH, Evidence, Row, or_stop
from pipeline.core import csv_files, files
from pipeline.evaluation import intervals, vocabulary
from pipeline.evaluation.metrics import Values
from pipeline.evaluation.predictors import GRAY, MEAN
from pipeline.images import lab, saving
from pipeline.networks import backend
from pipeline.results.markdown import table
from pipeline.results.read import Score
from pipeline.results.tables import cell

PAGE, PICTURE = Path("docs/color.md"), Path("docs/color.jpg")
BEGIN, END = "<!-- made by `make evidence` -->", "<!-- end of what `make evidence` makes -->"
TEMPERATURES = (0.38, 0.6, 1.0)
DEFAULT = 0.6  # the temperature of config/color.yaml
METRICS = ("rmse", "ciede2000", "auc", "auc_rebalanced", "chroma_ratio", "delta_cf_set")
PHOTOGRAPHS, TILE = 12, 164  # in the picture; side of each, with its white frame, in pixels

Over = Mapping[Row, Mapping[str, Values]]


def classes(run: str, words: str) -> list[Row]:
    """Return the rows of a network that predicts classes, one per temperature."""
    return [Row(f"{words}temperature {each:g}", run, each) for each in TEMPERATURES]


EMBEDDINGS = {"none": "no embedding", "random": "random embedding", "lite0": "EfficientNet-Lite0"}
ROWS = [
    Row("gray", GRAY),
    Row("mean colour", MEAN),
    Row("the truth", TRUTH),
    *(Row(f"`{each}`, {words}", f"{each}-{name}") for each in ("arch3", "base") for name, words in EMBEDDINGS.items()),
    Row("`color`, squared error", "mse"),
    Row("`color`, absolute error", "l1"),
    *classes("unbalanced", "`color`, classes, no rebalancing, "),
    *classes("shipped", "`color`, classes, half the rebalancing (as shipped), "),
    *classes("rebalanced", "`color`, classes, rebalanced, "),
]
CURVE = [
    *(Row(f"{images:,}", f"classes-{images}", DEFAULT) for images in (500, 1000, 2000)),
    Row("all (as shipped)", "shipped", DEFAULT),
]
MIRRORED = [
    Row("with mirrored photographs", "rebalanced", DEFAULT),
    Row("without", "unmirrored", DEFAULT),
]
COLOURED = [Row("squared error", "mse"), *classes("shipped", "")]  # columns of the picture


def scores_table(evidence: Evidence, heading: str, over: Over, rows: Sequence[Row]) -> str:
    """Return a table of rows in Markdown; a cell is a value and its 95 % interval."""
    names = (*METRICS, evidence.recognised, evidence.distance)
    headings = [heading, "epochs", *(vocabulary.term(name).label for name in names)]
    lines = [
        [
            row.label,
            evidence.training(row)["epochs"] or "" if row.trained else "",
            *(cell(Score(*intervals.interval(over[row][name])), name).line for name in names),
        ]
        for row in rows
    ]
    return str(table(headings, [":--", *["--:"] * (len(headings) - 1)], lines))


def targets_table(evidence: Evidence, over: Over) -> str:
    """Return a table of the targets and what was reached: differences between rows of the same photographs."""
    of = {row.key: values for row, values in over.items()}
    ours, mse, gray, mean = of[f"shipped-{DEFAULT:g}"], of.get("mse"), of[GRAY], of[MEAN]
    recognised = evidence.recognised
    way = (ours[recognised] - gray[recognised]) / (1 - gray[recognised])
    rarely = ours["auc_rebalanced"] - gray["auc_rebalanced"]
    no, most = -np.inf, np.inf
    wanted = (
        ("classes: rebalanced AuC above gray's, points", 100 * rarely, 4, most, "≥ 4"),
        ("classes: chroma ratio", ours["chroma_ratio"], 0.7, 1.1, "0.7 to 1.1"),
        ("classes: ΔCF of the set", ours["delta_cf_set"], no, 10, "< 10"),
        ("classes: way from gray's recognisability to the truth's, %", 100 * way, 100 / 3, most, "≥ 33.3"),
        ("classes: RMSE above gray's, %", 100 * (ours["rmse"] / gray["rmse"] - 1), no, 5, "≤ 5"),
    )
    wanted += (
        ()
        if mse is None
        else (
            ("squared error: RMSE under the mean colour's, %", 100 * (1 - mse["rmse"] / mean["rmse"]), 5, most, "≥ 5"),
            ("squared error: AuC above gray's, points", 100 * (mse["auc"] - gray["auc"]), 0, most, "> 0"),
            ("squared error: AuC above the mean colour's, points", 100 * (mse["auc"] - mean["auc"]), 0, most, "> 0"),
        )
    )
    lines = []
    for words, values, least, largest, target in wanted:
        value, low, high = intervals.interval(values)
        between = "" if low is None or high is None else f" ({low:.2f} to {high:.2f})"
        reached = f"{value:.2f}{between}".replace("-", "−")
        lines.append([words, target, reached, "met" if least <= value <= largest else "missed"])
    return str(table(["", "target", "reached", ""], [":--", "--:", "--:", ":--"], lines))


def gain(over: Over, more: Row, less: Row) -> str:
    """Return a sentence about the differences in error between two rows."""
    words = []
    for name in ("rmse", "ciede2000"):
        value, low, high = intervals.interval(over[more][name] - over[less][name])
        words.append(f"{vocabulary.term(name).label} {value:+.2f} ({low:+.2f} to {high:+.2f})".replace("-", "−"))
    return f"Difference, {more.label} and {less.label}: {', '.join(words)}."


def picture(evidence: Evidence, columns: Sequence[Row]) -> list[str]:
    """Write the picture and return a line about each of its photographs, which are chosen by quantiles of the error."""
    error = evidence.measured(Row("", "shipped", DEFAULT))["mse"]
    ranks = np.unique(np.linspace(0, len(error) - 1, PHOTOGRAPHS).round().astype(int))
    places = np.argsort(error, kind="stable")[ranks]
    rows = evidence.rows[places]
    truth = evidence.data.batch(rows).truth
    gray = lab.gray_levels()[truth.lightness][..., None].repeat(3, axis=-1)
    coloured = [lab.to_rgb(truth.lightness, evidence.predicted(row, rows)) for row in columns]
    tiles = np.stack([gray, truth.rgb, *coloured], axis=1)
    framed = np.pad(tiles, ((0, 0), (0, 0), (2, 2), (2, 2), (0, 0)), constant_values=255)
    down, across, height, width, _ = framed.shape
    sheet = Image.fromarray(framed.transpose(0, 2, 1, 3, 4).reshape(down * height, across * width, 3))
    with files.written_whole(PICTURE) as temporary:
        sheet = sheet.resize((across * TILE, down * TILE), Image.Resampling.LANCZOS)
        saving.save(sheet, temporary, "JPEG", quality=85)
    listed = Path(evidence.config.datasets[evidence.config.dataset].table)
    known = {row["file"]: row for row in csv_files.read(listed, ("file", "author", "licence"))}
    named = [known[evidence.split[row]["id"]] for row in rows]
    return [
        f"{number}. {row['file']}: {row['author']}, {row['licence']}; RMSE {value:.1f}"
        for number, (row, value) in enumerate(zip(named, np.sqrt(error[places]), strict=True), 1)
    ]


def main() -> None:
    """Write the tables and the picture."""
    evidence = Evidence()
    backend.start(evidence.config.threads, "float32")
    tables = ROWS, CURVE, MIRRORED, COLOURED
    rows, curve, mirrored, coloured = ([row for row in each if evidence.has(row)] for each in tables)
    missing = dict.fromkeys(row.run for each in tables for row in each if not evidence.has(row))
    over = evidence.scored(list(dict.fromkeys([*rows, *curve, *mirrored])))
    columns = ", ".join(["gray", "truth", *(row.label for row in coloured)])
    parts = [
        f"{len(evidence.rows)} test photographs in {len(set(evidence.groups))} groups. "
        "Brackets contain 95 % intervals.",
        *([f"Not trained yet, and therefore without a row: {', '.join(missing)}."] if missing else []),
        scores_table(evidence, "", over, rows),
        "### Targets",
        targets_table(evidence, over),
        "### Learning curve",
        scores_table(evidence, "training photographs", over, curve),
        "### Mirrored maps",
        scores_table(evidence, "training", over, mirrored),
        *([gain(over, *mirrored)] if len(mirrored) == 2 else []),
        "### Pictures",
        f"Columns: {columns}. Rows: evenly over the quantiles of the error at temperature {DEFAULT:g}.",
        f"![{columns}]({PICTURE.name})",
        "\n".join(picture(evidence, coloured)),
    ]
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else f"# Colour, measured\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    files.write_text(PAGE, f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    or_stop(main)

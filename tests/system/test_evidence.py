"""The comparison of docs/color.md: its rows, runs and targets belong together."""

import re
from types import SimpleNamespace

import numpy as np
from tiny import ROOT

from docs import color
from docs.evidence import CONFIGURATION, Row
from pipeline.config import loading
from pipeline.evaluation.intervals import interval
from pipeline.evaluation.measures import METRICS
from pipeline.planning.settings import maps_of_run

RECOGNISED, DISTANCE = "recognised_top1_efficientnet_lite0", "frechet_efficientnet_lite0"
EVIDENCE = SimpleNamespace(recognised=RECOGNISED, distance=DISTANCE, training=lambda row: {"epochs": 7})


def test_every_experiment_is_trained_and_is_a_row():
    config = loading.load_config([ROOT / path for path in CONFIGURATION])
    runs = {row.run for row in (*color.ROWS, *color.CURVE, *color.MIRRORED, *color.COLOURED) if row.trained}
    listed = re.findall(r"^ON_\w+ := (.*)$", (ROOT / "Makefile").read_text().replace("\\\n", ""), re.MULTILINE)
    assert runs == set(config.experiments) == set(" ".join(listed).split())
    on_maps = {run for run in runs if maps_of_run(config, run)}
    assert runs - on_maps == {run for run in runs if run.startswith(("arch3", "base"))}


def over(**values):
    """Metrics of all rows, of 3 groups each; `values` replace those of the row of that key."""
    names = (*METRICS, RECOGNISED, DISTANCE)
    rows = {row: {name: np.full(4, 0.5) for name in names} for row in color.ROWS}
    for row, metrics in rows.items():
        metrics |= {name: np.array(found) for name, found in values.get(row.key, {}).items()}
    return rows


def between(*values):
    """The cell of a value and its interval, from the value and those without each group."""
    return "| {:.2f} ({:.2f} to {:.2f}) |".format(*interval(values)).replace("-", "−")


def test_a_target_is_judged_by_its_value_and_has_an_interval():
    rows = over(**{
        "gray": {"rmse": [10, 10, 10, 10], "auc_rebalanced": [0.6, 0.6, 0.6, 0.6], RECOGNISED: [0.4] * 4},
        "mean": {"rmse": [20, 20, 20, 20]},
        "mse": {"rmse": [18, 17, 18, 19], "auc": [0.4] * 4},
        "shipped-0.6": {"rmse": [10.6] * 4, "auc_rebalanced": [0.65, 0.64, 0.65, 0.66], "chroma_ratio": [0.8] * 4,
                        RECOGNISED: [0.7, 0.6, 0.7, 0.8]},
    })  # fmt: skip
    lines = color.targets_table(EVIDENCE, rows).splitlines()[2:]
    assert [line.split(" | ")[-1].strip("| ") for line in lines] == (
        ["met", "met", "met", "met", "missed", "met", "missed", "missed"]
    )
    assert between(5, 4, 5, 6) in lines[0]
    assert between(50, 100 / 3, 50, 200 / 3) in lines[3]
    assert "| 6.00 (6.00 to 6.00) |" in lines[4]
    assert between(10, 15, 10, 5) in lines[5]


def test_a_row_has_its_epochs_and_intervals():
    row = Row("`color`", "classes", 0.6)
    rows = {row: {name: np.array([0.5, 0.25, 0.75]) for name in (*color.METRICS, RECOGNISED)}}
    rows[row][DISTANCE] = np.array([3.0])
    heading, _, line = color.scores_table(EVIDENCE, "network", rows, [row]).splitlines()
    assert heading.startswith("| network | epochs | RMSE | CIEDE2000 |")
    assert line.startswith(f"| `color` | 7 {between(0.5, 0.25, 0.75)}") and line.endswith("| 3.00 |")
    assert row.key == "classes-0.6"

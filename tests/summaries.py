"""Results as `write_summary` reads them, made up, and the tables of the summary that it writes."""

import yaml

from pipeline.core import csv_files
from pipeline.evaluation import paired, scores


def put(results, run, validation, test=15.0, mean=17.0, info=None, dataset="sample", verdict=None, ends=None):
    """Write a results folder.

    info False: without run.yaml; verdict: that of differences.csv, which is not there without one; ends: those of the
    intervals of the model's RMSE.
    """

    def row(partition, answer, metric, value, n=9):
        low, high = ends if ends and (answer, metric) == ("model", "rmse") else ("", "")
        told = "" if ends else "no interval: 3 groups, fewer than 10"
        values = (run, dataset, partition, n, answer, metric, value, low, high, told)
        return dict(zip(scores.COLUMNS, values, strict=True))

    rows = [
        row("validation", "model", "rmse", validation),
        row("validation", "model", "accuracy", 0.61239),
        row("validation", "model", "ciede2000", 9.5),
        row("validation", "majority", "accuracy", 0.51),
        row("validation", "gray", "ciede2000", 11.0),
        row("validation", "mean", "ciede2000", 10.5),
        row("test", "model", "rmse", test),
        row("test", "model", "accuracy", 0.6),
        row("test", "model", "psnr", 23.456),
        row("test", "model", "ssim", 0.91234),
        row("test", "model", "ciede2000", 9.876),
        row("test", "gray", "rmse", 18.0),
        row("test", "gray", "psnr", 22.25),
        row("test", "gray", "ciede2000", 10.75),
        row("test", "embedding-shuffled", "rmse", 15.5),
        row("test", "mean", "rmse", mean),
        row("test", "majority", "accuracy", 0.52),
        *scores.paper_rows(run, dataset),
    ]
    (results / run).mkdir(parents=True)
    csv_files.write(results / run / "metrics.csv", scores.COLUMNS, rows)
    if verdict:
        values = (run, dataset, "test", 9, "model", "mean", "rmse", test - mean, "", "", verdict)
        compared = [dict(zip(paired.COLUMNS, values, strict=True))]
        compared.insert(0, compared[0] | {"partition": "validation", "verdict": "better", "value": -9.0})
        compared.insert(0, compared[0] | {"partition": "test", "against": "gray"})
        csv_files.write(results / run / "differences.csv", paired.COLUMNS, compared)
    if info is not False:
        values = {
            "run": run, "dataset": dataset, "status": "finished", "weights_evaluated": "best", "epochs": 7,
            "embedding": {"weights": "random", "seed": 0},
        }  # fmt: skip
        (results / run / "run.yaml").write_text(yaml.safe_dump(values | (info or {})))


def table(results, title="## Dataset sample"):
    """The rows of the Markdown table under a title, by heading."""
    text = (results / "summary.md").read_text()
    assert f"{title}\n" in text
    part = text.split(f"{title}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert len({len(row) for row in cells}) == 1
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]

"""A table of chosen runs marks a value as best only where the interval of every difference says so."""

import csv
import io

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from summaries import put
from tiny import refused

from pipeline.evaluation import per_image
from pipeline.results import publication_table
from stages.table import command

N = 30
EASY = np.random.default_rng(0).uniform(200, 260, N)


def run(results, name, mse, images="f1"):
    put(results, name, 14.0, test=float(np.sqrt(mse.mean())), ends=(13.0, 15.0))
    table = [{"id": str(i), "group": f"{i:02d}", "partition": "test"} for i in range(N)]
    measures = {"mse": mse, "accuracy": 0.6 + np.linspace(-0.01, 0.01, N), "ciede2000": mse / 20}
    per_image.write(results / name / "per_image.csv", name, "sample", table, {"model": measures})
    path = results / name / "run.yaml"
    record = yaml.safe_load(path.read_text()) | {"fingerprints": {"images": images, "split": "s"}}
    path.write_text(yaml.safe_dump(record))


@pytest.fixture
def results(tmp_path):
    """One run is better on every image than the others, which differ by noise."""
    noise = np.random.default_rng(1).normal(0, 20, N)
    for name, mse in (("mine_best", EASY - 30), ("base_lr1e-4", EASY), ("base_lr1e-3", EASY + noise - noise.mean())):
        run(tmp_path, name, mse)
    return tmp_path


def call(results, *arguments, names=("mine_best", "base_lr1e-4", "base_lr1e-3")):
    return CliRunner().invoke(command, [*(str(results / name) for name in names), *arguments])


def test_the_best_is_bold_only_where_it_is_clearly_better_than_every_other(results):
    found = publication_table.choose(
        results, ["mine_best", "base_lr1e-4", "base_lr1e-3"], ["rmse", "accuracy"], [], "test"
    )
    assert found.best == {"rmse": "mine_best"}
    found = publication_table.choose(results, ["base_lr1e-4", "base_lr1e-3"], ["rmse", "accuracy"], ["gray"], "test")
    assert found.best == {} and [row.name for row in found.rows] == ["base_lr1e-4", "base_lr1e-3", "gray"]
    assert found.rows[2].scores["rmse"].value == 18.0


def test_it_is_printed_for_markdown_latex_and_as_csv(results):
    error = np.sqrt((EASY - 30).mean())
    given = ("--metric", "rmse", "--metric", "psnr", "--baseline", "gray")
    lines = call(results, *given).stdout.splitlines()
    assert lines[2] == f"| mine_best | **{error:.2f} (13.00 to 15.00)** | 23.46 |"
    assert lines[5].startswith("| gray | 18.00")
    lines = call(results, *given, "--latex").stdout.splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}" and lines[-1] == r"\end{tabular}"
    assert lines[2] == r" & RMSE $\downarrow$ & PSNR $\uparrow$ \\"
    assert lines[4] == rf"mine\_best & \textbf{{{error:.2f} (13.00 to 15.00)}} & 23.46 \\"
    rows = list(csv.DictReader(io.StringIO(call(results, *given, "--csv").stdout)))
    assert float(rows[0]["rmse"]) == pytest.approx(error) and rows[0]["psnr_low"] == "" and rows[3]["name"] == "gray"


def test_what_cannot_stand_in_one_table_is_refused(results, tmp_path):
    run(results, "other", EASY, images="f2")
    refused(call(results, names=("mine_best", "other")), "other", "different images")
    refused(call(results, names=("nothing",)), "nothing")
    refused(call(results, "--metric", "beauty"), "'beauty'", "rmse")
    refused(call(results, "--metric", "rmse", "--baseline", "sepia"), "--baseline", "'sepia'")
    (tmp_path / "more" / "x").mkdir(parents=True)
    refused(CliRunner().invoke(command, [str(results / "other"), str(tmp_path / "more" / "x")]), "RESULTS")

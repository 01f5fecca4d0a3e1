"""What the workflow plans, or refuses, before there is any data."""

import pytest
from flow import RUN, Workflow

from pipeline.config import paper


@pytest.fixture
def workflow(tmp_path):
    return Workflow(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("base_lr0.0001", "'base_lr1e-4'"),
        ("base", "or <architecture>_lr<learning rate>"),
        ("bose_lr1e-4", "expected one of base, arch1, arch2, arch3, color, "),
    ],
)
def test_a_misspelt_run_gets_one_line(workflow, name, message):
    printed = workflow.run("-n", target=workflow.result(name), status=2)
    (line,) = [line for line in printed.splitlines() if "error" in line.lower()]
    assert line.startswith("error: ") and message in line
    assert "Traceback" not in printed


def test_a_wrong_configuration_gets_one_line(workflow):
    printed = workflow.run("-n", "--config", "treshold=3", status=2)
    assert "treshold: unknown key" in printed and "Traceback" not in printed


def test_a_duplicate_key_gets_one_line_that_names_its_place(workflow, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("training:\n  epochs: 2\n  epochs: 3\n")
    printed = workflow("-n", workflow.result(RUN), "--configfile", workflow.configfile, mine, status=2)
    assert f"error: {mine}: " in printed and "duplicate key 'epochs' in line 3" in printed
    printed = workflow.run("-n", "--config", "training={epochs: 2, epochs: 3}", status=2)
    assert "duplicate key 'epochs'" in printed and "Traceback" not in printed


def test_the_literal_target_works_on_the_default_configuration(tmp_path):
    printed = Workflow(tmp_path)("-n", "results/base_lr1e-4", "--config", f"data={tmp_path / 'none'}")
    assert "evaluate" in printed or "Nothing to be done" in printed


def test_paper_asks_for_all_eleven_runs(workflow, tmp_path):
    printed = workflow("-n", "paper", "--config", f"root={tmp_path}", f"data={tmp_path}")
    for name in paper.RUNS:
        assert f"{tmp_path}/results/{name}" in printed
    assert "embed 1" in " ".join(printed.split())


def test_a_grid_of_braces_may_give_defaults(workflow):
    names = [f"dot_lr1e-3_bs{size}_s{seed}" for size in (4, 5) for seed in (0, 1)]
    asked = workflow("-n", *map(workflow.result, [*names, "plain_s0"]), "--configfile", workflow.configfile)
    assert f"{workflow.result('dot_lr1e-3_bs4_s0')} is {workflow.result(RUN)}" in asked
    evaluated = {line.split("=")[1] for line in asked.splitlines() if line.startswith("    wildcards: run=")}
    assert evaluated == {"dot_lr1e-3", "dot_lr1e-3_s1", RUN, f"{RUN}_s1", "plain"}

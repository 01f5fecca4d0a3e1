"""A search, from its configuration to its table; killed and gone on with, it is the same."""

import sys
from unittest import mock

import pytest
import yaml
from click.testing import CliRunner
from tiny import DOT, refused, rows_of, tree
from tiny_training import Interrupted

from pipeline.training import search
from pipeline.training import train as training
from stages.__main__ import main

pytestmark = pytest.mark.usefixtures("unsaved")
SEARCH = {
    "extends": "plain",
    "space": {"learning_rate": [1e-3, 3e-2, 9e5], "training.mirror": [False, True]},
    "trials": 4,
    "sampler": "random",
    "seed": 1,
}


@pytest.fixture
def call(tmp_path, monkeypatch, keras, referenced):
    """Call the stage in a folder of `tmp_path`, with a prepared dataset."""
    monkeypatch.delenv("DEEPCOLOR_CONFIG", raising=False)

    def call(folder="here", **search):
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        plain = {"architecture": "dot", "learning_rate": 1e-3, "embedding": False, "batch_size": 2, "l2": 0}
        values = {
            "dataset": "tiny",
            "datasets": {"tiny": {"kind": "sample"}},
            "data": str(referenced.folder.parent),
            "architectures": {name: each.model_dump() for name, each in DOT.items()},
            "experiments": {"plain": {**plain, "training": {"epochs": 2, "checkpoint_seconds": 0}}},
            "searches": {"vivid": {**SEARCH, **search}},
            "evaluation": {"pictures": 2, "recognition": None},
        }
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
        return CliRunner().invoke(main, ["search", "vivid", "--config", str(tmp_path / "mine.yaml")])

    return call


def dying(steps):
    """Training of which the power fails after so many epochs in all."""
    left = [steps]

    class Dying(training.Recorder):
        def tell(self):
            left[0] -= 1
            if left[0] < 0:
                raise Interrupted
            super().tell()

    return Dying


def made(folder):
    """The files of the results, but for the search's own, and weights."""
    found = tree(folder)
    return {
        name: found[name]
        for name in found
        if name.endswith((".csv", ".md", ".h5", ".keras", ".npz")) and "times" not in name and "checkpoint" not in name
    }


@pytest.mark.slow
def test_a_search_killed_twice_equals_one_that_was_not(call, tmp_path, monkeypatch):
    monkeypatch.setattr(search, "BEFORE_PRUNING", 1)
    done = call("whole")
    assert done.exit_code == 0, done.stderr
    rows = rows_of(tmp_path / "whole" / "results" / "sweeps" / "vivid.csv")
    verdicts = [row["verdict"] for row in rows]
    assert len(rows) == 4 and verdicts[0] == "best" and any("diverged in epoch" in each for each in verdicts)
    assert any("pruned after epoch" in each for each in verdicts)
    assert [float(row["value"]) for row in rows if row["value"]] == sorted(
        float(row["value"]) for row in rows if row["value"]
    )
    assert f"| {rows[0]['combination']} |" in (tmp_path / "whole" / "results" / "summary.md").read_text()
    assert done.stdout.startswith(f"{rows[0]['combination']}: rmse ")
    for epochs in (1, 3):
        with mock.patch.object(training, "Recorder", dying(epochs)):
            assert isinstance(call("killed").exception, Interrupted)
    assert call("killed").exit_code == 0
    whole = made(tmp_path / "whole")
    assert made(tmp_path / "killed") == whole and len(whole) > 15
    again = call("killed")
    assert "trial-0" not in again.stderr and made(tmp_path / "killed") == whole


def test_a_search_that_cannot_be_is_refused(call, monkeypatch):
    refused(call(extends="wide"), "searches.vivid.extends: ")
    refused(call(space={"learning_rate": {"low": 1, "high": 0}}), "searches.vivid.space.learning_rate")
    monkeypatch.delitem(sys.modules, "pipeline.training.search", raising=False)
    monkeypatch.setitem(sys.modules, "optuna", None)
    refused(call(), "search: ", "`search`", "optuna")

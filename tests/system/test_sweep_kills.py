"""A sweep of 24 runs, and a search, that are killed again and again end with the same table, to the byte."""

import random
import signal
import subprocess
import sys
import time

import pytest
import yaml
from tiny import DOT, ROOT, tree, until

from pipeline.config.loading import load_config
from pipeline.config.sweeps import runs_of

# What the workflow does with a sweep, but in one process, which starts Keras once; and figures are empty files.
STAGES = """
import sys
from pathlib import Path
from pipeline.figures import style
from stages.__main__ import main

style.save = lambda figure, path, **options: [path.with_suffix(kind).touch() for kind in (".png", ".svg")]
config, name, *runs = sys.argv[1:]

def stage(*arguments):
    main([*arguments, "--config", config], standalone_mode=False)

for run in runs:
    stage("train", run)
    if not Path("results", run).exists():
        stage("evaluate", run)
stage("sweep" if runs else "search", name)
"""
PLAIN = {"architecture": "dot", "learning_rate": 1e-3, "embedding": False, "l2": 0}
MIRROR = {"training.mirror": [False, True]}


class Laboratory:
    """Stages in processes of their own."""

    def __init__(self, folder, data, **settings):
        self.folder, self.config = folder, folder / "mine.yaml"
        values = {
            "dataset": "tiny",
            "datasets": {"tiny": {"kind": "sample"}},
            "data": str(data),
            "architectures": {name: each.model_dump() for name, each in DOT.items()},
            "experiments": {"plain": {**PLAIN, "training": {"epochs": 12, "checkpoint_seconds": 0}}},
            "evaluation": {"pictures": 2, "recognition": None},
        }
        self.config.write_text(yaml.safe_dump({**values, **settings}))

    def start(self, name, *arguments):
        (self.folder / name).mkdir(exist_ok=True)
        return subprocess.Popen(
            [sys.executable, "-c", STAGES, self.config, *arguments], cwd=self.folder / name, text=True,
            env={"PYTHONPATH": str(ROOT), "PATH": ""}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self, name, *arguments):
        process = self.start(name, *arguments)
        printed = process.communicate(timeout=900)[1]
        assert process.returncode == 0, printed

    def kill(self, name, *arguments, after, delay):
        """Kill the process some time after a file exists."""
        process = self.start(name, *arguments)
        until(lambda: (self.folder / name / after).exists() or process.poll() is not None, 900)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        printed = process.communicate()[1]
        assert process.returncode == -signal.SIGKILL, printed


@pytest.mark.long
def test_a_sweep_killed_at_random_ends_with_the_same_ranking(tmp_path, referenced):
    grid = {"learning_rate": [1e-3, 1e-2, 1e-1, 9e5], **MIRROR}
    sweeps = {"rates": {"extends": "plain", "grid": grid, "seeds": [0, 1, 2]}}
    laboratory = Laboratory(tmp_path, referenced.folder.parent, sweeps=sweeps)
    runs = runs_of(load_config([laboratory.config]), "rates")
    assert len(runs) == 24
    laboratory.finish("whole", "rates", *runs)
    chance = random.Random(0)
    for done in sorted(chance.sample(range(24), 4)):
        after = f"models/{runs[done]}/training.json"
        laboratory.kill("killed", "rates", *runs, after=after, delay=chance.uniform(0, 1))
    laboratory.finish("killed", "rates", *runs)
    one, other = (tree(tmp_path / name / "results" / "sweeps") for name in ("whole", "killed"))
    assert one == other and one["rates.csv"].count(b"diverged") >= 2
    assert len({same(tmp_path / name, runs) for name in ("whole", "killed")}) == 1


@pytest.mark.long
def test_a_search_killed_at_random_ends_with_the_same_trials(tmp_path, referenced):
    space = {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, **MIRROR}
    searches = {"vivid": {"extends": "plain", "space": space, "trials": 6}}
    laboratory = Laboratory(tmp_path, referenced.folder.parent, searches=searches)
    laboratory.finish("whole", "vivid")
    chance = random.Random(0)
    for done in (1, 4):
        after = f"models/vivid.trial-{done}/history.csv"
        laboratory.kill("killed", "vivid", after=after, delay=chance.uniform(0, 1))
    laboratory.finish("killed", "vivid")
    one, other = (tree(tmp_path / name / "results" / "sweeps") for name in ("whole", "killed"))
    assert one["vivid.csv"] == other["vivid.csv"] and one["vivid.md"] == other["vivid.md"]
    assert one["vivid.csv"].count(b"vivid.trial-") >= 6
    trained = [path.parent.name for path in sorted((tmp_path / "whole").glob("models/*/training.json"))]
    assert len({same(tmp_path / name, trained) for name in ("whole", "killed")}) == 1


def same(folder, runs):
    """The weights of the runs, for comparison."""
    return tuple((folder / "models" / run / "best.weights.h5").read_bytes() for run in runs)

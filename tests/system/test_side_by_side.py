"""Two workflows side by side: the second waits for the first, and never takes away what the first has made."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from commands import invoke, prepared
from flow import RUN, Workflow
from tiny import ROOT, python, until

from pipeline.core import locks


@pytest.mark.long
@pytest.mark.parametrize("others", [f"{RUN}_s1", RUN], ids=["another run", "the same run"])
@pytest.mark.parametrize("after", ["at once", "images.zarr", "embeddings.json"])
def test_both_workflows_end_with_whole_results(tmp_path, monkeypatch, others, after):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setenv("DEEPCOLOR_PLUGINS", "toy_maps_plugin")
    flow = Workflow(tmp_path)
    values = yaml.safe_load(flow.configfile.read_text())
    flow.configfile.write_text(yaml.safe_dump({**values, "embedding": {"network": "toy", "weights": "random"}}))

    def start(name):
        command = [Path(sys.executable).with_name("snakemake"), "--cores", "2", flow.result(name)]
        with (tmp_path / f"{name}-{time.monotonic_ns()}.log").open("w") as log:
            options = ["--configfile", flow.configfile]
            return Path(log.name), subprocess.Popen([*command, *options], cwd=ROOT, stdout=log, stderr=log)

    calls = [start(RUN)]
    if after != "at once":
        until((tmp_path / "data" / "tiny" / after).exists, 120)
    calls.append(start(others))
    for log, process in calls:
        assert process.wait(600) == 0, log.read_text()
        assert "Removing output" not in log.read_text() and "error" not in log.read_text().lower()
    assert python("-m", "stages", "verify", tmp_path).returncode == 0
    for name in {RUN, others}:
        assert "Nothing to be done" in flow.run("-n", target=flow.result(name))


def test_a_stage_of_a_workflow_waits_for_the_lock_and_leaves_what_was_made_meanwhile(tmp_path, monkeypatch):
    with prepared(tmp_path, {"dataset": "tiny", "datasets": {"tiny": {"kind": "sample"}}}):
        table = tmp_path / "data" / "tiny" / "splits.csv"
        monkeypatch.setenv("DEEPCOLOR_WORKFLOW", locks.name_of(os.getpid()))
        monkeypatch.setenv("DEEPCOLOR_SINCE", str(time.time() - 60))
        held, free = threading.Event(), threading.Event()

        def hold():
            with locks.held(table):
                held.set()
                free.wait(60)

        other = threading.Thread(target=hold)
        other.start()
        held.wait(60)
        threading.Timer(1.5, free.set).start()
        before = table.read_bytes(), table.stat().st_mtime_ns
        began = time.monotonic()
        done = invoke("split")
        other.join()
        assert done.exit_code == 0 and time.monotonic() - began > 1
        assert "is in use by process" in done.stderr and "made it meanwhile" in done.stderr
        assert (table.read_bytes(), table.stat().st_mtime_ns) == before
        # What the workflow itself was asked to make again is older than the workflow.
        monkeypatch.setenv("DEEPCOLOR_SINCE", str(time.time() + 60))
        assert "train 9" in invoke("split").stderr and table.stat().st_mtime_ns > before[1]

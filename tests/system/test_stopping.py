"""Stages refuse to share a lock, and stop on a signal or when their workflow has ended."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from tiny import DOT, ROOT, python, tree

from pipeline.core import locks
from pipeline.core.errors import InputError
from pipeline.training import checkpoints

HOLD = """
import sys, time
from pathlib import Path
from pipeline.core.locks import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""

# Calls of stages in one process, whose start takes longer than the training.
CALLS = """
import json, sys
from stages.__main__ import main
for arguments in map(json.loads, sys.argv[1:]):
    main(arguments, standalone_mode=False)
    sys.modules["keras"].utils.clear_session(free_memory=False)  # as in a new process: Keras counts what it names
"""
BOTH = "m", "whole"  # the models of a training that was stopped, and of one that was not


def start(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        # A job in the background would ignore Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler), **options,
    )  # fmt: skip


def test_the_second_is_told_who_holds_it_and_a_dead_holder_holds_nothing(tmp_path):
    target = tmp_path / "new" / "images.zarr"
    other = start("-c", HOLD, target)
    assert other.stdout.readline() == "held\n"
    with pytest.raises(InputError, match=rf"is in use by process {other.pid} on {socket.gethostname()} \("):
        locks.held(target).__enter__()
    done = python("-m", "stages", "ingest", "--images", target)
    assert done.returncode == 2 and f"in use by process {other.pid}" in done.stderr and done.stderr.count("\n") == 1
    other.kill()
    other.wait()
    with locks.held(target):
        target.mkdir()
    assert [path.name for path in target.parent.iterdir() if path.name.endswith("holder")] == []


@pytest.fixture
def training(dataset, tmp_path):
    """The command of a long training without checkpoints by time."""
    config = {
        "architectures": {name: value.model_dump() for name, value in DOT.items()},
        "training": {"epochs": 2000, "checkpoint_seconds": 3600},
    }
    (tmp_path / "tiny.yaml").write_text(json.dumps(config))
    paths = ("--images", dataset.images.path, "--embeddings", dataset.embeddings.path, "--splits", dataset.splits)
    return (
        "-m",
        "stages",
        "train",
        "dot_lr1e-3",
        "--config",
        tmp_path / "tiny.yaml",
        *paths,
        "--model",
        tmp_path / "m",
    )


def wait_for(process, text):
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"{text!r} was never printed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "word", "backend"),
    [
        (signal.SIGTERM, 143, "stopped", "tensorflow"),
        pytest.param(signal.SIGINT, 130, "inter", "tensorflow", marks=pytest.mark.long),
        pytest.param(signal.SIGINT, 130, "inter", "jax", marks=pytest.mark.long),
    ],
)
def test_training_that_is_told_to_stop_saves_what_is_done_first(
    training, tmp_path, number, status, word, backend, monkeypatch
):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    process = start(*training)
    wait_for(process, "epoch 3 of 2000")
    process.send_signal(number)
    began = time.monotonic()
    rest = process.stdout.read()
    assert process.wait() == status and time.monotonic() - began < 10
    assert f"train: {word}" in rest and "Traceback" not in rest
    epochs = checkpoints.load(tmp_path / "m" / "checkpoint.npz").state["epochs"]
    assert epochs >= 3
    more = [[*map(str, training[2:-1]), str(tmp_path / to), "--set", f"training.epochs={epochs + 1}"] for to in BOTH]
    done = python("-c", CALLS, *map(json.dumps, more))
    assert done.returncode == 0 and done.stderr.count(f"resuming after epoch {epochs}") == 1, done.stderr
    for name in ("best.weights.h5", "last.weights.h5", "history.csv"):
        one, other = ((tmp_path / folder / name).read_bytes() for folder in BOTH)
        assert one == other
    one, other = (checkpoints.load(tmp_path / folder / "checkpoint.npz") for folder in BOTH)
    for mine, theirs in zip(one.optimizer, other.optimizer, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.fixture
def workflow():
    """A process that stands in for a workflow, and the environment of its stages."""
    process = start("-c", "import time; time.sleep(3600)")
    caller = locks.name_of(process.pid)
    yield process, {**os.environ, "DEEPCOLOR_WORKFLOW": caller}
    process.kill()
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, pytest.param(200, marks=pytest.mark.long)])
def test_a_stage_that_is_stopped_while_it_starts_ends_soon(training, tmp_path, workflow, kills):
    draws = np.random.default_rng(0)
    undisturbed = time.monotonic()
    process = start(*training, env=workflow[1])
    wait_for(process, "epoch 1 of 2000")
    starting = time.monotonic() - undisturbed
    process.kill()
    for _ in range(kills):
        process = start(*training, env=workflow[1])
        time.sleep(draws.uniform(0, starting))
        number = draws.choice([signal.SIGTERM, signal.SIGINT])
        process.send_signal(number)
        began = time.monotonic()
        printed = process.communicate(timeout=60)[0]
        assert time.monotonic() - began < 10, printed
        # Python has a traceback of its own while it starts, and TensorFlow where it imports from C.
        assert not [file for file in re.findall(r'File "([^"]+)"', printed) if "/pipeline/" in file], printed
        too_early = number == signal.SIGINT and printed.startswith("Fatal Python error: init_import_site")
        assert process.returncode in (-number, 128 + number) or too_early, printed


def test_a_clock_that_is_set_ends_no_workflow(monkeypatch, workflow):
    caller = workflow[1]["DEEPCOLOR_WORKFLOW"]
    assert (
        caller
        == python("-c", f"from pipeline.core import locks; print(locks.name_of({workflow[0].pid}))").stdout.strip()
    )
    told = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: told(process) + 3600)
    assert not locks.is_gone(caller)
    assert locks.is_gone(f"{caller}1")


@pytest.mark.slow
def test_a_stage_stops_when_its_workflow_is_gone(training, tmp_path, workflow):
    process = start(*training, env=workflow[1])
    wait_for(process, "epoch 2 of 2000")
    workflow[0].kill()
    workflow[0].wait()
    assert "train: stopped" in process.stdout.read()
    assert process.wait(20) == 143
    assert "checkpoint.npz" in tree(tmp_path / "m")

"""One writer at a time, and stages that stop when they are told to, or when their workflow is gone."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import DOT, ROOT, python, tree

from pipeline.core import files, locks
from pipeline.core.errors import InputError
from pipeline.training import checkpoints
from stages import started

HOLD = """
import sys, time
from pathlib import Path
from pipeline.core.locks import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


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
    with pytest.raises(
        InputError, match=rf"is in use by process {other.pid} on {socket.gethostname()} \(.*; wait until"
    ):
        locks.held(target).__enter__()
    done = python("-m", "stages", "ingest", "--images", target)
    assert done.returncode == 2 and f"in use by process {other.pid}" in done.stderr and done.stderr.count("\n") == 1
    other.kill()
    other.wait()
    with locks.held(target):
        target.mkdir()
    assert [path.name for path in target.parent.iterdir() if path.name.endswith("holder")] == []


def test_where_nothing_was_written_nothing_is_left(tmp_path):
    with pytest.raises(RuntimeError), locks.held(tmp_path / "a" / "b" / "c"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_lock_is_free_again_after_its_block(tmp_path):
    for _ in range(2):
        with locks.held(tmp_path / "x"):
            (tmp_path / "x").touch()
    with locks.held(tmp_path / "x"), locks.held(tmp_path / "y"):
        pass


@pytest.fixture
def training(dataset, tmp_path):
    """Start `python -m stages train` for many epochs, with no checkpoint by the clock; its command."""
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
    assert f"train: {word}" in rest and "goes on from there" in rest and "Traceback" not in rest
    epochs = checkpoints.load(tmp_path / "m" / "checkpoint.npz").state["epochs"]
    assert epochs >= 3
    done = python(*training, "--set", f"training.epochs={epochs + 1}")
    assert done.returncode == 0 and f"going on after epoch {epochs}" in done.stderr
    whole = python(*training[:-1], tmp_path / "whole", "--set", f"training.epochs={epochs + 1}")
    assert whole.returncode == 0
    for name in ("best.weights.h5", "last.weights.h5", "history.csv"):
        assert (tmp_path / "m" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    one, other = (checkpoints.load(tmp_path / folder / "checkpoint.npz") for folder in ("m", "whole"))
    for mine, theirs in zip(one.optimizer, other.optimizer, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.fixture
def workflow():
    """A process in the place of a workflow, and the environment that its stages are called with."""
    process = start("-c", "import time; time.sleep(600)")
    caller = locks.name_of(process.pid)
    yield process, {**os.environ, "DEEPCOLOR_WORKFLOW": caller}
    process.kill()
    process.wait()


def shared(workflow):
    """The processes that fork for its stages: its forks have the same command line."""
    caller = workflow[1]["DEEPCOLOR_WORKFLOW"]
    found = [p for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [])[-1:] == [caller]]
    return [p for p in found if p.parent() not in found]


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


def wait_until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_stage_stops_when_its_workflow_is_gone(training, tmp_path, workflow):
    process = start(*training, env=workflow[1])
    wait_for(process, "epoch 2 of 2000")
    workflow[0].kill()
    workflow[0].wait()
    assert "train: stopped" in process.stdout.read()
    assert process.wait(20) == 143
    assert "checkpoint.npz" in tree(tmp_path / "m")
    wait_until(lambda: not shared(workflow))
    place = started.folder(workflow[1]["DEEPCOLOR_WORKFLOW"])
    assert place.name.startswith("deepcolor-") and not place.exists()


def test_stages_of_a_workflow_share_one_start_and_write_the_same_bytes(training, tmp_path, workflow):
    first = start(*training, "--set", "training.tensorboard=true", env=workflow[1])
    wait_for(first, "epoch 3 of 2000")
    (process,) = shared(workflow)
    first.terminate()
    assert "train: stopped" in first.stdout.read() and first.wait() == 143
    epochs = checkpoints.load(tmp_path / "m" / "checkpoint.npz").state["epochs"]
    events = EventAccumulator(str(tmp_path / "m" / "tensorboard" / "train")).Reload()
    assert [event.step for event in events.Tensors("epoch_loss")] == list(range(epochs))
    more = ("--set", f"training.epochs={epochs + 1}")
    second = start(*training, *more, env=workflow[1])
    told = second.stdout.read()
    assert second.wait() == 0 and f"going on after epoch {epochs}" in told and "of processor time" in told
    refused = start("-m", "stages", "train", "dot", env=workflow[1])
    told = refused.stdout.read()
    assert refused.wait() == 2 and told.startswith("error: run name 'dot'") and told.count("\n") == 1
    assert shared(workflow) == [process]
    assert python(*training[:-1], tmp_path / "alone", *more).returncode == 0
    for name in ("best.weights.h5", "last.weights.h5", "history.csv", "training.json"):
        assert (tmp_path / "m" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_collecting_joins_the_start_of_others_and_makes_none_for_itself(workflow):
    def collected():
        code = "from stages.started import hand_over; print(hand_over(['collect', 'dot']))"
        return start("-c", code, env=workflow[1]).stdout.read().splitlines()[-1]

    assert collected() == "None" and not shared(workflow)
    assert not started.folder(workflow[1]["DEEPCOLOR_WORKFLOW"]).exists()
    assert start("-m", "stages", "train", "dot", env=workflow[1]).wait() == 2
    assert collected() == "2" and len(shared(workflow)) == 1


def test_a_stage_that_is_killed_takes_its_fork_along(training, tmp_path, workflow):
    process = start(*training, env=workflow[1])
    wait_for(process, "epoch 1 of 2000")
    fork = psutil.Process(files.read_json(tmp_path / ".m.holder")["process"])
    assert fork.pid != process.pid and fork.is_running()
    process.kill()
    wait_until(lambda: not fork.is_running())
    assert len(shared(workflow)) == 1

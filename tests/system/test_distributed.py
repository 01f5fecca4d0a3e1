"""Stages on a dask cluster whose scheduler and workers are separate processes on loopback."""

import os
import re
import shutil
import signal
import socket
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from clusters import Cluster, Ingest
from image_files import put
from tiny import ROOT, photographs, python, tree, write_kaggle

from pipeline.core import cluster as core_cluster
from pipeline.core import tasks
from pipeline.core.errors import InputError
from pipeline.evaluation import sousa

# Holds a worker in mid-shard: what it wrote is there, the record of it is not.
HOLD = """
import os, time
from pathlib import Path
from pipeline.core import files
folder = Path(os.environ["HOLD"])
real = files.kept = getattr(files, "kept", files.write_json)  # `dask worker` runs this file twice
def write_json(path, value):
    if path.parent.suffix == ".shards":
        (folder / f"held-{os.getpid()}").touch()
        while not (folder / "go").exists():
            time.sleep(0.02)
    real(path, value)
files.write_json = write_json
"""
OTHER_NUMPY = """
from pipeline.core import versions
from importlib.metadata import version
versions.version = lambda name: "0.0.1" if name == "numpy" else version(name)
"""
DIES = """
import os
from pipeline.dataset import ingest
ingest._ingest_shard = lambda *_: os._exit(1)
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A scheduler without workers; `cluster` starts and ends those."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.close()


@pytest.fixture
def cluster(shared, tmp_path, monkeypatch):
    before = len(shared.processes)
    monkeypatch.setattr(shared, "folder", tmp_path)
    yield shared
    shared.close(shared.processes[before:])


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The source and the result of a call without a cluster."""
    folder = tmp_path_factory.mktemp("local")
    source = write_kaggle(folder / "archive", *photographs(40), [17])
    stage = Ingest(folder, source)
    stage.source = source
    done = python(*stage.command("made"))
    assert done.returncode == 0, done.stderr
    return stage


@pytest.fixture
def stage(local, tmp_path):
    return Ingest(tmp_path, local.source)


def finish(process, status=0, seconds=20):
    printed = process.communicate(timeout=seconds)[0]
    assert process.returncode == status, printed
    assert "Traceback" not in printed and "distributed" not in printed and "tornado" not in printed
    return printed


def only_error(process):
    expected = ("waiting for a worker", "checking arrays")
    (line,) = [line for line in finish(process, 2).splitlines() if not any(words in line for words in expected)]
    assert line.startswith("error: ")
    return line


@pytest.mark.slow
def test_a_killed_worker_and_one_that_joins_late_give_the_same_bytes(cluster, stage, local):
    process = stage.start(cluster)
    assert "waiting for a worker" in process.stdout.readline()
    first = cluster.worker("--no-nanny", preload=HOLD)
    cluster.held()
    cluster.worker()
    first.kill()
    assert "5 of 5" in finish(process)
    assert stage.made() == local.made()


@pytest.mark.long
def test_after_a_scheduler_is_killed_and_started_anew_the_same_command_goes_on(tmp_path, stage, local):
    cluster = Cluster(tmp_path)
    try:
        cluster.worker("--no-nanny", preload=HOLD)
        process = stage.start(cluster)
        cluster.held()
        cluster.scheduler.kill()
        cluster.scheduler.wait()
        line = only_error(process)
        assert cluster.address in line and "run the same command again" in line
        cluster.start_scheduler()
        cluster.worker()
        finish(stage.start(cluster))
        assert stage.made() == local.made()
    finally:
        cluster.close()


@pytest.mark.slow
def test_a_stage_that_is_told_to_stop_leaves_quietly_and_the_next_goes_on(cluster, stage, local):
    cluster.worker("--no-nanny", preload=HOLD)
    process = stage.start(cluster)
    cluster.held()
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    printed = finish(process, 143)
    checked, last = printed.splitlines()
    assert checked.startswith("checking arrays") and last.startswith("ingest: stopped; ")
    assert time.monotonic() - began < 10
    again = stage.start(cluster)
    cluster.folder.joinpath("go").touch()
    finish(again)
    assert stage.made() == local.made()


def test_a_worker_with_another_version_is_refused_even_if_it_joins_late(cluster, stage):
    first = cluster.worker("--no-nanny", preload=HOLD)
    process = stage.start(cluster)
    cluster.held()
    cluster.worker("--no-nanny", preload=OTHER_NUMPY)
    first.kill()
    line = only_error(process)
    assert re.search(r"the worker tcp://\S+ on \S+ has numpy 0\.0\.1 instead of [0-9.]+", line)
    assert not [name for name in stage.made() if name.endswith(".json") and ".shards" in name]


@pytest.mark.long
def test_a_worker_that_cannot_import_deepcolor_is_named(cluster, stage, tmp_path):
    cluster.worker(path=tmp_path)
    line = only_error(stage.start(cluster))
    assert re.search(r"tcp://127\.0\.0\.1:\d+ cannot import DeepColor \(No module named 'pipeline'\)", line)


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc")
def test_a_worker_that_does_not_see_the_files_is_refused(cluster, stage):
    cluster.worker()
    # The same path is another folder in every process.
    process = stage.start(cluster, "made", "--set", f"data=/proc/self/cwd/{stage.folder / 'made'}")
    line = only_error(process)
    assert re.search(r"images\.zarr is not visible to the worker tcp://\S+ on ", line)


@pytest.mark.long
def test_photographs_are_judged_and_read_on_the_cluster(cluster, stage, tmp_path):
    put(tmp_path / "photographs", "a.png", "b.png", "c/d.png")
    (tmp_path / "photographs" / "none.png").write_bytes(b"none")
    values = {"kind": "folder", "path": os.path.relpath(tmp_path / "photographs", ROOT)}
    stage.config.write_text(yaml.safe_dump({"dataset": "tiny", "datasets": {"tiny": values}}))
    cluster.worker()
    finish(stage.start(cluster))
    assert python(*stage.command("local")).returncode == 0
    assert stage.made() == stage.made("local")
    assert b"unreadable" in stage.made()["tiny/report.csv"]


def test_an_address_without_a_scheduler_gets_one_line(monkeypatch):
    monkeypatch.setattr(core_cluster, "CONNECT_SECONDS", 0.5)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(InputError, match=rf"scheduler: .*{address} \("):
            tasks.run_tasks(print, [()], what="x", scheduler=address)
    with pytest.raises(InputError, match=r"none://host:1 \(.*none"):
        tasks.run_tasks(print, [()], what="x", scheduler="none://host:1")
    for wrong in ("processes", "tcp://host", "host:8786", "tcp://a b:1"):
        with pytest.raises(InputError, match=f"scheduler: expected threads, .*, received '{wrong}'"):
            tasks.run_tasks(print, [()], what="x", scheduler=wrong)


def test_local_calls_do_not_import_distributed():
    text = (
        "import sys; from pipeline.core import tasks; from pipeline.dataset import ingest; "
        "from pipeline.embedding import embed; "
        "assert tasks.run_tasks(abs, [(-1,), (2,)], what='x') == [1, 2]; "
        "assert not {'distributed', 'keras', 'tensorflow'} & set(sys.modules)"
    )
    done = python("-c", text)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_a_task_that_ends_every_worker_ends_the_stage(cluster, stage):
    cluster.worker("--nworkers", "1", preload=DIES)
    line = only_error(stage.start(cluster))
    assert "one task ended 4 workers" in line


@pytest.mark.long
def test_embeddings_are_the_same_bytes_from_here_and_from_workers(cluster, tmp_path):
    def call(stage, name, *options):
        folder = os.path.relpath(tmp_path / name, ROOT)
        sets = [f"data={folder}", "limit=12", "images_per_shard=8", "embedding.batch_size=4", "threads=1"]
        done = python("-m", "stages", stage, *[part for each in sets for part in ("--set", each)], *options)
        assert done.returncode == 0, done.stderr
        return done.stderr

    call("ingest", "here")
    call("embed", "here")
    call("features", "here")
    there = shutil.copytree(tmp_path / "here", tmp_path / "there") / "sample"
    for kind in ("embeddings", "features"):
        shutil.rmtree(there / f"{kind}.zarr")
        shutil.rmtree(there / f"{kind}.shards")
        (there / f"{kind}.json").unlink()
    workers = [cluster.worker("--no-nanny") for _ in range(2)]
    for stage in ("embed", "features"):
        assert "(2 written)" in call(stage, "there", "--scheduler", cluster.address)
    for worker in workers:  # each has had its share
        assert any("libtensorflow" in mapped.path for mapped in psutil.Process(worker.pid).memory_maps())
    assert tree(tmp_path / "there") == tree(tmp_path / "here")


@pytest.mark.slow
def test_photographs_coloured_by_example_have_the_same_bytes(cluster):
    cluster.worker()
    lightness, ab = (sousa.reduced(each) for each in photographs(4))
    calls = [(lightness[place], lightness[-1], ab[-1], (0, place)) for place in range(2)]
    task = partial(sousa.coloured, colours=4)
    here, there = (
        tasks.run_tasks(task, calls, what="photographs", scheduler=scheduler)
        for scheduler in ("synchronous", cluster.address)
    )
    np.testing.assert_array_equal(here, there)

"""Dask processes on loopback, and a stage that works on them."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import yaml
from tiny import ROOT, tree


class Cluster:
    """Dask processes on one address, in a different folder from the stages."""

    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.processes = []
        self.scheduler = self.start_scheduler()

    def start_scheduler(self):
        port = self.address.rpartition(":")[2]
        return self._start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard", ready="Scheduler at")

    def worker(self, *options, preload="", path=ROOT, ready="Registered to"):
        """Start a worker and wait until it has joined."""
        if preload:
            hook = self.folder / f"hook{len(self.processes)}.py"
            hook.write_text(preload)
            options += ("--preload", str(hook))
        options = options or ("--no-nanny",)
        asked = ("worker", self.address, "--nthreads", "1", "--no-dashboard", *options)
        return self._start(*asked, ready=ready, path=path)

    def _start(self, *arguments, ready, path=ROOT):
        log = self.folder / f"{len(self.processes)}.log"
        environment = {**os.environ, "PYTHONPATH": str(path), "HOLD": str(self.folder)}
        with log.open("w") as file:
            process = subprocess.Popen(
                [Path(sys.executable).with_name("dask"), *arguments], cwd=self.folder, env=environment,
                stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        wait_until(lambda: ready in log.read_text(), log)
        return process

    def held(self):
        wait_until(lambda: list(self.folder.glob("held-*")), "a worker in mid-shard")

    def close(self, processes=None):
        for process in self.processes if processes is None else processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # a worker's nanny and the worker
                process.wait()


def wait_until(true, what, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what.read_text() if isinstance(what, Path) else f"{what}: did not happen"
        time.sleep(0.05)


class Ingest:
    """Ingest 40 images in 5 shards, from and to relative paths; `local` holds the result without a cluster."""

    def __init__(self, folder, source):
        self.folder = Path(os.path.relpath(folder, ROOT))
        self.config = folder / "config.yaml"
        path = os.path.relpath(source.path, ROOT)
        datasets = {"tiny": {"kind": "kaggle", "path": path}}
        self.config.write_text(yaml.safe_dump({"dataset": "tiny", "datasets": datasets, "images_per_shard": 8}))

    def command(self, name, *options):
        return ["-m", "stages", "ingest", "--config", self.config, "--set", f"data={self.folder / name}", *options]

    def start(self, cluster, name="made", *options):
        command = [sys.executable, *map(str, self.command(name, "--scheduler", cluster.address, *options))]
        process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        cluster.processes.append(process)
        return process

    def made(self, name="made"):
        return tree(ROOT / self.folder / name)

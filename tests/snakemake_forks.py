"""Calls of snakemake in forks of a process that has imported it and the library: that takes longer than a dry run.

`call` starts this file, and gives it the calls as lines of JSON, one after the other.
"""

import atexit
import functools
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What a workflow imports.
IMPORTED = (
    "smart_open", "snakemake.cli", "snakemake.storage", "zarrs", "pipeline.core.plugins", "pipeline.planning.check",
    "pipeline.planning.due", "pipeline.planning.estimate",
)  # fmt: skip


@functools.cache
def _server():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-P", __file__], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    atexit.register(process.communicate)
    return process


def call(arguments, cwd):
    """Call snakemake with this process' environment; return its exit code and what it printed."""
    server = _server()
    with tempfile.TemporaryFile("w+") as printed:
        path = f"/proc/{os.getpid()}/fd/{printed.fileno()}"
        print(json.dumps([arguments, str(cwd), path, {**os.environ}]), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        return status, printed.read()


def serve():
    """Fork for each call, and print its exit code."""
    for module in IMPORTED:
        import_module(module)
    from snakemake import cli

    cli.get_argument_parser()  # imports Snakemake's plugins
    gc.freeze()  # or the first collection of each fork would copy all pages
    for line in sys.stdin:
        if child := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
            continue
        signal.alarm(300)
        arguments, cwd, printed, environment = json.loads(line)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(printed, os.O_WRONLY | os.O_APPEND), 1)
        os.dup2(1, 2)
        cli.main(arguments)


if __name__ == "__main__":
    serve()

"""One start of Python and TensorFlow for all stages that a workflow calls, on Linux.

Importing TensorFlow takes seconds. The first stage of a workflow that needs it starts a process that imports it and
waits; every stage hands it the command, and it forks. The fork has the stage's arguments, environment, folder, standard
output and error, and imports this project's own code anew. The stage waits, passes signals on, and ends as the fork
does. The process ends with its workflow. Where there is none, or it cannot be had, a stage runs in its own process.
"""

import contextlib
import fcntl
import gc
import hashlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

from pipeline import WORKFLOW

STAGES = ("embed", "train", "evaluate")
GUESTS = ("collect",)  # need no TensorFlow, but most of the other packages: for them alone no process is started
# What these stages import besides this project's own code.
PACKAGES = (
    "tensorflow", "keras", "cv2", "dask.threaded", "filelock", "fsspec", "matplotlib.pyplot", "pandas", "PIL.Image",
    "psutil", "pydantic", "rich.progress", "scipy.stats", "skimage.color", "skimage.metrics", "yaml", "zarr",
)  # fmt: skip
SECONDS_TO_BIND = 20.0

Request = dict[str, Any]


def hand_over(arguments: Sequence[str]) -> int | None:
    """Have the workflow's process run a stage.

    Args:
        arguments: the stage's name and its own arguments.

    Returns:
        The exit status, or None where the stage is to run here.
    """
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if sys.platform != "linux" or not arguments or arguments[0] not in (*STAGES, *GUESTS) or backend != "tensorflow":
        return None
    workflow = os.environ.get(WORKFLOW, "")
    if workflow.split(" ")[0] != socket.gethostname() or set(arguments) & {"-h", "--help"}:
        return None
    try:
        connection = _connect(workflow, start=arguments[0] in STAGES)
        request = {"arguments": list(arguments), "environment": dict(os.environ), "folder": str(Path.cwd())}
        message = json.dumps(request).encode()
        socket.send_fds(connection, [struct.pack("!Q", len(message))], [0, 1, 2])
        connection.sendall(message)
        answer = connection.makefile("rb")
        process = int(answer.readline())
    except (OSError, ValueError):
        return None
    return _wait(answer, process)


def _wait(answer: Any, process: int) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: _pass_on(process, number))
    told = answer.readline()
    if not told:
        _pass_on(process, signal.SIGTERM)
        sys.stderr.write("error: the process that the stage ran in was lost; run the same command again\n")
        return 1
    status = int(told)
    if status < 0:
        with contextlib.suppress(OSError):  # SIGKILL's cannot be set
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def _pass_on(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def folder(workflow: str) -> Path:
    """Where the workflow's process listens: a folder for this user, workflow, Python and working folder."""
    name = hashlib.sha256(os.fsencode(f"{workflow} {sys.executable} {Path.cwd()}")).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"deepcolor-{os.getuid()}-{name}")


def _connect(workflow: str, *, start: bool) -> socket.socket:
    """Connect to the workflow's process, and start it where there is none.

    Raises:
        OSError: there is none, and it is not to be started, or cannot.
    """
    place = folder(workflow)
    if start:
        place.mkdir(mode=0o700, exist_ok=True)
    found = place.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o777 != 0o700:
        raise PermissionError(f"{place}: expected a folder that only this user can use")
    with (place / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return _connected(place)
        except OSError:
            if not start:
                raise
        (place / "socket").unlink(missing_ok=True)
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "stages.started", place, workflow],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        end = time.monotonic() + SECONDS_TO_BIND
        while True:
            try:
                return _connected(place)
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)


def _connected(place: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(place / "socket"))
    except OSError:
        connection.close()
        raise
    return connection


def _import() -> None:
    from pipeline.networks.backend import quiet

    with quiet():
        for name in PACKAGES:
            import_module(name)
    gc.collect()
    gc.freeze()  # else each fork's collector goes through all that was imported, and has the system copy it


class _Forker:
    """Forks for every request, and tells each one's process number and, in the end, status."""

    def __init__(self, listener: socket.socket) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = listener
        self._running: dict[ForkProcess, socket.socket] = {}
        self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def serve(self, gone: Callable[[], bool]) -> None:
        """Serve until the workflow is gone."""
        while self._running or not gone():
            for key, _ in self._selector.select(timeout=1):
                key.data()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._fork(connection))

    def _fork(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        try:
            request, streams = _receive(connection)
        except (OSError, ValueError, struct.error):
            connection.close()
            return
        # Such a process ends without taking apart all that was imported, which would take half a second.
        process = ForkProcess(target=self._run, args=(request, streams, connection))
        try:
            process.start()
        except OSError:  # no room for one more: the stage runs in its own process
            connection.close()
            return
        finally:
            for stream in streams:
                os.close(stream)
        self._running[process] = connection
        with contextlib.suppress(OSError):
            connection.sendall(f"{process.pid}\n".encode())
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._abandoned(process))
        self._selector.register(process.sentinel, selectors.EVENT_READ, lambda: self._ended(process))

    def _run(self, request: Request, streams: list[int], connection: socket.socket) -> None:
        """The stage, in the fork."""
        self._selector.close()
        for other in (self._listener, connection, *self._running.values()):
            other.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        _become(request)
        for module in [name for name in sys.modules if name.split(".")[0] in ("pipeline", "stages")]:
            del sys.modules[module]
        import_module("stages.__main__").main(prog_name="python -m stages")

    def _abandoned(self, process: ForkProcess) -> None:
        """End a fork whose stage was killed."""
        if process in self._running:  # else it has ended in the same moment
            self._selector.unregister(self._running[process])
            process.kill()

    def _ended(self, process: ForkProcess) -> None:
        self._selector.unregister(process.sentinel)
        process.join()
        connection = self._running.pop(process)
        with contextlib.suppress(KeyError):
            self._selector.unregister(connection)
        with contextlib.suppress(OSError):
            connection.sendall(f"{process.exitcode}\n".encode())
        connection.close()
        process.close()


def _receive(connection: socket.socket) -> tuple[Request, list[int]]:
    header, streams, _, _ = socket.recv_fds(connection, 8, 3)
    (size,) = struct.unpack("!Q", header)
    message = b""
    while len(message) < size:
        if not (more := connection.recv(size - len(message))):
            raise ValueError("expected a whole request")
        message += more
    return json.loads(message), streams


def _serve(place: Path, workflow: str) -> None:
    from pipeline.core.files import remove
    from pipeline.core.locks import is_gone

    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored, nothing tells how a fork ended
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(place / "socket"))
    listener.listen(64)
    _import()
    _Forker(listener).serve(lambda: is_gone(workflow))
    remove(place)


def _become(request: Request) -> None:
    """Take on what a stage's own process would have."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv[1:] = request["arguments"]


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2])

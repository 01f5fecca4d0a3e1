"""One writer at a time: who works on something holds its lock, and is named to whoever comes second."""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from pipeline import WORKFLOW
from pipeline.core import files
from pipeline.core.errors import InputError

ENDING_SECONDS = 60.0  # what saving a checkpoint may take, and more


@contextlib.contextmanager
def held(target: Path) -> Iterator[None]:
    """Hold the lock of a file or folder for the block.

    It is the operating system's lock on ``.<name>.lock`` beside the target, so it ends with the process that holds it,
    however that ends. ``.<name>.holder`` says who holds it. A stage whose workflow was killed is about to end: it is
    waited for.

    Raises:
        InputError: another process holds it.
    """
    if target.name in ("", ".."):
        target = Path(os.path.normpath(target.absolute()))
    if not target.name:
        raise InputError(f"{target}: expected a file or folder below it; name another")
    lock, holder = (target.with_name(f".{target.name}.{kind}") for kind in ("lock", "holder"))
    made = [folder for folder in target.parents if not folder.exists()]
    before = lock.exists()
    with contextlib.ExitStack() as stack:

        def leave_nothing(kind: type[BaseException] | None, *_: object) -> None:
            """Where nothing was written, remove the lock and the folders made for it."""
            refused = kind is not None and issubclass(kind, InputError) and not before
            if refused or not target.exists():
                lock.unlink(missing_ok=True)
            if not target.exists():
                for folder in made:
                    with contextlib.suppress(OSError):
                        folder.rmdir()

        stack.push(leave_nothing)
        lock.parent.mkdir(parents=True, exist_ok=True)
        patience = ENDING_SECONDS if lock.exists() and _is_ending(holder) else 0
        try:
            with files.naming(target):
                stack.enter_context(FileLock(lock, timeout=patience))
        except Timeout:
            stack.pop_all()
            raise InputError(
                f"{target} is in use by {_told(holder)}; wait until that ends, or stop it, then run the command again"
            ) from None
        stack.callback(holder.unlink, missing_ok=True)
        command = " ".join(sys.argv[1:]) or Path(sys.argv[0]).name
        told = {"process": os.getpid(), "host": socket.gethostname(), "command": command}
        with contextlib.suppress(OSError):  # a full disk is told by what cannot do without it
            files.write_json(holder, {**told, "workflow": os.environ.get(WORKFLOW, "")})
        yield


@contextlib.contextmanager
def in_turn(lock: Path) -> Iterator[None]:
    """Hold a lock for the block; who holds it already is waited for.

    Raises:
        OSError: the file of that name cannot be made; it is named as `lock` has it.
    """
    with contextlib.ExitStack() as stack:
        with files.naming(lock):
            stack.enter_context(FileLock(lock))
        yield


def name_of(process: int) -> str:
    """What tells a process from all others, as "host number identity".

    The identity is psutil's, of the time from the machine's start to the process': the clock may be set meanwhile.

    Raises:
        psutil.NoSuchProcess: there is none.
    """
    return f"{socket.gethostname()} {process} {hash(psutil.Process(process))}"


def is_gone(workflow: str) -> bool:
    """Whether a workflow, named by `name_of`, ran on this machine and runs no more."""
    host, *named = workflow.split(" ")
    if host != socket.gethostname() or len(named) != 2:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        number = int(named[0])
        return name_of(number) != workflow or psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    return True


def _is_ending(holder: Path) -> bool:
    return is_gone(str(files.read_if_whole(holder).get("workflow", "")))


def _told(holder: Path) -> str:
    found = files.read_if_whole(holder)
    return f"process {found['process']} on {found['host']} ({found['command']})" if found else "another process"

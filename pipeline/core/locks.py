"""Locks that admit one writer at a time and name the current one."""

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline import WORKFLOW
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.core.text import printable

ENDING_SECONDS = 60.0  # enough to save a checkpoint
WAITING_SECONDS = 1.0  # between two looks at a signal while another process holds a lock

log = logging.getLogger("deepcolor")


@contextlib.contextmanager
def held(target: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a file or folder for the block.

    The operating system locks ``.<name>.lock`` beside the target, so the lock ends with its process in every case.
    ``.<name>.holder`` names the process. If that is a stage whose workflow was killed, wait for it to end.

    Args:
        target: the file or folder, which need not exist.
        wait: whether to wait for another process that holds it.

    Raises:
        InputError: another process holds it, and `wait` is false.
    """
    if target.name in ("", ".."):
        target = Path(os.path.normpath(target.absolute()))
    if not target.name:
        raise InputError(f"{target}: expected a file or folder; choose another path")
    lock, holder = (target.with_name(f".{target.name}.{kind}") for kind in ("lock", "holder"))
    new_folders = [folder for folder in target.parents if not folder.exists()]
    had_lock = lock.exists()
    with contextlib.ExitStack() as stack:

        def leave_no_lock(kind: type[BaseException] | None, *_: object) -> None:
            """If nothing was written, remove the lock, while it is held: then nobody else holds the removed file."""
            refused = kind is not None and issubclass(kind, InputError) and not had_lock
            if refused or not target.exists():
                lock.unlink(missing_ok=True)

        def leave_no_folders(*_: object) -> None:
            """If nothing was written, remove the folders created for it."""
            if not target.exists():
                for folder in new_folders:
                    with contextlib.suppress(OSError):
                        folder.rmdir()

        stack.push(leave_no_folders)
        lock.parent.mkdir(parents=True, exist_ok=True)
        patience = ENDING_SECONDS if lock.exists() and _is_ending(holder) else 0
        with files.naming(target):
            while True:
                try:
                    stack.enter_context(FileLock(lock, timeout=patience))
                    break
                except Timeout:
                    if not os.path.lexists(lock):  # such as below /proc
                        raise InputError(
                            f"{target}: expected a place where files can be created, but {lock.parent} takes none; "
                            "choose another path"
                        ) from None
                    if not wait:
                        raise InputError(
                            f"{target} is in use by {_described(holder)}; wait for it to end or stop it, then run the "
                            "command again"
                        ) from None
                    if patience != WAITING_SECONDS:
                        log.info("%s is in use by %s; waiting for it to end", target, _described(holder))
                    patience = WAITING_SECONDS
        stack.push(leave_no_lock)
        stack.callback(holder.unlink, missing_ok=True)
        command = printable(" ".join(sys.argv[1:]) or Path(sys.argv[0]).name)
        facts = {"process": os.getpid(), "host": socket.gethostname(), "command": command}
        with contextlib.suppress(OSError):  # a full disk is reported where the stage writes
            files.write_json(holder, {**facts, "workflow": os.environ.get(WORKFLOW, "")})
        yield


@contextlib.contextmanager
def in_turn(lock: Path) -> Iterator[None]:
    """Wait for a lock and hold it for the block; raise OSError if its file cannot be created."""
    with contextlib.ExitStack() as stack:
        with files.naming(lock):
            stack.enter_context(FileLock(lock))
        yield


def name_of(process: int) -> str:
    """Identify a running process uniquely, as "host number identity".

    The identity counts from the machine's start (psutil), so setting the clock does not change it.

    Raises:
        psutil.NoSuchProcess: the process does not exist.
    """
    import psutil

    return f"{socket.gethostname()} {process} {hash(psutil.Process(process))}"


def is_gone(workflow: str) -> bool:
    """Whether a workflow, named by `name_of`, ran on this machine and has ended."""
    host, *named = workflow.split(" ")
    if host != socket.gethostname() or len(named) != 2:
        return False
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        number = int(named[0])
        return name_of(number) != workflow or psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    return True


def _is_ending(holder: Path) -> bool:
    return is_gone(str(files.read_if_whole(holder).get("workflow", "")))


def _described(holder: Path) -> str:
    facts = files.read_if_whole(holder)
    return f"process {facts['process']} on {facts['host']} ({facts['command']})" if facts else "another process"

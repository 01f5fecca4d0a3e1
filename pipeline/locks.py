"""One writer at a time: who works on something holds its lock, and is named to whoever comes second."""

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline import files
from pipeline.errors import InputError


@contextlib.contextmanager
def held(target: Path) -> Iterator[None]:
    """Hold the lock of a file or folder for the block.

    It is the operating system's lock on ``.<name>.lock`` beside the target, so it ends with the process that holds it,
    however that ends. ``.<name>.holder`` says who holds it.

    Raises:
        InputError: another process holds it.
    """
    lock, holder = (target.with_name(f".{target.name}.{kind}") for kind in ("lock", "holder"))
    made = [folder for folder in target.parents if not folder.exists()]
    with contextlib.ExitStack() as stack:
        stack.callback(_leave_nothing, target, lock, made)
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            stack.enter_context(FileLock(lock, timeout=0))
        except Timeout:
            stack.pop_all()
            raise InputError(
                f"{target} is in use by {_told(holder)}; wait until that ends, or stop it, then run the command again"
            ) from None
        stack.callback(holder.unlink, missing_ok=True)
        command = " ".join(sys.argv[1:]) or Path(sys.argv[0]).name
        files.write_json(holder, {"process": os.getpid(), "host": socket.gethostname(), "command": command})
        yield


def _leave_nothing(target: Path, lock: Path, made: Sequence[Path]) -> None:
    """Where nothing was written, remove the lock beside it and the folders made for it."""
    if not target.exists():
        lock.unlink(missing_ok=True)
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _told(holder: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {found['process']} on {found['host']} ({found['command']})"
    return "another process"

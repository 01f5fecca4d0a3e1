"""Temporary files of fixed names, each written by one process at a time; those of killed processes are removed."""

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 60.0  # seconds to wait for another process; longer than a photograph takes to be written
_BETWEEN = 0.05  # seconds


@contextlib.contextmanager
def created(path: Path) -> Iterator[None]:
    """Create a file for the block, which writes it and renames it; if the block fails, remove it.

    The file is locked meanwhile, so a file without a lock is one that a killed process left; it is replaced.
    """
    held = _new(path)
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(held)


def _new(path: Path) -> int:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            # Unlike tempfile, this applies the process's umask.
            held = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        except FileExistsError:
            _remove_left_behind(path, deadline)
            continue
        if _locked(held) and _leads_to(path, held):
            return held
        os.close(held)  # another process took it for left behind before it was locked


def _remove_left_behind(path: Path, deadline: float) -> None:
    """Remove a file, or a link, once no process holds its lock or `deadline` has passed."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            path.unlink()
            return
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    except PermissionError:  # as root left it
        path.unlink(missing_ok=True)
        return
    try:
        while not _locked(file) and time.monotonic() < deadline:
            time.sleep(_BETWEEN)
        if _leads_to(path, file):
            path.unlink(missing_ok=True)
    finally:
        os.close(file)


def _leads_to(path: Path, file: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.lstat(), os.fstat(file))
    return False


def _locked(file: int) -> bool:
    """Lock an open file unless another process holds it; disks and systems without locks count as free."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        pass
    return True

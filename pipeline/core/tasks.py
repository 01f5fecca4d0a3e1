"""Independent tasks, run by dask in this process or on a cluster."""

import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from pipeline.core import cluster
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress, Silent

_ADDRESS = re.compile(r"[a-z]+://([^\s/:\[\]]+|\[[^\s/\[\]]+\]):[0-9]{1,5}", re.ASCII)

_ending = threading.Event()


def run_tasks(
    function: Callable[..., Any],
    arguments: Sequence[tuple[Any, ...]],
    *,
    what: str,
    scheduler: str = "threads",
    workers: int = 1,
    networks: bool = False,
    progress: Progress | None = None,
) -> list[Any]:
    """Call ``function(*a)`` for every `a` of `arguments` and return the results in that order.

    All results are kept in memory, so a task should write large data and return a summary. On a cluster, paths among
    the arguments are made absolute, workers must see those that exist, and running tasks are finished even if this
    call ends. In this process, no task is running when this returns, not even after Ctrl-C.

    Args:
        what: name of the work in the progress display.
        scheduler: "threads", "synchronous", or the address of a dask scheduler.
        workers: number of concurrent tasks with threads.
        networks: whether the results also depend on the versions of the network packages.

    Raises:
        InputError: the scheduler does not exist, or the cluster cannot complete the work.
    """
    try:
        check_scheduler(scheduler)
    except ValueError as error:
        raise InputError(f"scheduler: {error}") from None
    if not arguments:
        return []
    with (progress or Silent()).track(what, len(arguments)) as advance:
        if "://" in scheduler:
            return cluster.run(function, arguments, what=what, address=scheduler, networks=networks, advance=advance)
        import dask.local  # slow to import, and planning does without
        import dask.threaded
        from dask.callbacks import Callback

        # Given the scheduler's name, dask would import `distributed` first.
        local = dask.threaded.get if scheduler == "threads" else dask.local.get_sync
        _ending.clear()
        tasks = [dask.delayed(partial(function, *call), pure=False)() for call in arguments]
        with ThreadPoolExecutor(workers) as pool, Callback(posttask=lambda *_: advance()):
            try:
                return list(dask.compute(*tasks, scheduler=local, pool=pool))
            except BaseException:
                _ending.set()
                raise


def ending() -> bool:
    """Whether `run_tasks` in this process was interrupted and is waiting for its running tasks."""
    return _ending.is_set()


def check_scheduler(value: str) -> str:
    """Return `value` if it is threads, synchronous or the address of a dask scheduler; else raise ValueError."""
    if value not in ("threads", "synchronous") and not _ADDRESS.fullmatch(value):
        raise ValueError(
            "expected threads, synchronous or the address of a dask scheduler such as tcp://host:8786, "
            f"received {value!r}"
        )
    return value

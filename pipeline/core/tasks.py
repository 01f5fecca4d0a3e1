"""Independent tasks, run by dask: in this process, or by the workers of a cluster."""

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
    """Call ``function(*a)`` for every `a` of `arguments`; the results in that order.

    Results are kept, so a task that handles much data writes it and returns a summary. On a cluster the paths among
    the arguments are made absolute, and a worker must see those that exist; a task under way is computed to its end
    whatever happens here. In this process, no task is at work any more when this ends, not even after Ctrl-C.

    Args:
        what: what the progress display calls this work.
        scheduler: "threads", "synchronous", or the address of a dask scheduler.
        workers: how many tasks run at a time, with threads.
        networks: whether the versions of the networks' packages decide the results, besides those of array work.

    Raises:
        InputError: there is no such scheduler, or the cluster cannot do the work.
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
        import dask.local  # takes long, and planning needs none of it
        import dask.threaded
        from dask.callbacks import Callback

        # By its name, dask would look for it with `distributed`, and import that first.
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
    """Whether a call of `run_tasks` in this process is to end, and waits for those of its tasks that are at work."""
    return _ending.is_set()


def check_scheduler(value: str) -> str:
    """`value`, if it says how dask runs tasks: in threads, one after the other, or by the scheduler at an address.

    Raises:
        ValueError: it does not.
    """
    if value not in ("threads", "synchronous") and not _ADDRESS.fullmatch(value):
        raise ValueError(
            "expected threads, synchronous or the address of a dask scheduler such as tcp://host:8786, "
            f"received {value!r}"
        )
    return value

"""Independent tasks, run by dask."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import dask
from dask.callbacks import Callback

from pipeline.errors import InputError
from pipeline.progress import Progress, Silent

SCHEDULERS = ("threads", "synchronous")


def run_tasks(
    function: Callable[..., Any],
    arguments: Sequence[tuple[Any, ...]],
    *,
    what: str,
    scheduler: str = "threads",
    workers: int = 1,
    progress: Progress | None = None,
) -> list[Any]:
    """Call ``function(*a)`` for every `a` of `arguments`; the results in that order.

    Results are kept, so a task that handles much data writes it and returns a summary.

    Args:
        what: what the progress display calls this work.
        scheduler: one of `SCHEDULERS`.
        workers: how many tasks run at a time, with threads.

    Raises:
        InputError: there is no such scheduler.
    """
    if scheduler not in SCHEDULERS:
        raise InputError(f"scheduler: expected one of {', '.join(SCHEDULERS)}, received {scheduler!r}")
    if not arguments:
        return []
    local: Literal["threads", "synchronous"] = "threads" if scheduler == "threads" else "synchronous"
    tasks = [dask.delayed(function, pure=False)(*[dask.delayed(a, traverse=False) for a in args]) for args in arguments]
    with (progress or Silent()).track(what, len(tasks)) as advance, _Finished(advance, function):
        return list(dask.compute(*tasks, scheduler=local, num_workers=workers))


class _Finished(Callback):
    """Advances once per finished call of the function."""

    def __init__(self, advance: Callable[..., None], function: Callable[..., Any]) -> None:
        super().__init__(posttask=self._after)
        self._advance = advance
        self._name = getattr(function, "__name__", "")

    def _after(self, key: Any, result: Any, dsk: Any, state: Any, worker: Any) -> None:
        if str(key).startswith(self._name):
            self._advance()

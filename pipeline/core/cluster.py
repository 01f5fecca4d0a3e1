"""Tasks on the workers of a dask cluster."""

import contextlib
import dataclasses
import logging
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.core import versions
from pipeline.core.errors import InputError
from pipeline.core.progress import Advance

CONNECT_SECONDS = 5.0
RETRIES = 2  # of a task that failed other than by bad input

log = logging.getLogger("deepcolor")


def run(
    function: Callable[..., Any],
    arguments: Sequence[tuple[Any, ...]],
    *,
    what: str,
    address: str,
    networks: bool,
    advance: Advance,
) -> list[Any]:
    """See `pipeline.core.tasks.run_tasks`."""
    from distributed import CancelledError, KilledWorker, as_completed

    paths: list[Path] = []
    calls = [_absolute(call, paths) for call in arguments]
    existing = sorted({path for path in paths if path.exists()})
    task = partial(_compute, function, versions.versions(networks=networks), networks, existing, socket.gethostname())
    with _client(address) as client:
        try:
            _check_workers(client, what, address)
            futures = client.map(task, calls, key=what.replace(", ", "-"), pure=False, retries=RETRIES)
            for future in as_completed(futures, loop=client.loop):
                if isinstance(answer := future.exception() or future.result(), Exception):
                    raise answer
                advance()
            return [future.result() for future in futures]
        except KilledWorker as error:
            problem = (
                f"one task ended {error.allowed_failures + 1} workers of {address}, most recently "
                f"{error.last_worker.address}; check its log and memory"
            )
        except CancelledError:
            problem = f"the scheduler at {address} is gone; start it and its workers, then run the same command again"
    raise InputError(f"{what}: {problem}; finished work is kept")


@contextlib.contextmanager
def _client(address: str) -> Iterator[Any]:
    import distributed

    # This module reports what matters; these loggers would print more through their own handlers.
    for name in ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False, direct_to_workers=False)
    except Exception as error:  # from sockets, TLS or an unknown protocol
        raise InputError(
            f"scheduler: no dask scheduler answers at {address} ({error}); start one, or correct the address"
        ) from None
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=2)


def _check_workers(client: Any, what: str, address: str) -> None:
    """Refuse workers that cannot import this package: they would exit silently on receiving a task."""
    if not client.scheduler_info()["workers"]:
        log.warning("%s: waiting for a worker to join %s", what, address)
        client.wait_for_workers(1)
    answers = client.run(import_module, __name__, on_error="return")
    if unable := [worker for worker, answer in answers.items() if isinstance(answer, Exception)]:
        raise InputError(
            f"{', '.join(unable)} cannot import DeepColor ({answers[unable[0]]}); start workers in the repository's "
            "folder with `python -m dask worker`, see docs/cluster.md"
        )


def _absolute(value: Any, paths: list[Path]) -> Any:
    """Return `value` with absolute paths, also within tuples and dataclasses, and add the paths to `paths`."""
    if isinstance(value, Path):
        paths.append(value.absolute())
        return value.absolute()
    if isinstance(value, tuple):
        return tuple(_absolute(each, paths) for each in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: _absolute(each, paths) for name, each in fields.items()})
    return value


def _compute(
    function: Callable[..., Any],
    expected: Mapping[str, str],
    networks: bool,
    paths: Sequence[Path],
    host: str,
    call: tuple[Any, ...],
) -> Any:
    """Make the call in a worker, after checking that it gives the same result as in the stage.

    Returns:
        The result, or an InputError, returned because dask repeats a task that raises.
    """
    from distributed import get_worker

    worker = f"the worker {get_worker().address} on {socket.gethostname()}"
    own = versions.versions(networks=networks)
    if other := [f"{name} {own.get(name)} instead of {v}" for name, v in expected.items() if own.get(name) != v]:
        return InputError(f"{worker} has {', '.join(other)}; start it in the environment of this stage")
    for path in paths:
        if not path.exists():
            return InputError(f"{path} is not visible to {worker}; {host} and the workers must share a file system")
    try:
        return function(*call)
    except InputError as error:
        return error

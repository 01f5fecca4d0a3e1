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
    there = sorted({path for path in paths if path.exists()})
    task = partial(_compute, function, versions.versions(networks=networks), networks, there, socket.gethostname())
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
                f"the same task ended {error.allowed_failures + 1} workers of {address}, the last one "
                f"{error.last_worker.address}; check its log and its memory"
            )
        except CancelledError:
            problem = f"the scheduler at {address} is gone; start it and its workers, then run the same command again"
    raise InputError(f"{what}: {problem}; finished work is kept")


@contextlib.contextmanager
def _client(address: str) -> Iterator[Any]:
    import distributed

    # This module reports what matters. distributed gives these loggers handlers of their own.
    for name in ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False, direct_to_workers=False)
    except Exception as error:  # of sockets, of TLS, or an unknown protocol
        raise InputError(
            f"scheduler: no dask scheduler answers at {address} ({error}); start one, or name another address"
        ) from None
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=2)


def _check_workers(client: Any, what: str, address: str) -> None:
    """Refuse workers that cannot import this package: given a task of it, they would end without a word."""
    if not client.scheduler_info()["workers"]:
        log.warning("%s: no worker has joined %s yet; waiting for one", what, address)
        client.wait_for_workers(1)
    found = client.run(import_module, __name__, on_error="return")
    if lacking := [worker for worker, answer in found.items() if isinstance(answer, Exception)]:
        raise InputError(
            f"{', '.join(lacking)} cannot import this DeepColor ({found[lacking[0]]}); start workers in the "
            "repository's folder with `python -m dask worker`, see docs/cluster.md"
        )


def _absolute(value: Any, paths: list[Path]) -> Any:
    """`value` with the paths in it, in tuples and dataclasses too, made absolute; they are added to `paths`."""
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
    asker: str,
    call: tuple[Any, ...],
) -> Any:
    """Run in a worker: make the call if this worker, whenever it joined, gives the same result as any other.

    Returns:
        The result, or the InputError that was raised: a task that raises is run again.
    """
    from distributed import get_worker

    me = f"the worker {get_worker().address} on {socket.gethostname()}"
    mine = versions.versions(networks=networks)
    if other := [f"{name} {mine.get(name)} instead of {v}" for name, v in expected.items() if mine.get(name) != v]:
        return InputError(f"{me} computes with {', '.join(other)}; start it in the environment that this stage runs in")
    for path in paths:
        if not path.exists():
            return InputError(f"{path}: {me} does not see this path; {asker} and the workers must share a file system")
    try:
        return function(*call)
    except InputError as error:
        return error

"""Independent tasks, run by dask: in this process, or by the workers of a cluster."""

import contextlib
import dataclasses
import logging
import pickle
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pipeline.core import versions
from pipeline.core.errors import InputError
from pipeline.core.progress import Advance, Progress, Silent

CONNECT_SECONDS = 5.0
RECONNECT_SECONDS = 60.0

_ADDRESS = re.compile(r"[a-z]+://([^\s/:\[\]]+|\[[^\s/\[\]]+\]):[0-9]{1,5}", re.ASCII)

log = logging.getLogger("deepcolor")
_busy: Counter[str] = Counter()
_counting = threading.Lock()
_ending = threading.Event()


def run_tasks(
    function: Callable[..., Any],
    arguments: Sequence[tuple[Any, ...]],
    *,
    what: str,
    scheduler: str = "threads",
    workers: int = 1,
    target: Path | None = None,
    networks: bool = False,
    progress: Progress | None = None,
) -> list[Any]:
    """Call ``function(*a)`` for every `a` of `arguments`; the results in that order.

    Results are kept, so a task that handles much data writes it and returns a summary. On a cluster the paths among
    the arguments are made absolute, and a worker must see those that are there. Else no task is at work any more when
    this ends, by an exception or by Ctrl-C too.

    Args:
        what: what the progress display calls this work.
        scheduler: "threads", "synchronous", or the address of a dask scheduler.
        workers: how many tasks run at a time, with threads.
        target: what the tasks write. On a cluster, tasks that an earlier call left at work on it are waited for.
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
            return _Cluster(scheduler, what, target).run(
                [_packed(function, call, target, networks) for call in arguments], advance
            )
        import dask.local  # takes long, and planning needs none of it
        import dask.threaded
        from dask.callbacks import Callback

        name = function.__name__

        def finished(key: Any, *_: Any) -> None:
            if str(key).startswith(name):
                advance()

        # By its name, dask would look for it with `distributed`, and import that first.
        local = dask.threaded.get if scheduler == "threads" else dask.local.get_sync
        _ending.clear()
        tasks = [
            dask.delayed(function, pure=False)(*[dask.delayed(a, traverse=False) for a in call]) for call in arguments
        ]
        with ThreadPoolExecutor(workers) as pool, Callback(posttask=finished):
            try:
                return list(dask.compute(*tasks, scheduler=local, pool=pool))
            except BaseException:
                _ending.set()
                raise


def ending() -> bool:
    """Whether a call of `run_tasks` in this process is to end, and waits for those of its tasks that are at work."""
    return _ending.is_set()


class _Lost(Exception):
    """The scheduler is gone, and what it knew of the tasks with it."""


class _Cluster:
    """Runs packed calls on the workers of a scheduler, through its restarts."""

    def __init__(self, address: str, what: str, target: Path | None) -> None:
        self._address = address
        self._what = what
        self._target = target.absolute() if target else None

    def run(self, calls: Sequence[bytes], advance: Advance) -> list[Any]:
        results: dict[int, Any] = {}
        patience = CONNECT_SECONDS
        while len(results) < len(calls):
            with self._client(patience) as client:
                try:
                    self._await_workers(client)
                    for number, result in self._finished(
                        client, {number: call for number, call in enumerate(calls) if number not in results}
                    ):
                        results[number] = result
                        advance()
                except _Lost:
                    log.warning(
                        "%s: the dask scheduler at %s is gone; waiting up to %.0f s for it to come back",
                        self._what, self._address, RECONNECT_SECONDS,
                    )  # fmt: skip
            patience = RECONNECT_SECONDS
        return [results[number] for number in range(len(calls))]

    @contextlib.contextmanager
    def _client(self, patience: float) -> Iterator[Any]:
        import distributed

        # What matters is said by this class. distributed gives these loggers handlers of their own.
        for name in ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        try:
            client = distributed.Client(self._address, timeout=patience, set_as_default=False, direct_to_workers=False)
        except Exception as error:  # of sockets, of TLS, or an unknown protocol
            raise InputError(
                f"scheduler: there is no answer from a dask scheduler at {self._address} ({error}); start one, or name "
                "another address; what is finished is kept"
            ) from None
        try:
            yield client
        finally:
            with contextlib.suppress(Exception):
                client.close(timeout=2)

    def _await_workers(self, client: Any) -> None:
        """Say so where there are none; wait until what an earlier call left at work on the target has ended."""
        said = ""
        while True:
            found = _asked(lambda: client.run(pickle.loads, _call(_busy_with, str(self._target)), on_error="return"))
            if not found:
                log.warning("%s: no worker has joined %s yet; waiting for one", self._what, self._address)
            at_work = [worker for worker, busy in found.items() if busy is True]
            if self._target is None or not at_work:
                return
            if said != (said := ", ".join(at_work)):
                log.warning("%s: waiting for what an earlier call left at work on %s", self._what, said)
            time.sleep(0.5)

    def _finished(self, client: Any, calls: Mapping[int, bytes]) -> Iterator[tuple[int, Any]]:
        """Numbers and results, as they come.

        Raises:
            _Lost: the connection broke.
        """
        from distributed import as_completed

        # `pickle.loads` is known to every worker, whereas one that cannot import what it is asked to run would end.
        futures = _asked(
            lambda: client.map(pickle.loads, list(calls.values()), key=self._what.replace(", ", "-"), pure=False)
        )
        numbers = {future.key: number for future, number in zip(futures, calls, strict=True)}
        for future in as_completed(futures, loop=client.loop):
            if future.status == "error":
                raise self._explained(client, future.exception().with_traceback(future.traceback())) from None
            if future.status != "finished":
                raise _Lost
            yield numbers[future.key], _asked(future.result)

    def _explained(self, client: Any, error: BaseException) -> BaseException:
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            return InputError(
                f"{self._what}: the same task ended {error.allowed_failures + 1} workers of {self._address}, the last "
                f"one {error.last_worker.address}; has it too little memory? its own log tells"
            )
        # The other one: a DeepColor from before there was this function.
        if isinstance(error, ModuleNotFoundError) or (isinstance(error, AttributeError) and "'_compute'" in str(error)):
            found = _asked(lambda: client.run(pickle.loads, b"cpipeline\n__version__\n.", on_error="return"))
            lacking = [worker for worker, answer in found.items() if isinstance(answer, Exception)]
            return InputError(
                f"a worker of {self._address} cannot import DeepColor ({error}){': ' if lacking else ''}"
                f"{', '.join(lacking)}; start workers in the repository's folder with `python -m dask worker`, see "
                "docs/cluster.md"
            )
        return error


def _asked(question: Callable[[], Any]) -> Any:
    """The answer of a client.

    Raises:
        _Lost: the connection broke.
    """
    from distributed import CancelledError

    try:
        return question()
    except (OSError, TimeoutError, CancelledError):
        raise _Lost from None


class _Call:
    """Pickled, a call that whoever unpickles it makes."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._call


def _call(function: Callable[..., Any], *arguments: Any) -> bytes:
    return pickle.dumps(_Call(function, *arguments))


def _packed(function: Callable[..., Any], arguments: tuple[Any, ...], target: Path | None, networks: bool) -> bytes:
    """A call as bytes: what decides its result is compared before the function and its arguments are unpickled."""
    paths: list[Path] = []
    inner = pickle.dumps((function, _absolute(arguments, paths)))
    there = [path for path in paths if path.exists()]
    return _call(
        _compute,
        inner,
        versions.versions(networks=networks),
        networks,
        there,
        str(target and target.absolute()),
        _here(),
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


def _here() -> str:
    return socket.gethostname()


def _compute(
    inner: bytes, expected: Mapping[str, str], networks: bool, paths: Sequence[Path], target: str, asker: str
) -> Any:
    """Run in a worker: make the call, if this worker is one that gives the same result as any other."""
    from distributed import get_worker

    me = f"the worker {get_worker().address} on {_here()}"
    mine = versions.versions(networks=networks)
    if differing := [name for name, version in expected.items() if mine.get(name) != version]:
        told = ", ".join(f"{name} {mine.get(name)} instead of {expected[name]}" for name in differing)
        raise InputError(f"{me} computes with {told}; start it in the environment that this stage runs in")
    for path in paths:
        if not path.exists():
            raise InputError(
                f"{path}: expected a file system that {asker} and the workers share, but {me} does not see this path"
            )
    function, arguments = pickle.loads(inner)  # noqa: S301
    with _counting:
        _busy[target] += 1
    try:
        return function(*arguments)
    finally:
        with _counting:
            _busy[target] -= 1


def _busy_with(target: str) -> bool:
    """Run in a worker: whether a task is writing there."""
    return _busy[target] > 0


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

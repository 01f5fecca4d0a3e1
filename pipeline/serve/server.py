"""The page's server, on this machine alone."""

import contextlib
import logging
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from pipeline.core.errors import InputError
from pipeline.serve.app import make_app
from pipeline.serve.guard import is_own
from pipeline.serve.queue import Limits, Queue
from pipeline.serve.runs import ServedRun
from pipeline.serve.worker import Worker

MOST_CONNECTIONS = 100

log = logging.getLogger("deepcolor")


def serve(
    runs: list[ServedRun],
    host: str,
    port: int,
    limits: Limits,
    *,
    embedding_weights: Path | None = None,
    threads: int = 2,
    skip_unusable: bool = False,
    ready: Callable[[str, list[ServedRun]], None] = lambda url, runs: None,
) -> None:
    """Serve the page until KeyboardInterrupt, or whatever SIGTERM raises; then nothing of any photograph is left.

    Args:
        runs: to choose from; the networks of the first are loaded before anything is answered.
        host: an address of this machine that only itself can reach.
        port: 0 for any that is free.
        limits: of what is taken.
        embedding_weights: see `pipeline.colorize.colorizer.Colorizer.load`.
        threads: also see there; the bytes depend on it.
        skip_unusable: leave out a first run whose networks cannot be loaded, with a warning, if there is another.
        ready: told the page's address, and the runs that it offers.

    Raises:
        InputError: the address is not this machine's own, the port is in use, or a run cannot be used.
    """
    with (
        _listening(host, port) as listener,
        tempfile.TemporaryDirectory(prefix="deepcolor-serve-", ignore_cleanup_errors=True) as scratch,
        Worker(
            Path(scratch), max_megapixels=limits.max_megapixels, embedding_weights=embedding_weights, threads=threads
        ) as worker,
    ):
        runs = list(runs)
        while True:
            try:
                worker.load(runs[0].folder)
                break
            except InputError as error:
                if not skip_unusable or len(runs) == 1:
                    raise
                log.warning("left out: %s", error)
                del runs[0]
        with Queue(Path(scratch), worker.colour, [run.folder for run in runs], limits) as queue:
            app = make_app(queue, runs)
            try:
                server = uvicorn.Server(configured(app))
                ready(f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/", runs)
                server.run(sockets=[listener])
            finally:
                worker.stop()


def configured(app: ASGIApp) -> uvicorn.Config:
    """How the server runs: quiet, without what it may find installed, and ending within two seconds."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # errors are told by `_unexpected`
    return uvicorn.Config(
        app,
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=2,
    )


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    if not is_own(host):
        raise InputError(
            f"--host: expected 127.0.0.1, ::1 or localhost, received {host!r}; to reach the page from another machine, "
            "see docs/serve.md"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()
        except OSError as error:
            raise InputError(
                f"--port: expected a free port of {host}, received {port}: {error.strerror}; name another, or 0 for any"
            ) from None
        yield listener

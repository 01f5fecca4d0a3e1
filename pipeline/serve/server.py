"""The web server, which only this machine can reach."""

import logging
import os
import socket
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from pipeline.core.errors import InputError
from pipeline.serve.app import make_app
from pipeline.serve.guard import is_own
from pipeline.serve.limits import Limits
from pipeline.serve.queue import Queue
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
    temperature: float | None = None,
    threads: int = 2,
    skip_unusable: bool = False,
    ready: Callable[[str, list[ServedRun]], None] = lambda url, runs: None,
) -> None:
    """Serve the page until KeyboardInterrupt, or whatever SIGTERM raises; then delete all photographs.

    Args:
        runs: the runs to choose from; the first one's networks are loaded before the server starts.
        host: a loopback address.
        port: 0 for any free port.
        limits: what the page accepts.
        embedding_weights: see `pipeline.colorize.colorizer.Colorizer.load`.
        temperature: see there.
        threads: number of CPU threads; the coloured bytes depend on it.
        skip_unusable: skip a first run whose networks cannot be loaded, with a warning, if there is another run.
        ready: receives the page's address, and the runs that the page offers.

    Raises:
        InputError: `host` is not a loopback address, the port is in use, or a run cannot be used.
    """
    runs = list(runs)
    with (
        _listen(host, port) as listener,
        tempfile.TemporaryDirectory(prefix="deepcolor-serve-", ignore_cleanup_errors=True) as scratch,
        closing(
            Worker(
                Path(scratch),
                max_megapixels=limits.max_megapixels,
                embedding_weights=embedding_weights,
                temperature=temperature,
                threads=threads,
            )
        ) as worker,
        closing(Worker(Path(scratch), max_megapixels=limits.max_megapixels)) as viewer,
    ):
        while True:
            try:
                worker.load(runs[0].folder)
                break
            except InputError as error:
                if not skip_unusable or len(runs) == 1:
                    raise
                log.warning("skipped: %s", error)
                del runs[0]
        folders = [run.folder for run in runs]
        with closing(Queue(Path(scratch), worker.colour, viewer.show, worker.preview, folders, limits)) as queue:
            try:
                server = uvicorn.Server(configured(make_app(queue, runs)))
                ready(f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/", runs)
                server.run(sockets=[listener])
            finally:
                worker.close()
                viewer.close()


def configured(app: ASGIApp) -> uvicorn.Config:
    """Return the server's settings: quiet, independent of optional packages, ending within two seconds."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # the application logs errors itself
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


def _listen(host: str, port: int) -> socket.socket:
    if not is_own(host):
        raise InputError(
            f"--host: expected 127.0.0.1, ::1 or localhost, received {host!r}; to reach the page from another machine, "
            "see docs/serve.md"
        )
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise InputError(
            f"--port: expected a free port of {host}, received {port}: {reason}; name another, or 0 for any"
        ) from None

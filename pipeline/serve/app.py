"""The page's server: what it answers, and that what it is brought is bounded."""

import asyncio
import contextlib
import json
import logging
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import uvicorn
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pipeline.core.errors import InputError
from pipeline.images.formats import EXTENSIONS, MAX_MEGAPIXELS
from pipeline.results import page as report
from pipeline.serve.guard import OwnPagesOnly, is_own, problem
from pipeline.serve.queue import SENDING, Desk, Gone, Limits, Made, Photograph, Refused, Settings
from pipeline.serve.runs import ServedRun
from pipeline.serve.worker import ColouringProcess

OWN, SHARED = Path(__file__).with_name("templates"), Path(report.__file__).with_name("templates")
ASSETS = (SHARED / "page.css", SHARED / "theme.js", OWN / "serve.css", OWN / "serve.js")
SECONDS_BETWEEN_CHUNKS = 60.0  # of an upload
MOST_OF_A_MESSAGE = 10_000  # bytes
MOST_CONNECTIONS = 100

log = logging.getLogger("deepcolor")


class Limited(NamedTuple):
    """What is told of the limits, and what holds beside `pipeline.serve.queue.Limits`."""

    desk: Limits
    max_megapixels: float


def serve(
    runs: list[ServedRun],
    host: str,
    port: int,
    limits: Limits,
    *,
    max_megapixels: float = MAX_MEGAPIXELS,
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
        max_megapixels: larger photographs are refused.
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
        ColouringProcess(
            Path(scratch), max_megapixels=max_megapixels, embedding_weights=embedding_weights, threads=threads
        ) as process,
    ):
        runs = list(runs)
        while True:
            try:
                process.load(runs[0].folder)
                break
            except InputError as error:
                if not skip_unusable or len(runs) == 1:
                    raise
                log.warning("left out: %s", error)
                del runs[0]
        with Desk(Path(scratch), process.colour, [run.folder for run in runs], limits) as desk:
            app = make_app(desk, runs, Limited(limits, max_megapixels))
            try:
                server = uvicorn.Server(configured(app))
                ready(f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/", runs)
                server.run(sockets=[listener])
            finally:
                process.stop()


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


def make_app(desk: Desk, runs: list[ServedRun], limited: Limited) -> ASGIApp:
    """The page and what it asks for."""
    site = _Site(desk, runs, limited)
    files = [Route(f"/{path.name}", _asset(path)) for path in ASSETS]
    app = Starlette(
        routes=[
            Route("/", site.page),
            *files,
            Route("/photographs", site.tell),
            Route("/photographs", site.add, methods=["POST"]),
            Route("/end", site.end, methods=["POST"]),
            Route("/photographs/{key}/colour", site.colour, methods=["POST"]),
            Route("/photographs/{key}/before", site.before),
            Route("/photographs/{key}/after/{number:int}", site.after),
            Route("/photographs/{key}/result/{number:int}", site.result),
        ],
        exception_handlers={Refused: _refused, Gone: _gone, ClientDisconnect: _left, Exception: _unexpected},
    )
    return OwnPagesOnly(app)


def _asset(path: Path) -> Callable[[Request], Response]:
    return lambda request: FileResponse(path)


def _refused(request: Request, error: Exception) -> Response:
    return problem(str(error), 409)


def _gone(request: Request, error: Exception) -> Response:
    return problem("this photograph is no longer here; drop it again", 404)


def _left(request: Request, error: Exception) -> Response:
    return problem("the photograph came only in part; drop it again", 400)


def _unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
    return problem(f"something went wrong ({type(error).__name__}); the program's terminal says more", 500)


class _Site:
    """Answers requests."""

    def __init__(self, desk: Desk, runs: list[ServedRun], limited: Limited) -> None:
        self._desk = desk
        self._limits = limited.desk
        templates = Environment(
            loader=FileSystemLoader([OWN, SHARED]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        names = [run.name for run in runs]
        shown = [run.name if names.count(run.name) == 1 else f"{run.name} ({run.folder})" for run in runs]
        self._page = templates.get_template("page.html").render(
            runs=list(zip(shown, runs, strict=True)),
            limits=limited.desk,
            max_megapixels=limited.max_megapixels,
            extensions=EXTENSIONS,
        )

    def page(self, request: Request) -> Response:
        return HTMLResponse(self._page)

    async def add(self, request: Request) -> Response:
        """Take a photograph, the request's whole body, and have it coloured."""
        try:
            settings = _settings(request.query_params)
            photograph = self._desk.add(request.query_params.get("name", ""))
        except Refused:
            await self._drain(request)
            raise
        try:
            await self._receive(request, photograph)
            self._desk.want(photograph.key, settings)
        except BaseException as error:
            self._desk.remove([photograph.key])
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                raise Refused(f"the photograph cannot be kept: {error.strerror}; make room on the disk") from None
            raise
        return JSONResponse({"key": photograph.key, "name": photograph.name}, 201)

    async def _receive(self, request: Request, photograph: Photograph) -> None:
        size = 0
        with photograph.source.open("wb") as file:
            async for chunk in _chunks(request):
                size += len(chunk)
                if size > self._limits.upload_bytes:
                    raise Refused(f"larger than {self._limits.upload_bytes / 1e6:g} MB")
                file.write(chunk)
                self._desk.keep(photograph)

    async def _drain(self, request: Request) -> None:
        """Read to the end what is refused, if that has a known one: a browser that is cut off hears no reason."""
        told = request.headers.get("content-length", "")
        if told.isdecimal() and int(told) <= self._limits.upload_bytes:
            async for _ in _chunks(request):
                pass

    def tell(self, request: Request) -> Response:
        keys = request.query_params.get("keys", "").split(",")
        return JSONResponse(self._desk.tell(keys))

    async def colour(self, request: Request) -> Response:
        """Colour it otherwise."""
        try:
            wanted = json.loads(await _message(request))
            settings = _settings(wanted if isinstance(wanted, dict) else {})
        except (ValueError, RecursionError):
            raise Refused("expected run and saturation as JSON") from None
        photograph = self._desk.get(request.path_params["key"])
        if photograph.state == SENDING:
            raise Refused("the photograph is still being sent")
        self._desk.want(photograph.key, settings)
        return Response(status_code=204)

    async def end(self, request: Request) -> Response:
        """Forget the photographs whose keys are told."""
        self._desk.remove((await _message(request)).decode("ascii", "replace").split(","))
        return Response(status_code=204)

    def before(self, request: Request) -> Response:
        return _file(self._desk.get(request.path_params["key"]).before, "image/jpeg")

    def after(self, request: Request) -> Response:
        photograph, made = self._made(request)
        return _file(photograph.after(made.number), "image/jpeg")

    def result(self, request: Request) -> Response:
        photograph, made = self._made(request)
        written = PurePosixPath(made.coloured.file)
        own = PurePosixPath(photograph.name)
        name = f"{own.stem}-coloured{written.suffix or own.suffix}"
        return _file(photograph.target(made.number) / written, "application/octet-stream", name)

    def _made(self, request: Request) -> tuple[Photograph, Made]:
        photograph = self._desk.get(request.path_params["key"])
        if photograph.made is None or photograph.made.number != request.path_params["number"]:
            raise Gone
        return photograph, photograph.made


def _file(path: Path, kind: str, name: str | None = None) -> Response:
    try:
        return FileResponse(path, media_type=kind, filename=name, stat_result=path.stat())
    except OSError:
        raise Gone from None


def _settings(told: Any) -> Settings:
    try:
        return Settings(int(told["run"]), float(told["saturation"]))
    except (KeyError, ValueError, TypeError, OverflowError):
        raise Refused("expected the number of a run and a saturation") from None


async def _message(request: Request) -> bytes:
    found = b""
    async for chunk in _chunks(request):
        found += chunk
        if len(found) > MOST_OF_A_MESSAGE:
            raise Refused(f"expected at most {MOST_OF_A_MESSAGE} bytes")
    return found


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    stream = request.stream()
    while True:
        try:
            yield await asyncio.wait_for(anext(stream), SECONDS_BETWEEN_CHUNKS)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise ClientDisconnect from None

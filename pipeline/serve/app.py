"""The page and what it asks for; what is brought is bounded."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pipeline.images.formats import EXTENSIONS
from pipeline.results import page as report
from pipeline.serve.guard import OwnPagesOnly, problem
from pipeline.serve.photograph import SENDING, Made, Photograph, Settings
from pipeline.serve.queue import Gone, Queue, Refused
from pipeline.serve.runs import ServedRun

OWN, SHARED = Path(__file__).with_name("templates"), Path(report.__file__).with_name("templates")
ASSETS = (SHARED / "page.css", SHARED / "theme.js", OWN / "serve.css", OWN / "serve.js")
SECONDS_BETWEEN_CHUNKS = 60.0  # of an upload
MOST_OF_A_MESSAGE = 10_000  # bytes

log = logging.getLogger("deepcolor")


def make_app(queue: Queue, runs: list[ServedRun]) -> ASGIApp:
    """The page and what it asks for."""
    site = _Site(queue, runs)
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

    def __init__(self, queue: Queue, runs: list[ServedRun]) -> None:
        self._queue = queue
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
            limits=queue.limits,
            extensions=EXTENSIONS,
        )

    def page(self, request: Request) -> Response:
        return HTMLResponse(self._page)

    async def add(self, request: Request) -> Response:
        """Take a photograph, the request's whole body, and have it coloured."""
        try:
            settings = _settings(request.query_params)
            photograph = self._queue.add(request.query_params.get("name", ""))
        except Refused:
            await self._drain(request)
            raise
        try:
            await self._receive(request, photograph)
            self._queue.want(photograph.key, settings)
        except BaseException as error:
            self._queue.remove([photograph.key])
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                raise Refused(f"the photograph cannot be kept: {error.strerror}; make room on the disk") from None
            raise
        return JSONResponse({"key": photograph.key, "name": photograph.name}, 201)

    async def _receive(self, request: Request, photograph: Photograph) -> None:
        size = 0
        with photograph.source.open("wb") as file:
            async for chunk in _chunks(request):
                size += len(chunk)
                if size > self._queue.limits.upload_bytes:
                    raise Refused(f"larger than {self._queue.limits.upload_bytes / 1e6:g} MB")
                file.write(chunk)
                self._queue.keep(photograph)

    async def _drain(self, request: Request) -> None:
        """Read to the end what is refused, if that has a known one: a browser that is cut off hears no reason."""
        told = request.headers.get("content-length", "")
        if told.isdecimal() and int(told) <= self._queue.limits.upload_bytes:
            async for _ in _chunks(request):
                pass

    def tell(self, request: Request) -> Response:
        keys = request.query_params.get("keys", "").split(",")
        return JSONResponse(self._queue.tell(keys))

    async def colour(self, request: Request) -> Response:
        """Colour it otherwise."""
        try:
            wanted = json.loads(await _message(request))
            settings = _settings(wanted if isinstance(wanted, dict) else {})
        except (ValueError, RecursionError):
            raise Refused("expected run and saturation as JSON") from None
        photograph = self._queue.get(request.path_params["key"])
        if photograph.state == SENDING:
            raise Refused("the photograph is still being sent")
        self._queue.want(photograph.key, settings)
        return Response(status_code=204)

    async def end(self, request: Request) -> Response:
        """Forget the photographs whose keys are told."""
        self._queue.remove((await _message(request)).decode("ascii", "replace").split(","))
        return Response(status_code=204)

    def before(self, request: Request) -> Response:
        return _file(self._queue.get(request.path_params["key"]).before, "image/jpeg")

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
        photograph = self._queue.get(request.path_params["key"])
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

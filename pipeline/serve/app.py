"""The web application: the page, its files, and the requests that the page makes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path, PurePosixPath

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pipeline.core.errors import InputError
from pipeline.images.formats import EXTENSIONS
from pipeline.results import page as report
from pipeline.serve.guard import OwnPagesOnly, problem
from pipeline.serve.photograph import Photograph, Result, Settings
from pipeline.serve.queue import Gone, Queue
from pipeline.serve.runs import ServedRun

OWN, SHARED = Path(__file__).with_name("templates"), Path(report.__file__).with_name("templates")
ASSETS = (SHARED / "page.css", SHARED / "theme.js", OWN / "serve.css", OWN / "serve.js", OWN / "photographs.js")
SECONDS_BETWEEN_CHUNKS = 60.0  # of an upload

log = logging.getLogger("deepcolor")


def make_app(queue: Queue, runs: list[ServedRun]) -> ASGIApp:
    """Return the application, which answers only requests from its own page."""
    site = _Site(queue, runs)
    app = Starlette(
        routes=[
            Route("/", site.page),
            *(Route(f"/{path.name}", _asset(path)) for path in ASSETS),
            Route("/photographs", site.states),
            Route("/photographs", site.add, methods=["POST"]),
            Route("/end", site.remove, methods=["POST"]),
            Route("/photographs/{key}/colour", site.colour, methods=["POST"]),
            Route("/photographs/{key}/before", site.before),
            Route("/photographs/{key}/after/{number:int}", site.after),
            Route("/photographs/{key}/result/{number:int}", site.result),
        ],
        exception_handlers={InputError: _refused, Exception: _unexpected},
    )
    return OwnPagesOnly(app)


def _asset(path: Path) -> Callable[[Request], Response]:
    return lambda request: FileResponse(path)


def _refused(request: Request, error: Exception) -> Response:
    return problem(str(error), 404 if isinstance(error, Gone) else 409)


def _unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
    return problem(f"something went wrong ({type(error).__name__}); see the program's terminal", 500)


class _Site:
    """The handlers of all requests."""

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
        unique = [run.name if names.count(run.name) == 1 else f"{run.name} ({run.folder})" for run in runs]
        self._page = templates.get_template("page.html").render(
            runs=list(zip(unique, runs, strict=True)), limits=queue.limits, extensions=EXTENSIONS
        )

    def page(self, request: Request) -> Response:
        return HTMLResponse(self._page)

    async def add(self, request: Request) -> Response:
        """Accept the photograph in the request's body, and queue it for colouring."""
        try:
            settings = _settings(request.query_params)
            photograph = self._queue.add(request.query_params.get("name", ""))
        except InputError:
            await self._drain(request)
            raise
        try:
            await self._receive(request, photograph)
            self._queue.request(photograph.key, settings)
        except BaseException:
            self._queue.remove([photograph.key])
            raise
        return JSONResponse({"key": photograph.key, "name": photograph.name}, 201)

    async def _receive(self, request: Request, photograph: Photograph) -> None:
        limit, size = self._queue.limits.upload_bytes, 0
        try:
            with photograph.source.open("wb") as file:
                async for chunk in _chunks(request):
                    size += len(chunk)
                    if size > limit:
                        raise InputError(f"larger than {limit / 1e6:g} MB")
                    file.write(chunk)
                    photograph.touch()
        except OSError as error:
            raise InputError(f"the photograph cannot be stored: {error.strerror}; free some disk space") from None
        photograph.received = True

    async def _drain(self, request: Request) -> None:
        """Read the rest of a refused upload of reasonable size: browsers show no reason if it is cut off."""
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) <= self._queue.limits.upload_bytes:
            async for _ in _chunks(request):
                pass

    def states(self, request: Request) -> Response:
        return JSONResponse(self._queue.states(_keys(request)))

    def colour(self, request: Request) -> Response:
        """Colour a photograph again with other settings."""
        self._queue.request(request.path_params["key"], _settings(request.query_params))
        return Response(status_code=204)

    def remove(self, request: Request) -> Response:
        self._queue.remove(_keys(request))
        return Response(status_code=204)

    def before(self, request: Request) -> Response:
        return _file(self._queue.get(request.path_params["key"]).before, "image/jpeg")

    def after(self, request: Request) -> Response:
        _, result = self._result(request)
        return _file(result.job.after, "image/jpeg")

    def result(self, request: Request) -> Response:
        photograph, result = self._result(request)
        own, suffix = PurePosixPath(photograph.name), PurePosixPath(result.coloured.file).suffix
        name = f"{own.stem}-coloured{suffix or own.suffix}"
        return _file(result.job.target / result.coloured.file, "application/octet-stream", name)

    def _result(self, request: Request) -> tuple[Photograph, Result]:
        photograph = self._queue.get(request.path_params["key"])
        if photograph.result is None or photograph.result.number != request.path_params["number"]:
            raise Gone
        return photograph, photograph.result


def _keys(request: Request) -> list[str]:
    return request.query_params.get("keys", "").split(",")


def _settings(values: Mapping[str, str]) -> Settings:
    try:
        return Settings(int(values["run"]), float(values["saturation"]))
    except (KeyError, ValueError):
        raise InputError("expected the number of a run and a saturation") from None


def _file(path: Path, kind: str, name: str | None = None) -> Response:
    try:
        return FileResponse(path, media_type=kind, filename=name, stat_result=path.stat())
    except OSError:
        raise Gone from None


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    stream = request.stream()
    while True:
        try:
            yield await asyncio.wait_for(anext(stream), SECONDS_BETWEEN_CHUNKS)
        except StopAsyncIteration:
            return
        except (TimeoutError, ClientDisconnect):
            raise InputError("the upload is incomplete; drop the photograph again") from None

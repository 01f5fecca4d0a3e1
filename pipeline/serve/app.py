"""The web application: the page, its files, and the requests that the page makes."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from pipeline.colorize.hints import MOST, refuse_outside
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.images.formats import extensions
from pipeline.serve import archive
from pipeline.serve.guard import OwnPagesOnly, problem
from pipeline.serve.jobs import STRIP
from pipeline.serve.limits import refuse_without_room
from pipeline.serve.photograph import Photograph, Result, Settings
from pipeline.serve.queue import Queue
from pipeline.serve.refusal import TOO_LARGE, Gone, Refusal, not_stored
from pipeline.serve.requested import chunks_of, hints_of, length_of, page_of, place_of, settings_of
from pipeline.serve.runs import ServedRun

OWN = Path(__file__).with_name("templates")
SHARED = Path(__file__).parents[1] / "results" / "templates"
SCRIPTS = tuple(sorted(path.name for path in OWN.glob("*.js")))
ASSETS = (SHARED / "page.css", SHARED / "theme.js", OWN / "serve.css", *(OWN / name for name in SCRIPTS))
LONGEST_PAUSE = 1.0  # seconds before the states are answered

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
            Route("/coloured.zip", site.archive),
            Route("/end", site.remove, methods=["POST"]),
            Route("/photographs/{key}/colour", site.colour, methods=["POST"]),
            Route("/photographs/{key}/preview", site.preview, methods=["POST"]),
            Route("/photographs/{key}/strip", site.strip, methods=["POST"]),
            Route("/photographs/{key}/likely", site.likely),
            Route("/photographs/{key}/hints", site.opened, methods=["POST"]),
            Route("/photographs/{key}/hints/{number:int}", site.hints),
            Route("/photographs/{key}/before", site.before),
            Route("/photographs/{key}/after/{number:int}", site.after),
            Route("/photographs/{key}/whole/{number:int}", site.whole),
            Route("/photographs/{key}/result/{number:int}", site.result),
        ],
        exception_handlers={InputError: _refused, Exception: _unexpected},
    )
    return OwnPagesOnly(app)


def _asset(path: Path) -> Callable[[Request], Response]:
    return lambda request: FileResponse(path)


def _refused(request: Request, error: Exception) -> Response:
    return problem(str(error), error.status if isinstance(error, Refusal) else 409)


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
        page = templates.get_template("page.html")
        values = {
            "runs": list(zip(unique, runs, strict=True)),
            "limits": queue.limits,
            "extensions": extensions(),
            "most_hints": MOST,
            "variants": STRIP,
        }
        # A page that was loaded before the program was started again learns whether it is still the same.
        self._version = files.digest_bytes(page.render(values, version="").encode())[:16]
        self._page = page.render(values, version=self._version)

    def page(self, request: Request) -> Response:
        return HTMLResponse(self._page)

    async def add(self, request: Request) -> Response:
        """Accept the photograph in the request's body, and queue it for colouring."""
        try:
            settings = settings_of(request)
            page, name = page_of(request), request.query_params.get("name", "")
            refuse_without_room(self._queue.folder, length_of(request))
            photograph = self._queue.add(page, name)
        except InputError:
            await self._drain(request)
            raise
        try:
            await self._receive(request, photograph)
            self._queue.request(photograph.key, settings)
        except BaseException:
            self._queue.remove([photograph.key])
            raise
        return JSONResponse({"key": photograph.key, "name": photograph.path}, 201)

    async def _receive(self, request: Request, photograph: Photograph) -> None:
        limit, size = self._queue.limits.upload_bytes, 0
        try:
            with photograph.source.open("wb") as file:
                async for chunk in chunks_of(request):
                    size += len(chunk)
                    if size > limit:
                        raise Refusal(
                            TOO_LARGE,
                            f"expected at most {limit / 1e6:g} MB, received a larger file; make it smaller, or start "
                            "the program with a larger --max-megabytes",
                        )
                    file.write(chunk)
                    photograph.touch()
        except OSError as error:
            await self._drain(request)
            raise not_stored(self._queue.folder, error) from None
        photograph.received = True

    async def _drain(self, request: Request) -> None:
        """Read the rest of a refused upload of reasonable size: browsers show no reason if it is cut off."""
        if 0 < length_of(request) <= self._queue.limits.upload_bytes:
            async for _ in chunks_of(request):
                pass

    async def states(self, request: Request) -> Response:
        """Answer with the states of the page's photographs, after a pause that the page may ask for.

        The pause is made here, because browsers let the timers of hidden pages run only once a minute.
        """
        with contextlib.suppress(ValueError):
            await asyncio.sleep(min(float(request.query_params.get("pause", "0")), LONGEST_PAUSE))
        states = self._queue.states(page_of(request))
        return JSONResponse({"version": self._version, "photographs": states})

    async def colour(self, request: Request) -> Response:
        """Colour a photograph again with other settings, and with the hints in the request's body."""
        photograph = self._queue.get(request.path_params["key"])
        settings = settings_of(request, await hints_of(request, photograph.name))
        await run_in_threadpool(self._queue.request, photograph.key, settings)
        return Response(status_code=204)

    async def preview(self, request: Request) -> Response:
        """Answer with a photograph at a reduced size, coloured with the hints in the request's body."""
        return await self._previewed(request, self._queue.preview)

    async def strip(self, request: Request) -> Response:
        """Answer with thumbnails of other colourings of it."""
        return await self._previewed(request, self._queue.strip)

    async def _previewed(self, request: Request, preview: Callable[[str, Settings], bytes]) -> Response:
        photograph = self._queue.get(request.path_params["key"])
        settings = settings_of(request, await hints_of(request, photograph.name))
        jpeg = await run_in_threadpool(preview, photograph.key, settings)
        return Response(jpeg, media_type="image/jpeg")

    def likely(self, request: Request) -> Response:
        """Answer with the colours that the network finds likely at a pixel."""
        place = place_of(request)
        return JSONResponse(self._queue.likely(request.path_params["key"], settings_of(request), *place))

    async def opened(self, request: Request) -> Response:
        """Answer with a photograph's hints in the file that is the request's body."""
        photograph, result = self._coloured(request)
        hints = await hints_of(request, photograph.name)
        refuse_outside(hints, result.coloured.height, result.coloured.width)
        return JSONResponse([hint.as_json() for hint in hints])

    def remove(self, request: Request) -> Response:
        """Delete the photographs that are named, or else all of the page."""
        if "keys" in request.query_params:
            self._queue.remove(request.query_params["keys"].split(","))
        else:
            self._queue.remove_page(page_of(request))
        return Response(status_code=204)

    def before(self, request: Request) -> Response:
        return _file(self._queue.get(request.path_params["key"]).before, "image/jpeg")

    def after(self, request: Request) -> Response:
        _, result = self._result(request)
        return _file(result.job.after, "image/jpeg")

    def whole(self, request: Request) -> Response:
        return _file(self._queue.whole(request.path_params["key"], request.path_params["number"]), "image/jpeg")

    def result(self, request: Request) -> Response:
        photograph, result = self._result(request)
        return _file(result.file, "application/octet-stream", PurePosixPath(photograph.output).name)

    def hints(self, request: Request) -> Response:
        photograph, result = self._result(request)
        if result.hints is None:
            raise Gone
        return _file(result.hints, "application/json", f"{photograph.name}.hints.json")

    def archive(self, request: Request) -> Response:
        """Send all coloured photographs of the page as a ZIP file."""
        if not (results := self._queue.results(page_of(request))):
            raise Gone
        return StreamingResponse(
            archive.zipped(results),
            media_type="application/zip",
            headers={"content-disposition": 'attachment; filename="coloured.zip"'},
        )

    def _result(self, request: Request) -> tuple[Photograph, Result]:
        photograph, result = self._coloured(request)
        if result.number != request.path_params["number"]:
            raise Gone
        return photograph, result

    def _coloured(self, request: Request) -> tuple[Photograph, Result]:
        photograph = self._queue.get(request.path_params["key"])
        if photograph.result is None:
            raise Gone
        return photograph, photograph.result


def _file(path: Path, kind: str, name: str | None = None) -> Response:
    try:
        return FileResponse(path, media_type=kind, filename=name, stat_result=path.stat())
    except OSError:
        raise Gone from None

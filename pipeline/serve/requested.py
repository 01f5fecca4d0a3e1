"""What the page's requests ask for."""

import asyncio
import re
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from pipeline.colorize.hints import Hint, Hints
from pipeline.core.errors import InputError
from pipeline.core.text import escaped
from pipeline.serve.photograph import Settings
from pipeline.serve.refusal import TOO_LARGE, Refusal

SECONDS_BETWEEN_CHUNKS = 60.0  # of a body
MOST_BYTES = 1_000_000  # of a file of hints
PAGE = re.compile(r"[0-9A-Za-z-]{20,64}")  # what identifies a page


def page_of(request: Request) -> str:
    """Return what identifies the page, or raise InputError."""
    page = request.query_params.get("page", "")
    if not PAGE.fullmatch(page):
        raise InputError("expected what identifies a page; reload it")
    return page


def length_of(request: Request) -> int:
    """Return the size of the body in bytes, or 0 if it is unknown."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() and len(length) < 20 else 0


def settings_of(request: Request, hints: tuple[Hint, ...] = ()) -> Settings:
    """Return the settings in a request's address, or raise InputError."""
    values = request.query_params
    try:
        return Settings(int(values["run"]), float(values["saturation"]), hints, int(values.get("variant", "0")))
    except (KeyError, ValueError):
        raise InputError("expected the number of a run and a saturation, and that of a variant or none") from None


def place_of(request: Request) -> tuple[int, int]:
    """Return column and row of the pixel in a request's address, or raise InputError."""
    x, y = (request.query_params.get(key, "") for key in ("x", "y"))
    if not all(value.isascii() and value.isdecimal() and len(value) < 7 for value in (x, y)):
        raise InputError("expected x and y in pixels")
    return int(x), int(y)


async def hints_of(request: Request, name: str) -> tuple[Hint, ...]:
    """Return the hints for a photograph in a request's body, which is as `Hints.loaded` reads it, or empty.

    Raises:
        InputError: it is something else or too large, or has hints only for other photographs.
    """
    content = bytearray()
    async for chunk in chunks_of(request):
        content += chunk
        if len(content) > MOST_BYTES:
            raise Refusal(TOO_LARGE, f"expected at most {MOST_BYTES / 1e6:g} MB of hints, received a larger file")
    hints = Hints.loaded(bytes(content), "the file of hints") if content else Hints()
    if hints.by_name and not hints.for_photograph(name):
        received = ", ".join(escaped(other) for other in list(hints.by_name)[:3])
        raise InputError(f"the file of hints: expected hints for {name}, received hints for {received}")
    return hints.for_photograph(name)


async def chunks_of(request: Request) -> AsyncIterator[bytes]:
    """Yield the body, or raise InputError if it breaks off."""
    stream = request.stream()
    while True:
        try:
            yield await asyncio.wait_for(anext(stream), SECONDS_BETWEEN_CHUNKS)
        except StopAsyncIteration:
            return
        except (TimeoutError, ClientDisconnect):
            raise InputError("the upload is incomplete; drop the photograph again") from None

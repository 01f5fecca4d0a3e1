"""Who is answered: this machine's own browsers, for pages that came from here."""

import contextlib
import ipaddress
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_HOST = re.compile(r"(localhost|[0-9.]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?")


def is_own(host: str) -> bool:
    """Whether this is a name or address that always means the machine itself."""
    with contextlib.suppress(ValueError):
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    return False


class OwnPagesOnly:
    """Answers only what a browser asks of this machine by its own name, for a page that came from here.

    A site whose name was made to point to this machine (DNS rebinding) says its name in Host; another site's page that
    sends something here says its own in Origin.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        headers = Headers(scope=scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if sentence := _foreign(scope["method"], scope["path"], headers):
            await problem(sentence, 403)(scope, receive, send_guarded)
        else:
            await self._app(scope, receive, send_guarded)


def _foreign(method: str, path: str, headers: Headers) -> str:
    host, origin = headers.get("host", ""), headers.get("origin")
    found = _HOST.fullmatch(host)
    if not found or not is_own(found[1].strip("[]")):
        return "this page is only for localhost; open it under the address that the program has printed"
    if origin is not None and origin.lower() != f"http://{host}".lower():
        return "this page takes nothing from other pages"
    visit = method in ("GET", "HEAD") and path == "/"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not visit:
        return "this page gives nothing to other pages"
    return ""


def problem(sentence: str, status: int) -> JSONResponse:
    """An answer that says why there is none."""
    return JSONResponse({"problem": sentence}, status)

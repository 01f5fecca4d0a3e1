"""Which requests are answered: those that browsers on this machine make for the server's own pages."""

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
    """Whether a name or address always means the machine itself."""
    with contextlib.suppress(ValueError):
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    return False


class OwnPagesOnly:
    """ASGI middleware that refuses requests under foreign host names and from other sites' pages.

    A site whose name resolves to this machine (DNS rebinding) sends that name in Host. A page of another site that
    sends a request sends its own address in Origin.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, with `HEADERS`."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = _refusal(scope["method"], scope["path"], Headers(scope=scope))
        await (problem(refusal, 403) if refusal else self._app)(scope, receive, send_guarded)


def _refusal(method: str, path: str, headers: Headers) -> str:
    """Return why a request is refused, or nothing."""
    host, origin = headers.get("host", ""), headers.get("origin")
    match = _HOST.fullmatch(host)
    if not match or not is_own(match[1].strip("[]")):
        return "this page works only for localhost; open the address that the program printed"
    if origin is not None and origin.lower() != f"http://{host}".lower():
        return "this server accepts nothing from other pages"
    visit = method in ("GET", "HEAD") and path == "/"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not visit:
        return "this server sends nothing to other pages"
    return ""


def problem(sentence: str, status: int) -> JSONResponse:
    """Return an error response, whose sentence the page shows."""
    return JSONResponse({"problem": sentence}, status)

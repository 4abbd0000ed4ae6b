"""Who may ask a live page: those with its token, by its own name, from its own origin: `morphstream.live.same_site`."""

import hmac
from collections.abc import Collection
from hashlib import sha256

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from morphstream.live.same_site import READING, SAFE_HEADERS, host_of_origin, is_known_host

_HEADERS = {
    **SAFE_HEADERS,
    "Connection": "close",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "media-src 'self' blob: mediastream:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_NO_TOKEN = "expected the token, seen none that is right; open the link that was printed when the page was started"  # noqa: S105


class Access:
    """An ASGI application that lets requests through to another, and gives every answer the headers of a safe page."""

    def __init__(self, app: ASGIApp, *, token: str, names: Collection[str], is_tls: bool) -> None:
        """Begin to let requests through.

        Args:
            app: Where they go.
            token: What they have to have, in the cookie or as ``Authorization: Bearer TOKEN``.
            names: Host names that they may be for; addresses always may, as no site can have one for a name.
            is_tls: Whether they come over HTTPS, and the cookie only by that.
        """
        self._app, self._token, self._is_tls = app, token.encode(), is_tls
        self._names = frozenset(map(str.lower, names))
        # cookies know no ports: by the name, two pages of one machine have one each
        self.cookie = f"morphstream-{sha256(self._token).hexdigest()[:12]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        answer = self._answer(Request(scope)) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send_safe)

    def _answer(self, request: Request) -> Response | None:
        """Return the answer to a request that doesn't reach the page; None for one that does."""
        host = request.headers.get("host", "")
        if not is_known_host(host, self._names):
            expected = "expected this page's own address, seen another name"
            return JSONResponse({"error": f"{expected}; open the printed link, or start it with this name"}, 421)
        is_page = request.method in READING and request.url.path == "/"
        if is_page and "token" in request.query_params:
            if not self._is_right(request.query_params["token"]):
                return PlainTextResponse(_NO_TOKEN, 401)
            answer = RedirectResponse("/", 303)  # so that the token is in no history
            value = self._token.decode()
            answer.set_cookie(self.cookie, value, httponly=True, samesite="strict", secure=self._is_tls)
            return answer
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        is_program = scheme.lower() == "bearer" and self._is_right(given)
        if not is_program and not self._is_right(request.cookies.get(self.cookie, "")):
            return PlainTextResponse(_NO_TOKEN, 401) if is_page else JSONResponse({"error": _NO_TOKEN}, 401)
        origin = request.headers.get("origin")
        if request.method not in READING and not (is_program and origin is None) and host_of_origin(origin) != host:
            return JSONResponse({"error": "expected a request from the page itself, seen another origin"}, 403)
        return None

    def _is_right(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token)

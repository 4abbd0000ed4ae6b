"""Who may use the admin page: those who opened a link, each of which opens one session, once.

A session is a cookie that no script reads and no other site sends. What changes anything comes from the page itself:
from its own origin, and with the session's own token, as header or field.
"""

import asyncio
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from morphstream.live.same_site import READING, SAFE_HEADERS, host_of_origin, is_known_host

CSRF_HEADER, CSRF_FIELD = "x-csrf-token", "csrf"
LONGEST_S, IDLE_S = 12 * 3600.0, 3600.0
_LINK_S = 3600.0  # that a link may lie about
_MOST_FORM, _MOST_FIELDS = 1 << 16, 2000  # bytes
_FORM_S = 30.0  # for the whole of it
_MOST_LINKS, _MOST_SESSIONS = 100, 100
_MOST_WRONG, _WRONG_S = 10, 60.0
_HEADERS = {
    **SAFE_HEADERS,
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

Form = Mapping[str, list[str]]
Refuse = Callable[[Request, int, str], Response]


@dataclass(slots=True, kw_only=True)
class Session:
    """A browser that opened a link.

    Attributes:
        name: What others see of who started a job; its user may change it.
        csrf: The token that its changes have.
        began_s: When it opened the link, seconds of `time.monotonic`.
        seen_s: When it last asked for something.
    """

    name: str
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    began_s: float
    seen_s: float


class Sessions:
    """Links that weren't opened yet, and the sessions that were; for one event loop."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._links: dict[str, float] = {}
        self._sessions: dict[str, Session] = {}
        self._count = 0
        self._wrong = deque[float](maxlen=_MOST_WRONG)

    def new_link(self) -> str:
        """Return the secret of a new link, which can be opened once, within an hour."""
        secret = secrets.token_urlsafe(24)
        self._links[secret] = self._now()
        while len(self._links) > _MOST_LINKS:
            del self._links[next(iter(self._links))]
        return secret

    def open(self, secret: str) -> str | None:
        """Return the cookie of a new session for the secret of a link, which is used up; None for a wrong secret."""
        now = self._now()
        found = next((one for one in self._links if hmac.compare_digest(one.encode(), secret.encode())), None)
        if found is None or now - self._links.pop(found) > _LINK_S:
            self._wrong.append(now)
            return None
        self._count += 1
        cookie = secrets.token_urlsafe(24)
        self._sessions[cookie] = Session(name=f"person {self._count}", began_s=now, seen_s=now)
        while len(self._sessions) > _MOST_SESSIONS:
            del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].seen_s)]
        return cookie

    def session(self, cookie: str) -> Session | None:
        """Return the session of a cookie, None where there is none or it has ended."""
        session = self._sessions.get(cookie)
        if session is None or self.is_open(session):
            return session
        del self._sessions[cookie]
        return None

    def is_open(self, session: Session) -> bool:
        """Return whether a session goes on: after 12 hours, or an hour without a request, it doesn't."""
        now = self._now()
        is_there = any(one is session for one in self._sessions.values())
        return is_there and now - session.began_s <= LONGEST_S and now - session.seen_s <= IDLE_S

    def touch(self, session: Session) -> None:
        """Note that a session's user asked for something."""
        session.seen_s = self._now()

    def end(self, session: Session) -> None:
        """End a session."""
        self._sessions = {cookie: one for cookie, one in self._sessions.items() if one is not session}

    def wait_s(self) -> float:
        """Return how long no link can be opened, as too many wrong ones were; 0 where one can."""
        if len(self._wrong) < _MOST_WRONG:
            return 0.0
        return max(0.0, self._wrong[0] + _WRONG_S - self._now())


def session_of(request: Request) -> Session:
    """Return the session that a request belongs to."""
    session = request.scope["state"]["session"]
    if not isinstance(session, Session):
        raise TypeError("session_of: expected a request that `Access` let through")
    return session


def form_of(request: Request) -> Form:
    """Return the fields of a request's form, each with its values; empty for another kind of body, which is unread."""
    form: Form = request.scope["state"]["form"]
    return form


class Access:
    """An ASGI application that lets requests of sessions through to another; in front of everything."""

    def __init__(self, app: ASGIApp, *, sessions: Sessions, names: Collection[str], port: int, refuse: Refuse) -> None:
        """Begin to let requests through.

        Args:
            app: Where they go.
            sessions: Whose requests.
            names: Further host names that requests may be for.
            port: By which the cookie is named, as cookies know no ports.
            refuse: Returns the page or fragment of a refusal: for a request, with a status and in one line.
        """
        self._app, self._sessions, self._refuse = app, sessions, refuse
        self._names = frozenset(map(str.lower, names))
        self.cookie = f"morphstream-admin-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({name: value for name, value in _HEADERS.items() if name.lower() not in headers})
            await send(message)

        scope.setdefault("state", {})
        answer = await self._answer(Request(scope, receive))
        await (answer or self._app)(scope, receive, send_safe)

    async def _answer(self, request: Request) -> Response | None:
        """Return the answer to a request that isn't let through; None for one that is, with session and form set."""
        host = request.headers.get("host", "")
        if not is_known_host(host, self._names):
            expected = "expected this page's own address, seen another name"
            return self._refuse(request, 421, f"{expected}; open the printed link, or start it with --name")
        path, is_reading = request.url.path, request.method in READING
        if is_reading and path.startswith("/static/"):
            return None
        if request.method == "GET" and path == "/login":
            return self._login(request)
        session = self._sessions.session(request.cookies.get(self.cookie, ""))
        if session is None:
            expected = "expected a session, seen none, or one that has ended"
            return self._refuse(request, 401, f"{expected}; open a new link: press Enter where the page was started")
        request.scope["state"] |= {"session": session, "form": {}}
        if path != "/events":  # which a page that nobody looks at asks for, too
            self._sessions.touch(session)
        return None if is_reading else await self._change(request, session, host)

    def _login(self, request: Request) -> Response:
        if wait_s := self._sessions.wait_s():
            answer = self._refuse(request, 429, f"expected fewer wrong links; wait {wait_s:.0f} s and open it again")
            answer.headers["Retry-After"] = f"{wait_s:.0f}"
            return answer
        if (cookie := self._sessions.open(request.query_params.get("secret", ""))) is None:
            expected = "expected a link that wasn't opened yet, seen none"
            return self._refuse(request, 401, f"{expected}; open a new one: press Enter where the page was started")
        # Not a redirect: after a click on another site, the browser would follow it without the cookie.
        answer = Response(status_code=200, media_type="text/html", content=_ENTER)
        answer.set_cookie(self.cookie, cookie, httponly=True, samesite="strict")
        return answer

    async def _change(self, request: Request, session: Session, host: str) -> Response | None:
        """Return a refusal of what changes something, None where it comes from the session's own page."""
        if host_of_origin(request.headers.get("origin")) != host:
            return self._refuse(request, 403, "expected a request from the page itself, seen another origin")
        token = request.headers.get(CSRF_HEADER)
        if request.headers.get("content-type", "").partition(";")[0] == "application/x-www-form-urlencoded":
            try:
                form = await _form(request)
            except (ValueError, TimeoutError, ClientDisconnect):
                return self._refuse(
                    request, 413, f"expected a form of at most {_MOST_FORM} bytes, seen more, or no end"
                )
            token = token or form.pop(CSRF_FIELD, [""])[0]
            request.scope["state"]["form"] = form
        if not hmac.compare_digest((token or "").encode(), session.csrf.encode()):
            return self._refuse(request, 403, "expected the session's own token, seen another; load the page again")
        return None


async def _form(request: Request) -> dict[str, list[str]]:
    """Read a form; ValueError for one that is too large, TimeoutError for one that doesn't come."""
    body = bytearray()
    async with asyncio.timeout(_FORM_S):
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_FORM:
                raise ValueError
    return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)


_ENTER = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">
<title>Signed in</title><p><a href="/">Go to the page</a></p></html>"""

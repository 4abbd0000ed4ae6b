"""What the handlers of the hub share: who asks, for which repository and commit, and how a refusal looks."""

import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.loopback.faults import Fault
from tests.loopback.repository import Repository

if TYPE_CHECKING:
    from tests.loopback.server import Hub

HUB: "web.AppKey[Hub]" = web.AppKey("hub")
FAULT: "web.RequestKey[Fault | None]" = web.RequestKey("fault")


def error(status: int, message: str, code: str = "", *, retry_after: str = "") -> web.Response:
    """Return a refusal as the Hub words it: in headers, and in the body."""
    headers = {"X-Error-Message": message, "X-Error-Code": code, "Retry-After": retry_after}
    body = json.dumps({"error": message})
    sent = {key: value for key, value in headers.items() if value}
    return web.Response(status=status, text=body, content_type="application/json", headers=sent)


def hang_up(request: web.Request) -> web.Response:
    """End a request's connection, unless its client has; return a placeholder for the answer."""
    if request.transport:
        request.transport.abort()
    return web.Response(status=499)


class RefusedError(Exception):
    """A request is refused; `answer` is the refusal."""

    def __init__(self, answer: web.Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


def asked_for(request: web.Request, *, writes: bool = False) -> Repository:
    """Return the repository of a request, for a user who may see it, and write to it where that is asked for.

    Raises:
        RefusedError: There is none, or the user may not.
    """
    hub = request.app[HUB]
    role = role_of(request)
    name = f"{request.match_info['org']}/{request.match_info['name']}"
    try:
        repository = hub.repository(name)
    except KeyError:
        missing = (
            error(404, "Repository not found", "RepoNotFound") if role else error(401, "Invalid username or password.")
        )
        raise RefusedError(missing) from None
    if role is None and (repository.is_private or writes):
        raise RefusedError(error(401, "Invalid username or password."))
    if writes and role != "write":
        raise RefusedError(error(403, "Forbidden: you must use a write token to write to a repository."))
    return repository


def role_of(request: web.Request) -> str | None:
    """Return what a request's token allows; None where it has none.

    Raises:
        RefusedError: Nobody knows the token.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if not scheme:
        return None
    if (role := request.app[HUB].users.get(token)) is None:
        raise RefusedError(error(401, "Invalid credentials in Authorization header"))
    return role


def commit_of(request: web.Request, repository: Repository) -> str:
    """Return the commit of a request's revision; with a stale answer that before the tip.

    Raises:
        RefusedError: There is no such revision.
    """
    revision = request.match_info.get("revision", "main")
    commit = repository.resolve(revision)
    if commit is None:
        raise RefusedError(error(404, f"Invalid rev id: {revision}", "RevisionNotFound"))
    fault = request[FAULT]
    if fault and fault.kind == "stale" and commit == repository.tip():
        return next(iter(repository.commits()[1:]), commit)
    return commit


def as_json(data: Any, **headers: str) -> web.Response:
    """Return an answer in JSON."""
    return web.Response(text=json.dumps(data), content_type="application/json", headers=headers)

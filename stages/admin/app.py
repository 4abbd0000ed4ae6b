"""The admin page as an ASGI application: the routes of all its pages, its files, its events, and its refusals."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from morphstream.artifact.errors import MorphstreamError
from stages.admin.access import Access, session_of
from stages.admin.admin import HERE, Admin
from stages.admin.pages import cell, deploy, history, jobs, matrix, models, publication, session, workers
from stages.program import line_of

_PAGES = (cell, deploy, history, jobs, matrix, models, publication, session, workers)


def application(admin: Admin, *, names: Collection[str], port: int) -> ASGIApp:
    """Return the application, with `Access` in front.

    Args:
        admin: What its pages show.
        names: Further host names that requests may be for.
        port: That it is served on.
    """

    async def refuse(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return admin.refuse(request, error.status_code, f"{request.url.path}: {error.detail}")
        if isinstance(error, MorphstreamError | OSError):
            return admin.refuse(request, 409, line_of(error))
        raise error

    async def events(request: Request) -> Response:
        mine = session_of(request)
        seen = _number(request.headers.get("last-event-id") or request.query_params.get("after") or "0")
        stream = admin.events.stream(seen, lambda: admin.sessions.is_open(mine))
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    routes = [
        Route("/events", events),
        Mount("/static", StaticFiles(directory=HERE / "static")),
        *(route for page in _PAGES for route in page.routes(admin)),
    ]
    handlers = {HTTPException: refuse, MorphstreamError: refuse, OSError: refuse}
    app = Starlette(routes=routes, exception_handlers=handlers)
    return Access(app, sessions=admin.sessions, names=names, port=port, refuse=admin.refuse)


@asynccontextmanager
async def running(admin: Admin) -> AsyncIterator[None]:
    """Run an admin's jobs, and look at its workspace, in the block."""
    await admin.state.read()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(admin.jobs.run()), group.create_task(admin.state.run())]
        try:
            yield
        finally:
            admin.events.close()
            for task in tasks:
                task.cancel()


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0

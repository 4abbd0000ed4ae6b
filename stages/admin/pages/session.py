"""The session of who looks at the page: its name, its end, and a link for somebody else."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from morphstream.artifact.errors import MorphstreamError
from stages.admin.access import form_of, session_of
from stages.admin.admin import Admin

_MOST_LETTERS = 40  # of a name


def routes(admin: Admin) -> list[Route]:
    """Return the routes."""

    async def rename(request: Request) -> Response:
        name = " ".join(form_of(request).get("name", [""])[0].split())
        if not 0 < len(name) <= _MOST_LETTERS or not name.isprintable():
            raise MorphstreamError(f"name: expected 1 to {_MOST_LETTERS} letters, seen {len(name)}; enter another")
        session_of(request).name = name
        return RedirectResponse("/", 303)

    async def invite(request: Request) -> Response:
        link = f"{request.url.scheme}://{request.headers['host']}/login?secret={admin.sessions.new_link()}"
        return admin.render(request, "link.html.jinja", {"link": link})

    async def leave(request: Request) -> Response:
        admin.sessions.end(session_of(request))
        return RedirectResponse("/", 303)

    return [
        Route("/name", rename, methods=["POST"]),
        Route("/links", invite, methods=["POST"]),
        Route("/leave", leave, methods=["POST"]),
    ]

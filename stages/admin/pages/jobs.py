"""The jobs: those that run, wait and have ended, the log of each, and what cancels or starts it again."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stages.admin.admin import Admin


def routes(admin: Admin) -> list[Route]:
    """Return the routes."""

    async def show(request: Request) -> Response:
        return admin.render(request, "jobs.html.jinja", {"jobs": admin.jobs.all()})

    return [Route("/jobs", show)]

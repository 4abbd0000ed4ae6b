"""The matrix of models and targets, and what rebuilds its cells."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stages.admin.admin import Admin


def routes(admin: Admin) -> list[Route]:
    """Return the routes."""

    async def show(request: Request) -> Response:
        context = {"matrix": admin.state.matrix, "jobs": admin.jobs.all()}
        return admin.render(request, "matrix.html.jinja", context)

    return [Route("/", show)]

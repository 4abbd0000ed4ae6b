"""The history of the manifests: the commits that changed them, and what each changed."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stages.admin.admin import Admin
from stages.admin.history import MOST_COMMITS, history


def routes(admin: Admin) -> list[Route]:
    """Return the routes."""

    async def show(request: Request) -> Response:
        context = {"changes": await history(admin.workspace.root), "most": MOST_COMMITS}
        return admin.render(request, "history.html.jinja", context)

    return [Route("/history", show)]

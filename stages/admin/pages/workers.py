"""The running workers that the page was started with, each as it is now."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stages.admin.admin import Admin
from stages.admin.workers import health_of


def routes(admin: Admin) -> list[Route]:
    """Return the routes."""

    async def show(request: Request) -> Response:
        workers = await asyncio.gather(*map(health_of, dict.fromkeys(admin.workers)))
        return admin.render(request, "workers.html.jinja", {"workers": workers})

    return [Route("/workers", show)]

"""The jobs: those that run, wait and have ended, the log of each, and what cancels or starts it again."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stages.admin.access import session_of
from stages.admin.admin import Admin


def routes(admin: Admin) -> list[Route]:
    """Return the routes."""

    async def show_all(request: Request) -> Response:
        return admin.render(request, "jobs.html.jinja", {"jobs": admin.jobs.all()})

    async def show(request: Request) -> Response:
        return admin.render(request, "job_log.html.jinja", {"job": admin.jobs.job(_number(request))})

    async def cancel(request: Request) -> Response:
        job = admin.jobs.cancel(_number(request))
        return admin.answer(request, job, f"/jobs/{job.number}")

    async def retry(request: Request) -> Response:
        job = admin.jobs.retry(_number(request), who=session_of(request).name)
        return admin.answer(request, job, f"/jobs/{job.number}")

    return [
        Route("/jobs", show_all),
        Route("/jobs/{number:int}", show),
        Route("/jobs/{number:int}/cancel", cancel, methods=["POST"]),
        Route("/jobs/{number:int}/retry", retry, methods=["POST"]),
    ]


def _number(request: Request) -> int:
    return int(request.path_params["number"])

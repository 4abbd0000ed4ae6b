"""Publish: what would be added, kept and deleted on the Hub is shown first, then that and nothing else is published."""

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morphstream.artifact.errors import MorphstreamError
from stages.admin.access import form_of
from stages.admin.admin import Admin
from stages.admin.job import Job
from stages.params import load_params

_PUBLISH = ("-m", "stages.publish", "all")
_PLAN = re.compile(r"--plan ([0-9a-f]{16})$")
_ROW = re.compile(r"(add|keep|delete) +([\d,]+) (.+)")


def routes(admin: Admin) -> list[Route]:
    """Return the routes."""

    async def show(request: Request) -> Response:
        jobs = [job for job in admin.jobs.all() if job.command[: len(_PUBLISH)] == _PUBLISH]
        looked = next((job for job in jobs if "--dry-run" in job.command and job.state == "done"), None)
        lines = list(looked.output) if looked else []  # the last two sum it up
        rows = [match.groups() for line in lines[:-2] if (match := _ROW.fullmatch(line))]
        context = {
            "repository": load_params(admin.workspace.params).hub.repo,
            "jobs": jobs,
            "looked": looked,
            "plan": _plan_of(looked) if looked else "",
            "changes": [row for row in rows if row[0] != "keep"],
            "kept": [row for row in rows if row[0] == "keep"],
        }
        return admin.render(request, "publication.html.jinja", context)

    async def look(request: Request) -> Response:
        job = admin.start(request, "Compare build/ with the Hub", [*_PUBLISH, "--dry-run"])
        return admin.answer(request, job, "/publish")

    async def merge(request: Request) -> Response:
        plan = form_of(request).get("plan", [""])[0]
        shown = {_plan_of(job) for job in admin.jobs.all() if "--dry-run" in job.command and job.state == "done"}
        if not plan or plan not in shown:
            raise MorphstreamError("publish: expected a plan that was shown, seen another; compare again first")
        job = admin.start(request, f"Publish plan {plan}", [*_PUBLISH, "--plan", plan])
        return admin.answer(request, job, "/publish")

    return [
        Route("/publish", show),
        Route("/publish/plan", look, methods=["POST"]),
        Route("/publish/merge", merge, methods=["POST"]),
    ]


def _plan_of(job: Job) -> str:
    """Return the identity of the plan that a dry run showed; empty where it showed none."""
    found = (_PLAN.search(line) for line in job.output)
    return next((match[1] for match in found if match), "")

"""Deploy tags: what each holds and held before, code that is deployed to one, and its way back."""

import re
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.vocabulary import DEPLOY_TAGS
from stages.admin.access import form_of
from stages.admin.admin import Admin
from stages.params import load_params

_DEPLOY = ("-m", "stages.publish", "deploy")
_HISTORY = (*_DEPLOY, "--history", *(word for tag in DEPLOY_TAGS for word in ("--tag", tag)))
_ROW = re.compile(r"(\S+) ([0-9a-f]{40}) (\S+) ([\d,]+ bytes, [0-9a-f]{16}): (.*)")


def routes(admin: Admin) -> list[Route]:
    """Return the routes."""

    async def show(request: Request) -> Response:
        jobs = [job for job in admin.jobs.all() if job.command[: len(_DEPLOY)] == _DEPLOY]
        done = next((job for job in jobs if job.state == "done"), None)
        looked = done if done and done.command == _HISTORY else None  # what was deployed since isn't in an older one
        rows = [match.groups() for line in looked.output if (match := _ROW.fullmatch(line))] if looked else []
        tags = {tag: [row[1:] for row in rows if row[0] == tag] for tag in DEPLOY_TAGS}
        name = load_params(admin.workspace.params).hub.repo
        context = {"repository": name, "jobs": jobs, "looked": looked, "tags": tags}
        return admin.render(request, "deploy.html.jinja", context)

    async def look(request: Request) -> Response:
        return started(request, "Look what is deployed", _HISTORY)

    async def deploy(request: Request) -> Response:
        tag, code = _tag(request), form_of(request).get("code", [""])[0].strip()
        if not code:
            raise MorphstreamError("deploy: expected a folder of code on the server's machine, seen none; name one")
        return started(request, f"Deploy {code} to {tag}", [*_DEPLOY, f"--tag={tag}", f"--code={code}"])

    async def roll_back(request: Request) -> Response:
        tag, commit = _tag(request), form_of(request).get("commit", [""])[0]
        if not re.fullmatch("[0-9a-f]{40}", commit):
            raise MorphstreamError(f"roll back {tag}: expected a commit's 40 digits, seen {commit!r}; pick one listed")
        return started(request, f"Roll {tag} back to {commit[:7]}", [*_DEPLOY, f"--tag={tag}", f"--back-to={commit}"])

    def started(request: Request, title: str, command: Sequence[str]) -> Response:
        return admin.answer(request, admin.start(request, title, command), "/deploy")

    return [
        Route("/deploy", show),
        Route("/deploy/look", look, methods=["POST"]),
        Route("/deploy", deploy, methods=["POST"]),
        Route("/deploy/roll-back", roll_back, methods=["POST"]),
    ]


def _tag(request: Request) -> str:
    tag = form_of(request).get("tag", [""])[0]
    if tag not in DEPLOY_TAGS:
        raise MorphstreamError(f"deploy: expected a tag of {', '.join(DEPLOY_TAGS)}, seen {tag!r}; pick one of them")
    return tag

"""Add a model: a file on this machine, one that the browser sends, or one of the Hub; `stages.add` does it.

A file that is sent is written beside, bounded, and gets its name once it is whole; when the model was added it is
removed, as build/ has it then.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.staged import staged_file
from stages.admin.access import form_of
from stages.admin.admin import Admin
from stages.admin.job import Job
from stages.bounds import NAME, is_name
from stages.params import load_params

_ADD = ("-m", "stages.add")
_HUB = "hub:"
_MOST_BYTES = (1 << 31) - 1  # of an ONNX file, which Protocol Buffers limits
_STEP_BYTES = 1 << 20  # that are written at once
_IDLE_S = 60.0  # without a byte of a file that is sent


class AddModelError(MorphstreamError):
    """A model can't be added as it is asked for."""


def routes(admin: Admin) -> list[Route]:
    """Return the routes."""
    sent_to = admin.workspace.root.resolve() / admin.workspace.downloads.relative_to(admin.workspace.root) / "sent"

    async def show(request: Request) -> Response:
        added = [job for job in admin.jobs.all() if job.command[: len(_ADD)] == _ADD]
        models = sorted(load_params(admin.workspace.params).models)
        return admin.render(request, "models.html.jinja", {"models": models, "added": added})

    async def add_named(request: Request) -> Response:
        fields = {key: values[0].strip() for key, values in form_of(request).items()}
        return start(request, fields.get("name", ""), fields.get("like", ""), _file_of(fields))

    async def add_sent(request: Request) -> Response:
        name, like = (request.query_params.get(key, "").strip() for key in ("name", "like"))
        _check(admin, name, like)
        return start(request, name, like, str(await _received(request, sent_to, name)))

    def start(request: Request, name: str, like: str, file: str) -> Response:
        _check(admin, name, like)
        chosen = [f"--like={like}"] if like else []
        job = admin.start(request, f"Add {name}", [*_ADD, *chosen, "--", name, file])
        return admin.answer(request, job, "/models")

    def note_end(job: Job) -> None:
        file = Path(job.command[-1])
        if job.command[: len(_ADD)] == _ADD and job.state == "done" and file.parent == sent_to:
            file.unlink(missing_ok=True)

    admin.jobs.ended.append(note_end)
    return [
        Route("/models", show),
        Route("/models", add_named, methods=["POST"]),
        Route("/models/sent", add_sent, methods=["POST"]),
    ]


def _file_of(fields: Mapping[str, str]) -> str:
    """Return the file that a form names, as `stages.add` reads it."""
    file, hub = fields.get("file", ""), fields.get("hub", "").removeprefix(_HUB)
    if bool(file) == bool(hub):
        raise AddModelError("add: expected a file of this machine or one of the Hub, seen both or none; name one")
    if not (file + hub).isprintable():
        raise AddModelError("add: expected the name of a file, seen letters that can't be printed; correct it")
    return file or f"{_HUB}{hub}"


def _check(admin: Admin, name: str, like: str) -> None:
    if not is_name(name):
        raise AddModelError(f"add: expected {NAME.words}, seen {name[:200]!r}; choose another name")
    if like and like not in load_params(admin.workspace.params).models:
        raise AddModelError(f"add: expected a model of params.yaml, seen {like[:200]!r}; load the page again")


async def _received(request: Request, folder: Path, name: str) -> Path:
    """Write the file that a request's body is into a folder, whole or not at all; return where it is."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/octet-stream":
        raise AddModelError(f"{name}: expected the bytes of a file, seen another kind of request; load the page again")
    folder.mkdir(parents=True, exist_ok=True)
    target, hashed = folder / f"{name}.onnx", hashlib.sha256()
    with staged_file(target) as file:
        async for step in _steps(request, name):
            hashed.update(step)
            await asyncio.to_thread(file.write, step)
    return target.replace(folder / f"{hashed.hexdigest()[:16]}-{name}.onnx")


async def _steps(request: Request, name: str) -> AsyncIterator[bytes]:
    """Yield a request's body in large parts; AddModelError where it is empty, too large, or doesn't come whole."""
    count, step, stream = 0, bytearray(), aiter(request.stream())
    data: bytes | None = b""
    while data is not None:
        try:
            async with asyncio.timeout(_IDLE_S):
                data = await anext(stream, None)
        except (ClientDisconnect, TimeoutError):
            raise AddModelError(f"{name}: expected the whole file, seen a part of it; send it again") from None
        count += len(data or b"")
        if count > _MOST_BYTES:
            raise AddModelError(f"{name}: expected at most {_MOST_BYTES} bytes, seen more; send a smaller file")
        step += data or b""
        if len(step) >= _STEP_BYTES or (step and data is None):
            yield bytes(step)
            step.clear()
    if count == 0:
        raise AddModelError(f"{name}: expected a file, seen 0 bytes; choose one")

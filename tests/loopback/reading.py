"""What the hub answers to those who read: who they are, what a revision holds, and the files themselves."""

import time
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.loopback.answers import FAULT, HUB, RefusedError, as_json, asked_for, commit_of, error, role_of
from tests.loopback.faults import OF_BODIES
from tests.loopback.repository import Entry, Repository

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refusing(handler: Handler) -> Handler:
    """Turn a refusal into its answer."""

    @wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except RefusedError as refused:
            return refused.answer

    return answer


@refusing
async def whoami(request: web.Request) -> web.Response:
    """Answer who a token belongs to."""
    role = role_of(request)
    if role is None:
        return error(401, "Invalid username or password.")
    return as_json({"type": "user", "name": role, "auth": {"type": "access_token", "accessToken": {"role": role}}})


@refusing
async def info(request: web.Request) -> web.Response:
    """Answer what a revision is."""
    repository = asked_for(request)
    commit = commit_of(request, repository)
    files = repository.files(commit)
    with_blobs = request.query.get("blobs", "").lower() == "true"
    siblings = [
        {"rfilename": path, **({"size": entry.bytes, "blobId": entry.oid, **_lfs(entry)} if with_blobs else {})}
        for path, entry in files.items()
    ]
    return as_json(
        {
            "_id": commit[:24],
            "id": repository.name,
            "modelId": repository.name,
            "sha": commit,
            "private": repository.is_private,
            "siblings": siblings,
        }
    )


@refusing
async def refs(request: web.Request) -> web.Response:
    """Answer which branches there are."""
    repository = asked_for(request)
    main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repository.tip()}
    return as_json({"branches": [main], "tags": [], "converts": []})


@refusing
async def commits(request: web.Request) -> web.Response:
    """Answer the commits of a revision, the newest first."""
    repository = asked_for(request)
    commit = commit_of(request, repository)
    found = repository.commits()
    rows = [
        {
            "id": oid,
            "title": repository.commit_object(oid).message.decode().strip(),
            "message": "",
            "authors": [],
            "date": "1970-01-01T00:00:00.000Z",
        }
        for oid in found[found.index(commit) :]
    ]
    return as_json(rows)


@refusing
async def tree(request: web.Request) -> web.Response:
    """Answer what a folder of a revision holds, page by page."""
    repository = asked_for(request)
    files = repository.files(commit_of(request, repository))
    folder = request.match_info["path"].strip("/")
    inside = {path: entry for path, entry in files.items() if not folder or path.startswith(f"{folder}/")}
    if folder and not inside:
        return error(404, f"{folder} does not exist", "EntryNotFound")
    rows: dict[str, dict[str, Any]] = {}
    depth = len(folder.split("/")) if folder else 0
    is_recursive = request.query.get("recursive", "").lower() == "true"
    for path, entry in inside.items():
        parts = path.split("/")
        for end in range(depth + 1, len(parts)):
            above = "/".join(parts[:end])
            rows.setdefault(above, {"type": "directory", "oid": entry.oid, "size": 0, "path": above})
            if not is_recursive:
                break
        if is_recursive or len(parts) == depth + 1:
            rows[path] = {"type": "file", "path": path, "oid": entry.oid, "size": entry.bytes, **_lfs(entry)}
    start, size = int(request.query.get("cursor", "0")), request.app[HUB].page_size
    page, headers = list(rows.values())[start : start + size], {}
    if start + size < len(rows):
        following = request.url.update_query(cursor=str(start + size))
        headers = {"Link": f'<{following}>; rel="next"'}
    return as_json(page, **headers)


@refusing
async def paths_info(request: web.Request) -> web.Response:
    """Answer what some paths of a revision are."""
    repository = asked_for(request)
    files = repository.files(commit_of(request, repository))
    is_json = request.content_type == "application/json"
    paths = (await request.json())["paths"] if is_json else map(str, (await request.post()).getall("paths"))
    rows = [
        {"type": "file", "path": path, "oid": files[path].oid, "size": files[path].bytes, **_lfs(files[path])}
        for path in paths
        if path in files
    ]
    return as_json(rows)


@refusing
async def resolve(request: web.Request) -> web.StreamResponse:
    """Answer a file: a small one itself, a large one's address."""
    repository = asked_for(request)
    commit = commit_of(request, repository)
    entry = repository.files(commit).get(request.match_info["path"])
    headers = {"X-Repo-Commit": commit}
    if entry is None:
        answer = error(404, "Entry not found", "EntryNotFound")
        answer.headers.update(headers)
        return answer
    if entry.sha256 is None:
        return await _give(request, repository.read(entry), {**headers, "ETag": f'"{entry.oid}"'})
    headers |= {"X-Linked-Etag": f'"{entry.sha256}"', "X-Linked-Size": str(entry.bytes)}
    headers |= {"Location": request.app[HUB].large_url(repository, entry.sha256, "GET")}
    return web.Response(status=302, headers=headers, text="Found. Redirecting")


async def large(request: web.Request) -> web.StreamResponse:
    """Answer a large file, to whoever has its signed address."""
    repository = signed_for(request)
    path = repository.object_path(request.match_info["sha256"])
    return await _give(request, path, {"ETag": f'"{path.name}"'}) if path.is_file() else error(404, "NoSuchKey")


def signed_for(request: web.Request) -> Repository:
    """Return the repository of a signed address; a token is refused there, as a store of large files does.

    Raises:
        web.HTTPException: The signature is wrong, or a token is there too.
    """
    hub = request.app[HUB]
    if "Authorization" in request.headers:
        raise web.HTTPBadRequest(text="Only one auth mechanism allowed")
    expires = request.query.get("expires", "")
    if request.query.get("signature") != hub.signature(request.method, request.path, expires):
        raise web.HTTPForbidden(text="SignatureDoesNotMatch")
    if int(expires) < time.time():
        raise web.HTTPForbidden(text="Request has expired")
    return hub.repository(f"{request.match_info['org']}/{request.match_info['name']}")


def _lfs(entry: Entry) -> dict[str, Any]:
    if entry.sha256 is None:
        return {}
    return {
        "lfs": {"oid": entry.sha256, "size": entry.bytes, "pointerSize": entry.pointer_bytes, "sha256": entry.sha256}
    }


async def _give(request: web.Request, content: bytes | Path, headers: dict[str, str]) -> web.StreamResponse:
    """Answer bytes or a file, from where the request begins; in memory where a fault is to happen to it."""
    fault = request[FAULT]
    if isinstance(content, Path) and not (fault and fault.kind in OF_BODIES):
        return web.FileResponse(content, headers=headers)
    data = content if isinstance(content, bytes) else content.read_bytes()
    part, status = data[request.http_range], 206 if "Range" in request.headers else 200
    if status == 206:
        start = request.http_range.start or 0
        if start >= len(data):
            return web.Response(status=416, headers={**headers, "Content-Range": f"bytes */{len(data)}"})
        headers = {**headers, "Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(data)}"}
    sent = {"Accept-Ranges": "bytes", "Content-Length": str(len(part))}  # of an empty file too, to a HEAD
    return web.Response(status=status, body=part, headers={**headers, **sent})


_MODEL = "/api/models/{org}/{name}"
ROUTES = (
    web.get("/api/whoami-v2", whoami),
    web.get(_MODEL, info),
    web.get(f"{_MODEL}/revision/{{revision}}", info),
    web.get(f"{_MODEL}/refs", refs),
    web.get(f"{_MODEL}/commits/{{revision}}", commits),
    web.get(f"{_MODEL}/tree/{{revision}}{{path:(/.*)?}}", tree),
    web.post(f"{_MODEL}/paths-info/{{revision}}", paths_info),
    web.get("/lfs/{org}/{name}/{sha256}", large),
    web.get("/{org}/{name}/resolve/{revision}/{path:.+}", resolve),
)

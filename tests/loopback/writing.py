"""What the hub answers to those who write: a repository, large files, and commits on top of the tip."""

import base64
import codecs
import fnmatch
import hashlib
import json
import re
import secrets
from typing import Any

import pathspec
import yaml
from aiohttp import web

from tests.loopback.answers import HUB, as_json, asked_for, commit_of, error, role_of
from tests.loopback.reading import refusing, signed_for
from tests.loopback.repository import LARGE, Large, MissingError, NotTheTipError, Repository

_REGULAR_BYTES_MAX = 10_000_000
_PART_BYTES = 1 << 20


@refusing
async def create(request: web.Request) -> web.Response:
    """Create a repository."""
    role = role_of(request)
    if role is None:
        return error(401, "Invalid username or password.")
    if role != "write":
        return error(403, "Forbidden: you must use a write token to create a repository.")
    asked = await request.json()
    name = f"{asked.get('organization') or 'write'}/{asked['name']}"
    is_private = asked.get("private", asked.get("visibility") == "private")
    made = {"url": f"{request.app[HUB].endpoint}/{name}", "name": name, "id": name}
    try:
        request.app[HUB].create(name, is_private=bool(is_private))
    except ValueError as fault:
        if "seen one" not in str(fault):
            return error(400, str(fault))
        return web.json_response({"error": "You already created this model repo", **made}, status=409)
    return as_json(made)


async def validate_yaml(request: web.Request) -> web.Response:
    """Check the header of a card."""
    content = (await request.json())["content"]
    parts = content.split("---\n", 2)
    try:
        header = yaml.safe_load(parts[1]) if content.startswith("---\n") and len(parts) == 3 else None
    except yaml.YAMLError as fault:
        header = None
        return web.json_response({"errors": [{"message": str(fault)}], "warnings": []}, status=400)
    if header is not None and not isinstance(header, dict):
        return web.json_response({"errors": [{"message": "the header is no mapping"}], "warnings": []}, status=400)
    warnings = [] if header else [{"message": "empty or missing yaml metadata in repo card"}]
    return as_json({"errors": [], "warnings": warnings})


@refusing
async def preupload(request: web.Request) -> web.Response:
    """Answer how each file is to be uploaded, and what is there under its path."""
    repository = asked_for(request, writes=True)
    asked = await request.json()
    held = repository.files(commit_of(request, repository))
    rules = asked.get("gitIgnore")
    if rules is None:
        rules = repository.read(held[".gitignore"]).decode() if ".gitignore" in held else ""
    ignored = pathspec.GitIgnoreSpec.from_lines(rules.splitlines())
    files = []
    for file in asked["files"]:
        entry = held.get(file["path"])
        answer = {
            "path": file["path"],
            "uploadMode": "lfs" if _is_large(file) else "regular",
            "shouldIgnore": ignored.match_file(file["path"]),
        }
        files.append(answer | ({"oid": entry.sha256 or entry.oid} if entry else {}))
    return as_json({"files": files})


def _is_large(file: dict[str, Any]) -> bool:
    sample = base64.b64decode(file["sample"])
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(sample, final=len(sample) >= file["size"])  # the last character of a sample may be cut
        is_text = b"\0" not in sample
    except UnicodeDecodeError:
        is_text = False
    named = any(fnmatch.fnmatch(file["path"].rpartition("/")[2], pattern) for pattern in LARGE)
    return bool(file["size"] > _REGULAR_BYTES_MAX or not is_text or named)


@refusing
async def batch(request: web.Request) -> web.Response:
    """Answer where large files are to be put; nowhere for those that are there."""
    repository = asked_for(request, writes=True)
    hub = request.app[HUB]
    objects = []
    for asked in json.loads(await request.text())["objects"]:
        answer = {"oid": asked["oid"], "size": asked["size"]}
        if not repository.object_path(asked["oid"]).is_file():
            upload = {"href": hub.large_url(repository, asked["oid"], "PUT"), "header": {}}
            verify = {"href": f"{hub.endpoint}/{repository.name}.git/info/lfs/verify", "header": {}}
            answer |= {"authenticated": True, "actions": {"upload": upload, "verify": verify}}
        objects.append(answer)
    return as_json({"transfer": "basic", "objects": objects})


async def put(request: web.Request) -> web.Response:
    """Take a large file; it is there once all of it is, and is what it is called."""
    repository = signed_for(request)
    sha256 = request.match_info["sha256"]
    path, digest = repository.object_path(sha256), hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("wb") as file:
            async for chunk in request.content.iter_chunked(_PART_BYTES):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != sha256:
            return error(422, "XAmzContentSHA256Mismatch")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return web.Response(headers={"ETag": f'"{sha256}"'})


@refusing
async def verify(request: web.Request) -> web.Response:
    """Answer whether a large file came."""
    repository = asked_for(request)
    asked = await request.json()
    path = repository.object_path(asked["oid"])
    if path.is_file() and path.stat().st_size == asked["size"]:
        return as_json({})
    return error(422, "the object isn't there, or has another size")


@refusing
async def commit(request: web.Request) -> web.Response:
    """Make a commit, or change nothing."""
    repository = asked_for(request, writes=True)
    if request.match_info["revision"] != "main" or request.query.get("create_pr"):
        return error(400, "this hub has one branch, and no pull requests")
    try:
        header, added, deleted = _operations(repository, await request.text())
    except (ValueError, KeyError, TypeError) as fault:
        return error(400, f"expected a header and operations, seen a fault: {fault}")
    try:
        made = repository.commit(header["parentCommit"], header["summary"], added, *deleted.values())
    except NotTheTipError:
        return error(412, "A commit has happened since. Please refresh and try again.")
    except ValueError as fault:
        return error(400, str(fault))
    except MissingError as fault:
        return error(404, f"A file with this name doesn't exist: {fault}", "EntryNotFound")
    url = f"{request.app[HUB].endpoint}/{repository.name}/commit/{made}"
    return as_json({"success": True, "commitUrl": url, "commitOid": made, "hookOutput": ""})


def _operations(
    repository: Repository, text: str
) -> tuple[dict[str, Any], dict[str, bytes | Large], dict[str, list[str]]]:
    """Read a commit's header, what it adds, and what it deletes by kind.

    Raises:
        ValueError: It isn't in lines of JSON, a path can't be committed, or a large file isn't there.
        KeyError: A key is missing or unknown.
        TypeError: A line is no object.
    """
    header: dict[str, Any] = {}
    added: dict[str, bytes | Large] = {}
    deleted: dict[str, list[str]] = {"deletedFile": [], "deletedFolder": []}
    for line in text.splitlines():
        item = json.loads(line)
        value = item["value"]
        if item["key"] == "header":
            header = {"parentCommit": None, **value, "summary": value["summary"]}
            continue
        if not re.fullmatch(r"(?!.*(^|/)(\.{0,2}|\.git)(/|$))[^\x00-\x1f]+", value["path"].rstrip("/")):
            raise ValueError(f"{value['path']!r} can't be committed")
        if item["key"] == "file":
            added[value["path"]] = base64.b64decode(value["content"])
        elif item["key"] == "lfsFile":
            if fault := _missing(repository, value):
                raise ValueError(fault)
            added[value["path"]] = Large(value["oid"], repository.object_path(value["oid"]).stat().st_size)
        else:
            deleted[item["key"]].append(value["path"])
    return header, added, deleted


def _missing(repository: Repository, file: dict[str, Any]) -> str:
    path = repository.object_path(file["oid"])
    if not path.is_file():
        return f"expected the large file of {file['path']}, seen none; upload it first"
    size = path.stat().st_size
    return "" if file.get("size", size) == size else f"expected {size} bytes of {file['path']}, seen {file['size']}"


_MODEL = "/api/models/{org}/{name}"
_LFS = "/{org}/{name}.git/info/lfs"
ROUTES = (
    web.post("/api/repos/create", create),
    web.post("/api/validate-yaml", validate_yaml),
    web.post(f"{_MODEL}/preupload/{{revision}}", preupload),
    web.post(f"{_LFS}/objects/batch", batch),
    web.post(f"{_LFS}/verify", verify),
    web.put("/lfs/{org}/{name}/{sha256}", put),
    web.post(f"{_MODEL}/commit/{{revision}}", commit),
)

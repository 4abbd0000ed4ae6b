"""What each commit changed in manifests/, in words: models, archives and engines that are new, gone or others."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from morphstream.artifact.errors import MorphstreamError

MOST_COMMITS = 30
_FILES = ("manifests/models.json", "manifests/archives.json")
_MOST_BYTES = 1 << 22  # of a manifest
_GIT_S = 20.0  # for all that Git is asked
_DIGITS = 12  # of a digest that are shown
_FORMAT = "%H%x1f%as%x1f%an%x1f%s"

Json = Mapping[str, Any]


class HistoryError(MorphstreamError):
    """Git doesn't say what became of the manifests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A commit that changed a manifest.

    Attributes:
        commit: Its 40 digits.
        date: On which it was made, such as ``2026-01-31``.
        author: Who made it.
        subject: The first line of its message.
        lines: What it changed, in words.
    """

    commit: str
    date: str
    author: str
    subject: str
    lines: Sequence[str]


async def history(folder: Path) -> list[Change]:
    """Return the latest commits that changed the manifests of a workspace, the newest first, `MOST_COMMITS` at most.

    Raises:
        HistoryError: The folder isn't in a repository of Git's with commits, there is no Git, or it doesn't answer.
    """
    try:
        async with asyncio.timeout(_GIT_S):
            # Along the first parents what a commit found is what the one listed after it left.
            choice = ("--first-parent", "-m", "--no-show-signature", "-z", f"--max-count={MOST_COMMITS + 1}")
            listed = await _git(folder, b"", "log", *choice, f"--format={_FORMAT}", "--no-patch", "--", *_FILES)
            commits = [line.split("\x1f", 3) for line in listed.decode(errors="replace").split("\0") if line]
            names = [f"{commit[0]}:./{file}" for commit in commits for file in _FILES]
            manifests = _objects(await _git(folder, "\n".join([*names, ""]).encode(), "cat-file", "--batch"))
    except TimeoutError:
        raise HistoryError(f"history: expected Git to answer within {_GIT_S:.0f} s; look at `git log`") from None
    states = [state_of(*manifests[at : at + len(_FILES)]) for at in range(0, len(manifests), len(_FILES))]
    before = [*states[1:], state_of(None, None)]
    return [
        Change(commit=commit, date=date, author=author, subject=subject, lines=changes(old, new))
        for (commit, date, author, subject), old, new in zip(commits, before, states, strict=True)
    ][:MOST_COMMITS]


State = Mapping[str, Mapping[str, str]]


def state_of(models: Json | None, archives: Json | None) -> State:
    """Return the digests that manifests name: of ``model``, ``archive`` and ``engine``, each by name."""
    packed = _entries(archives, "archives")
    engines: dict[str, str] = {}
    for entry in packed.values():
        for path, digest in sorted(_entries(entry, "files").items()):
            name = PurePosixPath(path)  # trt_cache/ARCH/VERSIONS/RECIPE_MODEL.SUFFIX, or manifest.json there
            if model := name.stem.partition("_")[2].removesuffix("_ctx") if name.parts[0] == "trt_cache" else "":
                engine = str(name.relative_to("trt_cache").with_name(model))
                engines[engine] = engines.get(engine, "") + str(digest.get("sha256"))
    return {
        "model": {name: str(entry.get("sha256")) for name, entry in _entries(models, "models").items()},
        "archive": {name: str(entry.get("sha256")) for name, entry in packed.items()},
        "engine": engines,
    }


def changes(before: State, after: State) -> list[str]:
    """Return what is other in a state than in the one before, in words; engines of one cache in one line."""
    lines: list[str] = []
    for kind in ("model", "archive"):
        old, new = before[kind], after[kind]
        for name in sorted(old.keys() | new.keys()):
            if name not in old:
                lines.append(f"{kind} {name}: added, sha256 {new[name][:_DIGITS]}")
            elif name not in new:
                lines.append(f"{kind} {name}: removed")
            elif old[name] != new[name]:
                lines.append(f"{kind} {name}: changed, sha256 {old[name][:_DIGITS]} to {new[name][:_DIGITS]}")
    engines: dict[tuple[str, str], list[str]] = {}
    old, new = before["engine"], after["engine"]
    for engine in sorted(old.keys() | new.keys()):
        if old.get(engine) != new.get(engine):
            how = "added" if engine not in old else "removed" if engine not in new else "changed"
            cache, _, model = engine.rpartition("/")
            engines.setdefault((cache, how), []).append(model)
    return [*lines, *(f"engines for {cache}: {how} {', '.join(models)}" for (cache, how), models in engines.items())]


def _entries(manifest: Json | None, key: str) -> Mapping[str, Json]:
    """Return the entries of a manifest, of any format that it ever had."""
    entries = (manifest or {}).get(key)
    found = entries if isinstance(entries, dict) else {}
    return {name: entry for name, entry in found.items() if isinstance(entry, dict)}


def _objects(output: bytes) -> list[Json | None]:
    """Return the JSON of each object that ``git cat-file --batch`` printed, None for none."""
    found: list[Json | None] = []
    while output:
        head, _, output = output.partition(b"\n")
        document = None
        if not head.endswith(b" missing"):
            size = int(head.rpartition(b" ")[2])
            data, output = output[:size], output[size + 1 :]
            with suppress(ValueError, RecursionError):
                document = json.loads(data) if size <= _MOST_BYTES else None
        found.append(document if isinstance(document, dict) else None)
    return found


async def _git(folder: Path, sent: bytes, *arguments: str) -> bytes:
    """Return what Git prints, in a folder, to what is sent to it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            "git", *arguments, cwd=folder, env={**environment, "LC_ALL": "C"}, stdin=pipe, stdout=pipe, stderr=pipe
        )
    except FileNotFoundError:
        raise HistoryError("history: expected the program git, seen none; install it") from None
    try:
        output, errors = await process.communicate(sent)
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
        raise
    if process.returncode:
        seen = " ".join(errors.decode(errors="replace").split())[:300]
        raise HistoryError(f"history: expected a repository of Git's with commits, seen: {seen}; correct that")
    return output

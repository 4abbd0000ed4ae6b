"""Pack a folder of code for hot deployment: what isn't ignored, the same bytes every time, and no secrets."""

import os
import re
import subprocess
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

from morphstream.artifact import vocabulary
from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.manifest import ArchiveEntry
from stages.pack import pack_archive
from stages.params import ArchiveOptions
from stages.publish.secrets import Secrets, command_to_review
from stages.validate import check_unpacks
from stages.workspace import Workspace


class CodeError(MorphstreamError):
    """A folder of code can't be deployed as it is."""


def pack_code(
    code: Path, tags: Collection[str], options: ArchiveOptions, build: Path | None = None
) -> dict[str, ArchiveEntry]:
    """Pack a folder for each tag into ``deploy/TAG/app_code.tar.zst`` of build/, and return their entries by path.

    That is the current folder's, or another.
    """
    if unknown := sorted(set(tags) - set(vocabulary.DEPLOY_TAGS)):
        raise CodeError(f"deploy: expected a tag of {', '.join(vocabulary.DEPLOY_TAGS)}, seen {unknown[0]}; name one")
    names = files_of(code)
    workspace, entries = Workspace(Path()), {}
    _check(code, names, Secrets(code, workspace.downloads / "secret_rules"))
    build = build or workspace.build
    for tag in tags:
        name = f"deploy/{tag}/app_code.tar.zst"
        entries[name] = pack_archive({path: code / path for path in names}, build / name, options)
        check_unpacks(build / name, entries[name])
    return entries


def files_of(code: Path) -> list[str]:
    """Return the paths in a folder that Git would not ignore, sorted; it needn't be a repository of Git's.

    Only ``.gitignore`` files count, no list of this machine or user. What Git tracks counts, ignored or not.
    """
    if not code.is_dir():
        raise CodeError(f"deploy {code}: expected a folder of code, seen none; name another with --code")
    listing = ("ls-files", "-z", "--others", "--exclude-per-directory=.gitignore")
    done = _git(code, "rev-parse", "--is-inside-work-tree")
    if done.returncode == 0:
        done = _git(code, *listing, "--cached")
    elif "not a git repository" in done.stderr:
        with tempfile.TemporaryDirectory() as folder:
            _git(code, "init", "--quiet", "--bare", folder)
            done = _git(code, *listing, GIT_DIR=folder, GIT_WORK_TREE=str(code.resolve()))
    if done.returncode:
        raise CodeError(f"deploy {code}: expected Git to list it, seen: {' '.join(done.stderr.split())}; correct that")
    names = sorted({name for name in done.stdout.split("\0") if name and os.path.lexists(code / name)})
    if not names:
        raise CodeError(f"deploy {code}: expected a file that isn't ignored, seen none; see its .gitignore")
    return names


def _git(code: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | {"LC_ALL": "C"}
    command = ["git", *arguments]
    return subprocess.run(
        command,
        cwd=code,
        env={**inherited, **environment},
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",  # names are bytes
        check=False,
    )


def _check(code: Path, names: Iterable[str], secrets: Secrets) -> None:
    for name in names:
        if not re.fullmatch(vocabulary.SAFE_PATH.pattern, name.rstrip("/")):
            expected = f"deploy {name!a}: expected {vocabulary.SAFE_PATH.words}, in UTF-8"
            raise CodeError(f"{expected}, seen another; rename it, or add it to .gitignore")
        path = code / name
        if path.is_symlink() or not path.is_file():
            kind = "a link" if path.is_symlink() else "another repository" if path.is_dir() else "no regular file"
            raise CodeError(f"deploy {name}: expected a regular file, seen {kind}; copy it, or add it to .gitignore")
        if reason := secrets.reason(name):
            remedy = (
                f"add it to .gitignore, remove the secret, or if it was reviewed run there: {command_to_review(name)}"
            )
            raise CodeError(f"deploy {name}: expected no secret, seen what looks like one ({reason}); {remedy}")

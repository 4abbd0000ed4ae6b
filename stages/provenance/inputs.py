"""What archives are made from, beside models: the source, its locks, and the libraries that these pin."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from morphstream import __version__
from morphstream.artifact.digest import Digest, digest_of_file
from stages.workspace import Workspace

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_LOCK = "requirements/pipeline.lock"
_OSI = "License :: OSI Approved :: "
_MOST_LETTERS = 80  # of a licence's name; some packages have its whole text there


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A pinned package of the pipeline, and the licence that it says it has; empty where it says none."""

    name: str
    version: str
    licence: str

    @property
    def purl(self) -> str:
        """Its package URL."""
        return f"pkg:pypi/{re.sub('[-_.]+', '-', self.name).lower()}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What every archive of a workspace is made from.

    Attributes:
        version: Of the pipeline.
        commit: Of the source in Git, 40 digits; None where it is in no checkout.
        is_modified: Whether tracked files differ from that commit.
        files: Digest of params.yaml and of each lock, by path.
        libraries: The pinned packages.
    """

    version: str
    commit: str | None
    is_modified: bool
    files: Mapping[str, Digest]
    libraries: tuple[Library, ...]


def inputs_of(workspace: Workspace) -> Inputs:
    """Look at the inputs of a workspace."""
    root = workspace.root
    locks = [path for path in (root / "dvc.lock", *sorted(root.glob("pipeline/*/dvc.lock"))) if path.is_file()]
    files = [path for path in (workspace.params, *locks, root / _LOCK) if path.is_file()]
    commit = _git(root, "rev-parse", "--verify", "HEAD").strip() or None
    changes = _git(root, "status", "--porcelain", "--untracked-files=no") if commit else ""
    return Inputs(
        version=__version__,
        commit=commit,
        is_modified=bool(changes.strip()),
        files={path.relative_to(root).as_posix(): digest_of_file(path) for path in files},
        libraries=tuple(_libraries(root / _LOCK)),
    )


def _git(root: Path, *words: str) -> str:
    """Return what Git says of a checkout whose top is a folder; nothing where that is none."""
    if not (root / ".git").exists():
        return ""
    try:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def _libraries(lock: Path) -> Iterator[Library]:
    text = lock.read_text("utf-8") if lock.is_file() else ""
    for name, version in sorted(set(_PINNED.findall(text))):
        yield Library(name=name, version=version, licence=_licence_of(name, version))


def _licence_of(name: str, version: str) -> str:
    """Return the licence that an installed package says it has."""
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:  # of another platform
        return ""
    if found["Version"] != version:
        return ""
    classified = [one.removeprefix(_OSI) for one in found.get_all("Classifier") or () if one.startswith(_OSI)]
    said = found["License-Expression"] or ", ".join(classified) or (found["License"] or "").strip()
    return said if len(said) <= _MOST_LETTERS and "\n" not in said else "see its package"

"""The folder that code is deployed into: its releases, the links to those in use, and who may remove the others.

Conventions:

* ``releases/NAME/`` is a release: whole when it appears, never changed. NAME begins its tar's sha256; ``.1``, ``.2``
  follow where a folder of that name is damaged. Its ``code/`` holds exactly the archive's files; its ``held`` is an
  empty file, and the release is used while a process shares the lock on that.
* ``current`` is a link to the release in use, replaced in one step after the release's check has passed; ``previous``
  is one to that before. Only these two are kept, and what is used.
* Only who has the lock on ``.lock`` changes anything; ``.staging/`` is that process's (ADR 14).
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

from morphstream.artifact.archive import unpack
from morphstream.artifact.digest import Digest, verify_file
from morphstream.artifact.errors import DigestMismatchError
from morphstream.artifact.listings import ArchiveEntry
from morphstream.store.volume import alone, explained, remove_unused, sync

CODE, HELD = "code", "held"
CURRENT, PREVIOUS = "current", "previous"
_STAGING = ".staging"
_TIDY_S = 1.0  # a process that was killed between fork and exec leaves its lock to its child for a moment


def linked(root: Path, link: str) -> Path | None:
    """Return the release that a link names; None where it names none that is there."""
    try:
        release = root / "releases" / (root / link).readlink().name
    except OSError:
        return None
    return release if release.is_dir() else None


def current_of(root: Path, entry: ArchiveEntry) -> Path | None:
    """Return the current release where it is what an archive holds, every digest right."""
    current = linked(root, CURRENT)
    return current if current and is_of(current, entry) and _is_exactly(current, entry.files) else None


def lying(root: Path, entry: ArchiveEntry) -> Path | None:
    """Return a release that lies there already, every digest right, as after a step back; None if there is none."""
    releases = sorted((root / "releases").glob(f"{_name_of(entry)}*"))
    return next((release for release in releases if _is_exactly(release, entry.files)), None)


def is_of(release: Path, entry: ArchiveEntry) -> bool:
    """Tell whether a release, good or damaged, has the name of an archive's."""
    return release.name.partition(".")[0] == _name_of(entry)


@contextmanager
def changing(root: Path, timeout_s: float) -> Iterator["Change"]:
    """Lend the right to change the releases to one process at a time.

    Args:
        root: The folder with the releases; made where there is none.
        timeout_s: How long to wait for another process.

    Raises:
        TimeoutError: Another process changes them for longer than that.
        OSError: The folder can't be written; says why, and what to do.
    """
    staging = root / _STAGING
    try:
        root.mkdir(parents=True, exist_ok=True)
        with alone(root / ".lock", timeout_s):
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            try:
                yield Change(root, staging)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise explained(error, root) from error


def tidy(root: Path) -> None:
    """Remove what killed processes left and what is used no more, where there is any and no other is at work."""
    if _unlinked(root) or (root / _STAGING).exists():
        with suppress(OSError), changing(root, _TIDY_S) as change:  # TimeoutError is one; a volume may be read-only
            change.sweep()


@dataclass(frozen=True, slots=True)
class Change:
    """The right to change a folder of releases.

    Attributes:
        root: That folder.
        staging: One in it, for this process alone.
    """

    root: Path
    staging: Path

    def add(self, entry: ArchiveEntry, stream: BinaryIO) -> Path:
        """Put an archive's release beside the others, and return its folder.

        Raises:
            UnsafeArchiveError: The archive is broken, or holds other files than it should.
            DigestMismatchError: It, or a file in it, holds other bytes than it should.
            FetchError: The stream ends early.
            OSError: The folder can't be written.
        """
        fresh = self.staging / "release"
        fresh.mkdir()
        (fresh / HELD).touch()
        unpack(stream, entry.files, fresh / CODE, archive=entry.digest)
        for path, _, files in os.walk(fresh):
            for file in files:
                sync(Path(path, file))
            sync(Path(path))
        releases = self.root / "releases"
        releases.mkdir(exist_ok=True)
        own = _name_of(entry)
        places = (releases / (f"{own}.{number}" if number else own) for number in count())
        release = next(place for place in places if not os.path.lexists(place))
        fresh.replace(release)
        sync(releases)
        return release

    def link(self, link: str, release: Path) -> None:
        """Have a link name a release, in one step."""
        (self.staging / link).symlink_to(Path("releases") / release.name)
        (self.staging / link).replace(self.root / link)
        sync(self.root)

    def sweep(self) -> None:
        """Remove every release that no link names and no process uses."""
        for release in _unlinked(self.root):
            remove_unused(release, HELD)


def _unlinked(root: Path) -> list[Path]:
    kept = {linked(root, CURRENT), linked(root, PREVIOUS)}
    return [release for release in (root / "releases").glob("*") if release not in kept]


def _is_exactly(release: Path, files: Mapping[str, Digest]) -> bool:
    """Tell whether a release holds exactly some files, every digest computed, and can be held."""
    code = release / CODE
    try:
        if {path.name for path in release.iterdir()} != {CODE, HELD} or not (release / HELD).is_file():
            return False
        found = (path for path in code.rglob("*") if path.is_symlink() or not path.is_dir())
        if {path.relative_to(code).as_posix() for path in found} != files.keys():
            return False
        for name, digest in files.items():
            verify_file(code / name, digest)
    except (DigestMismatchError, OSError):
        return False
    return True


def _name_of(entry: ArchiveEntry) -> str:
    return entry.tar_digest.sha256[:16]

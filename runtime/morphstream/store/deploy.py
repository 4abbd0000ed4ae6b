"""Hot deployment: the code of a tag, verified, unpacked beside, checked, and switched to in one step.

Conventions:

* ``releases/NAME/`` is a release: whole when it appears, never changed. NAME begins its tar's sha256; ``.1``, ``.2``
  follow where a folder of that name is damaged.
* ``current`` is a link to the release in use, replaced in one step after the release's check has passed; ``previous``
  is one to that before. Only these two are kept.
* Only who has the lock on ``.lock`` changes anything; ``.staging/`` is that process's (ADR 14).
"""

import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from morphstream.artifact.archive import unpack
from morphstream.artifact.digest import Digest, verify_file
from morphstream.artifact.errors import (
    DigestMismatchError,
    FetchError,
    ManifestError,
    MorphstreamError,
    UnsafeArchiveError,
)
from morphstream.artifact.manifest import ArchiveEntry, ArchivesManifest
from morphstream.artifact.vocabulary import DEPLOY_TAGS
from morphstream.store.source import Source
from morphstream.store.volume import alone, explained, sync

CHECK_TIMEOUT_S = 60.0  # for an application that opens its sessions before it says that it is well
LOCK_TIMEOUT_S = 600.0  # as a store's

_log = logging.getLogger("morphstream.deploy")


class DeployError(MorphstreamError):
    """A tag has no code, or its code fails its check; what was deployed before stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What a deployment did.

    Attributes:
        archive: The code's archive.
        source: Where it came from, in words.
        release: The folder of the code.
        is_new: It was switched to; False where it was current already, and nothing was touched.
    """

    archive: str
    source: str
    release: Path
    is_new: bool

    def __str__(self) -> str:
        done = "switched to" if self.is_new else "was current already"
        return f"{self.archive} from {self.source}: release {self.release.name} {done}"


def deploy(
    tag: str,
    into: Path,
    sources: Sequence[Source],
    *,
    check: str = "",
    timeout_s: float = CHECK_TIMEOUT_S,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
) -> Deployed:
    """Make the code of a tag the current release; on any error the one before stays.

    Args:
        tag: One of ``DEPLOY_TAGS``.
        into: The folder with the releases; made where there is none.
        sources: Where to take the code from, in their order.
        check: A command that ends with 0 where a release works, in a shell's words but run by none; its folder is the
            release, which is first on its PYTHONPATH. Empty for none.
        timeout_s: In which it must end.
        lock_timeout_s: How long to wait for another deployment.

    Raises:
        ValueError: There is no such tag, the check can't be split into words, or there is no source.
        DeployError: The last source has no code of that tag, or the check failed.
        FetchError: It can't give the manifest or the archive.
        ManifestError: Its manifest breaks the format.
        UnsafeArchiveError: Its archive is broken, or holds other files than it should.
        DigestMismatchError: Its archive, or a file in it, holds other bytes than it should.
        TimeoutError: Another deployment takes longer than `lock_timeout_s`.
        OSError: The folder can't be written; says why, and what to do.
    """
    if tag not in DEPLOY_TAGS or not sources:
        raise ValueError(f"deploy: expected a tag of {', '.join(DEPLOY_TAGS)} and a source, seen {tag!r} and {sources}")
    name, command = f"deploy/{tag}/app_code.tar.zst", shlex.split(check)
    for source in sources:
        try:
            entry = _entry_of(name, source)
            if current := _current(into, entry):  # also on a volume that can't be written to
                return Deployed(archive=name, source=str(source), release=current, is_new=False)
            with _changing(into, lock_timeout_s) as staging:
                return _deployed(name, entry, source, _Folder(into, staging), command, timeout_s)
        except (FetchError, ManifestError, UnsafeArchiveError, DigestMismatchError, _NoCodeError) as error:
            if source is sources[-1]:
                raise
            _log.warning("%s", error)
    raise AssertionError("there is a source")


class _NoCodeError(DeployError):
    """A source has no code of a tag; another may."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """The folder with the releases, and the staging folder in it."""

    root: Path
    staging: Path

    def link(self, link: str, release: Path) -> None:
        """Have a link name a release, in one step."""
        (self.staging / link).symlink_to(Path("releases") / release.name)
        (self.staging / link).replace(self.root / link)
        sync(self.root)

    def sweep(self) -> None:
        """Remove every release that no link names."""
        kept = {_linked(self.root, "current"), _linked(self.root, "previous")}
        for release in (self.root / "releases").glob("*"):
            if release not in kept:
                shutil.rmtree(release, ignore_errors=True)


def _entry_of(name: str, source: Source) -> ArchiveEntry:
    try:
        archives = ArchivesManifest.from_json(source.read("manifests/archives.json")).archives
    except ManifestError as error:
        raise ManifestError(error.where, f"{source}, archives.json: {error.message}") from error
    if name not in archives:
        raise _NoCodeError(f"{source}: expected {name} in archives.json, seen no such archive; deploy code there first")
    return archives[name]


@contextmanager
def _changing(into: Path, lock_timeout_s: float) -> Iterator[Path]:
    """Lend an empty folder, and the right to change the releases, to one process at a time."""
    staging = into / ".staging"
    try:
        into.mkdir(parents=True, exist_ok=True)
        with alone(into / ".lock", lock_timeout_s):
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            try:
                yield staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise explained(error, into) from error


def _deployed(
    name: str, entry: ArchiveEntry, source: Source, folder: _Folder, command: Sequence[str], timeout_s: float
) -> Deployed:
    folder.sweep()  # of what a killed one left
    if current := _current(folder.root, entry):  # another was faster
        return Deployed(archive=name, source=str(source), release=current, is_new=False)
    current = _linked(folder.root, "current")
    release = _lying(entry, folder.root) or _unpacked(name, entry, source, folder)
    try:
        if command:
            _check(release, command, timeout_s)
        if current and not _is_of(current, entry):  # else it is damaged, and what was before it is better
            folder.link("previous", current)
        folder.link("current", release)
    finally:
        folder.sweep()
    return Deployed(archive=name, source=str(source), release=release, is_new=True)


def _linked(root: Path, link: str) -> Path | None:
    """Return the release that a link names; None where it names none that is there."""
    try:
        release = root / "releases" / (root / link).readlink().name
    except OSError:
        return None
    return release if release.is_dir() else None


def _current(root: Path, entry: ArchiveEntry) -> Path | None:
    """Return the current release where it is what an archive holds, every digest right."""
    current = _linked(root, "current")
    return current if current and _is_of(current, entry) and _is_exactly(current, entry.files) else None


def _lying(entry: ArchiveEntry, root: Path) -> Path | None:
    """Return the release that lies there already, every digest right, as after a step back; None if there is none."""
    releases = sorted((root / "releases").glob(f"{_name_of(entry)}*"))
    return next((release for release in releases if _is_exactly(release, entry.files)), None)


def _unpacked(name: str, entry: ArchiveEntry, source: Source, folder: _Folder) -> Path:
    """Put a release beside the others, and return its folder."""
    fresh = folder.staging / "release"
    with source.open(name) as stream:
        unpack(stream, entry.files, fresh, archive=entry.digest)
    for path, _, files in os.walk(fresh):
        for file in files:
            sync(Path(path, file))
        sync(Path(path))
    releases = folder.root / "releases"
    releases.mkdir(exist_ok=True)
    own = _name_of(entry)
    places = (releases / (f"{own}.{number}" if number else own) for number in count())
    release = next(place for place in places if not os.path.lexists(place))
    fresh.replace(release)
    sync(releases)
    return release


def _check(release: Path, command: Sequence[str], timeout_s: float) -> None:
    """Run a release's check; what it writes goes to stderr.

    Raises:
        DeployError: It ends with another code than 0, or not in time, or can't be started.
    """
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(release), os.environ.get("PYTHONPATH"))))
    what, start = f"release {release.name}: its check `{shlex.join(command)}`", time.monotonic()
    try:
        process = subprocess.Popen(
            command,
            cwd=release,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            start_new_session=True,  # so that all it starts can be ended with it
        )
    except OSError as error:
        raise DeployError(f"{what}: expected a program, seen {error.strerror}; mend the check") from error
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise DeployError(f"{what}: expected its end within {timeout_s:g} s, seen none; mend the code") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if code:
        seen = f"exit {code}" if code > 0 else f"signal {-code}"
        raise DeployError(f"{what}: expected exit 0, seen {seen}; mend the code, the release before stays")
    _log.info("%s passed in %.2f s", what, time.monotonic() - start)


def _is_exactly(release: Path, files: Mapping[str, Digest]) -> bool:
    """Tell whether a release holds exactly some files, every digest computed."""
    try:
        found = (path for path in release.rglob("*") if path.is_symlink() or not path.is_dir())
        if {path.relative_to(release).as_posix() for path in found} != files.keys():
            return False
        for name, digest in files.items():
            verify_file(release / name, digest)
    except (DigestMismatchError, OSError):
        return False
    return True


def _is_of(release: Path, entry: ArchiveEntry) -> bool:
    return release.name.partition(".")[0] == _name_of(entry)


def _name_of(entry: ArchiveEntry) -> str:
    return entry.tar_digest.sha256[:16]

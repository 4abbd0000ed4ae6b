"""Hot deployment: the code of a tag, verified, unpacked beside, checked, and switched to in one step.

Where releases lie, and what is kept of them, says `morphstream.deploy.releases`.
"""

import logging
import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from morphstream.artifact.errors import (
    DigestMismatchError,
    FetchError,
    ManifestError,
    MorphstreamError,
    UnsafeArchiveError,
)
from morphstream.artifact.listings import ArchiveEntry
from morphstream.artifact.vocabulary import DEPLOY_TAGS
from morphstream.deploy.releases import (
    CODE,
    CURRENT,
    PREVIOUS,
    Change,
    changing,
    current_of,
    is_of,
    linked,
    lying,
    tidy,
)
from morphstream.program import ending_of, run_program
from morphstream.source.publication import Publication
from morphstream.source.source import Source

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
        release: Its folder; the code is in its ``code``.
        is_new: It was switched to; False where it was current already.
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
            release's code, which is first on its PYTHONPATH. Empty for none.
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
            if current := current_of(into, entry):  # also on a volume that can't be written to
                tidy(into)
                return Deployed(archive=name, source=str(source), release=current, is_new=False)
            with changing(into, lock_timeout_s) as change:
                return _deployed(name, entry, source, change, command, timeout_s)
        except (FetchError, ManifestError, UnsafeArchiveError, DigestMismatchError, _NoCodeError) as error:
            if source is sources[-1]:
                raise
            _log.warning("%s", error)
    raise AssertionError("there is a source")


class _NoCodeError(DeployError):
    """A source has no code of a tag; another may."""


def _entry_of(name: str, source: Source) -> ArchiveEntry:
    publication = Publication(source)
    if entry := publication.archives().get(name):
        return entry
    expected = f"{source}: expected {name} in archives.json"
    raise publication.absent or _NoCodeError(f"{expected}, seen no such archive; deploy code there first")


def _deployed(
    name: str, entry: ArchiveEntry, source: Source, change: Change, command: Sequence[str], timeout_s: float
) -> Deployed:
    change.sweep()  # of what a killed one left
    if current := current_of(change.root, entry):  # another was faster
        return Deployed(archive=name, source=str(source), release=current, is_new=False)
    current, release = linked(change.root, CURRENT), lying(change.root, entry)
    try:
        if release is None:
            with source.open(name) as stream:
                release = change.add(entry, stream)
        if command:
            _check(release, command, timeout_s)
        if current and not is_of(current, entry):  # else it is damaged, and what was before it is better
            change.link(PREVIOUS, current)
        change.link(CURRENT, release)
    finally:
        change.sweep()
    return Deployed(archive=name, source=str(source), release=release, is_new=True)


def _check(release: Path, command: Sequence[str], timeout_s: float) -> None:
    """Run a release's check; what it writes goes to stderr.

    Raises:
        DeployError: It ends with another code than 0, or not in time, or can't be started.
    """
    folder = release / CODE
    path = {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))}
    what, start = f"release {release.name}: its check `{shlex.join(command)}`", time.monotonic()
    try:
        code = run_program(command, folder=folder, environment=path, timeout_s=timeout_s)
    except TimeoutError:
        raise DeployError(f"{what}: expected its end within {timeout_s:g} s, seen none; mend the code") from None
    except OSError as error:
        raise DeployError(f"{what}: expected a program, seen {error.strerror}; mend the check") from error
    if code:
        raise DeployError(f"{what}: expected exit 0, seen {ending_of(code)}; mend the code, the release before stays")
    _log.info("%s passed in %.2f s", what, time.monotonic() - start)

"""Hot deployment: the code of a tag is verified, unpacked beside the release in use, checked, and switched to.

What a folder of releases holds, and what is kept of it, is described in `morphstream.deploy.releases`.
"""

import logging
import math
import os
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from morphstream.artifact.errors import MorphstreamError, SourceError
from morphstream.artifact.vocabulary import DEPLOY_TAGS
from morphstream.deploy.releases import CODE, CURRENT_LINK, PREVIOUS_LINK, Releases
from morphstream.program import ProgramError, run_program
from morphstream.source.attempts import first_result
from morphstream.source.publication import Publication
from morphstream.source.source import Source
from morphstream.store.trust import trust_of

CHECK_TIMEOUT_S = 60.0  # for an application that opens its sessions before it reports that it works
LOCK_TIMEOUT_S = 600.0  # as a store's
_TIDY_S = 1.0  # a process that was killed between fork and exec may leave its lock to a child for a moment

_log = logging.getLogger("morphstream.deploy")


class DeployError(MorphstreamError):
    """A tag has no code, or its code fails its check; the release before stays current."""


class NoCodeError(DeployError, SourceError):
    """A source has no code of a tag."""


@dataclass(frozen=True, slots=True)
class Check:
    """A command that a release must pass in time before it becomes current; run by no shell, empty for none."""

    command: tuple[str, ...] = ()
    timeout_s: float = CHECK_TIMEOUT_S

    def __post_init__(self) -> None:
        if not 0 < self.timeout_s < math.inf:
            raise ValueError(f"check: expected seconds above 0, seen {self.timeout_s}")

    @classmethod
    def parse(cls, text: str, timeout_s: float = CHECK_TIMEOUT_S) -> Self:
        """Read a command as a shell would split it into words.

        Raises:
            ValueError: A quotation isn't closed.
        """
        try:
            return cls(tuple(shlex.split(text)), timeout_s)
        except ValueError as error:
            raise ValueError(f"check: expected a command in a shell's words, seen {text!r}: {error}") from error

    def run(self, release: Path, folder: Path) -> None:
        """Run the command in a new copy of a release's code, first on its PYTHONPATH; its output goes to stderr.

        What it writes there isn't in the release.
        """
        code, start = folder / CODE, time.monotonic()
        shutil.copytree(release / CODE, code)
        path = os.pathsep.join(filter(None, (str(code), os.environ.get("PYTHONPATH"))))
        what = self._of(release)
        try:
            run_program(self.command, folder=code, environment={"PYTHONPATH": path}, timeout_s=self.timeout_s)
        except ProgramError as error:
            raise DeployError(f"{what}: {error}; fix the code, the release before stays") from None
        except OSError as error:
            raise DeployError(f"{what}: expected a program, seen {error.strerror}; fix the check") from error
        _log.info("%s passed in %.2f s", what, time.monotonic() - start)

    def confirm(self, release: Path, changes: Sequence[str]) -> None:
        """Check that a release is as it was before the command ran."""
        if changes:
            seen = f"{', '.join(changes[:3])}{f' and {len(changes) - 3} more' if len(changes) > 3 else ''}"
            expected = f"{self._of(release)}: expected the release as it was verified, seen {seen}"
            raise DeployError(f"{expected}; have it write elsewhere, the release before stays")

    def _of(self, release: Path) -> str:
        return f"release {release.name}: its check `{shlex.join(self.command)}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What a deployment did: whether it switched to a release, whose code is in the folder ``code`` of it."""

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
    check: Check | None = None,
    root: Path | None = None,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
) -> Deployed:
    """Make the code of a tag the current release; on any error the one before stays.

    Args:
        tag: One of ``DEPLOY_TAGS``.
        into: The folder with the releases; made where there is none.
        sources: Where to get the code from; the first one that can give it does.
        check: What the release must pass before it becomes current; None for nothing.
        root: Root document of the publisher, as `trust_of` takes it: sources must be signed as it says.
        lock_timeout_s: How long to wait for another deployment.

    Raises:
        ValueError: There is no such tag, or no source.
    """
    if tag not in DEPLOY_TAGS or not sources:
        raise ValueError(f"deploy: expected a tag of {', '.join(DEPLOY_TAGS)} and a source, seen {tag!r} and {sources}")
    trust = trust_of(into, root)
    one = partial(_deploy_from, f"deploy/{tag}/app_code.tar.zst", Releases(into), check or Check(), lock_timeout_s)
    attempts = (partial(one, Publication(source, trust=trust)) for source in sources)
    return first_result(attempts, partial(_log.warning, "%s"))


def _deploy_from(
    archive: str, releases: Releases, check: Check, lock_timeout_s: float, publication: Publication
) -> Deployed:
    """Deploy an archive of one publication; raises as `deploy`."""
    source = publication.source
    if (entry := publication.archives().get(archive)) is None:
        expected = f"{source}: expected {archive} in archives.json"
        raise publication.absent or NoCodeError(f"{expected}, seen no such archive; deploy code there first")
    release = releases.find_release(entry)
    if release and release == releases.linked(CURRENT_LINK):  # also on a volume that can't be written
        releases.tidy(_TIDY_S)
        return Deployed(archive=archive, source=str(source), release=release, is_new=False)
    with releases.transaction(lock_timeout_s) as staging:
        before, release = releases.linked(CURRENT_LINK), releases.find_release(entry)
        is_new = release is None or release != before  # else another deployment was faster
        if release is None:
            with source.open(archive) as stream:
                release = releases.unpack(entry, stream, staging)
        if is_new:
            if check.command:
                check.run(release, staging)
                check.confirm(release, releases.changes(release, entry))
            if before and before not in releases.find(entry.tar_digest):  # else it is damaged, and `previous` is better
                releases.link(PREVIOUS_LINK, before, staging)
            releases.link(CURRENT_LINK, release, staging)
    return Deployed(archive=archive, source=str(source), release=release, is_new=is_new)

"""The folder that code is deployed into: its releases, and the links to those in use.

Conventions:

* ``releases/NAME/`` is a release: a generation of `morphstream.store.generations`, named by its tar's sha256. Its
  ``code/`` holds exactly the archive's files; its ``held``, which a process locks to hold it, has that sha256. It was
  empty in earlier releases, which serve on.
* ``current`` is a link to the release in use, replaced in one step after the release has passed its check; ``previous``
  is one to the release before. These two are kept, and those that are held (ADR 14).
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from morphstream.artifact.archive import unpack
from morphstream.artifact.digest import digest_of
from morphstream.artifact.manifest import ArchiveEntry
from morphstream.artifact.regular_file import kind_of
from morphstream.store.generations import GENERATION, Generations, changes
from morphstream.store.volume import foreign

CODE, HELD = "code", "held"
CURRENT_LINK, PREVIOUS_LINK = "current", "previous"


class Releases(Generations):
    """The releases in a folder; it need not exist."""

    def __init__(self, root: Path) -> None:
        super().__init__(
            root,
            "releases",
            marker=HELD,
            proof=lambda text: text.decode("ascii"),
            pointed=self._linked,
            check=self._check_links,
        )

    def linked(self, link: str) -> Path | None:
        """Return the release that a link names; None where there is no such release."""
        name = self._named_by(link)
        return self.folder / name if name and (self.folder / name).is_dir() else None

    def find_release(self, entry: ArchiveEntry) -> Path | None:
        """Return an existing release of an archive, or None; computes every digest."""
        return next((release for release in self.find(entry.tar_digest) if not self.changes(release, entry)), None)

    def changes(self, release: Path, entry: ArchiveEntry) -> list[str]:
        """Return in words how a release differs from its archive."""
        held = release / HELD
        is_old = held.is_file() and not held.stat().st_size
        files = {f"{CODE}/{name}": digest for name, digest in entry.files.items()}
        return [*changes(release, {**files, HELD: digest_of(b"" if is_old else _mark_of(entry))})]

    def unpack(self, entry: ArchiveEntry, stream: BinaryIO, staging: Path) -> Path:
        """Unpack an archive as a release, and return its folder."""
        fresh = staging / "release"
        fresh.mkdir()
        (fresh / HELD).write_bytes(_mark_of(entry))
        unpack(stream, entry.files, fresh / CODE, archive=entry.digest)
        return self.add(fresh, entry.tar_digest)

    def link(self, link: str, release: Path, staging: Path) -> None:
        """Make a link name a release, in one step."""
        (staging / link).symlink_to(Path(self.folder.name) / release.name)
        self.point(staging / link)

    def _linked(self) -> set[str]:
        return {release.name for link in (CURRENT_LINK, PREVIOUS_LINK) if (release := self.linked(link))}

    def _named_by(self, link: str) -> str | None:
        """Return the name of the release in a link that was made here."""
        with suppress(OSError):
            target = (self.root / link).readlink()
            if target.parent == Path(self.folder.name) and re.fullmatch(GENERATION.pattern, target.name):
                return target.name
        return None

    def _check_links(self) -> None:
        """Check that nothing of others is where the links are."""
        for link in (CURRENT_LINK, PREVIOUS_LINK):
            path = self.root / link
            if os.path.lexists(path) and self._named_by(link) is None:
                raise foreign(path, f"a link to {self.folder.name}/NAME", kind_of(path.lstat().st_mode))


def _mark_of(entry: ArchiveEntry) -> bytes:
    return entry.tar_digest.sha256.encode()

"""The folder that code is deployed into: its releases, and the links to those in use.

Conventions:

* ``releases/NAME/`` is a release: a generation of `morphstream.store.generations`, named by its tar's sha256. Its
  ``code/`` holds exactly the archive's files; its ``held`` is an empty file, which a process locks to hold it.
* ``current`` is a link to the release in use, replaced in one step after the release has passed its check; ``previous``
  is one to the release before. These two are kept, and those that are held (ADR 14).
"""

from pathlib import Path
from typing import BinaryIO

from morphstream.artifact.archive import unpack
from morphstream.artifact.digest import digest_of
from morphstream.artifact.listings import ArchiveEntry
from morphstream.store.generations import Generations

CODE, HELD = "code", "held"
CURRENT_LINK, PREVIOUS_LINK = "current", "previous"


class Releases(Generations):
    """The releases in a folder; it need not exist."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, "releases", marker=HELD, pointed=self._linked)

    def linked(self, link: str) -> Path | None:
        """Return the release that a link names; None where there is no such release."""
        try:
            release = self.folder / (self.root / link).readlink().name
        except OSError:
            return None
        return release if release.is_dir() else None

    def find_release(self, entry: ArchiveEntry) -> Path | None:
        """Return an existing release of an archive, or None; computes every digest."""
        files = {f"{CODE}/{name}": digest for name, digest in entry.files.items()}
        return self.find_intact(entry.tar_digest, {**files, HELD: digest_of(b"")})

    def unpack(self, entry: ArchiveEntry, stream: BinaryIO, staging: Path) -> Path:
        """Unpack an archive as a release, and return its folder."""
        fresh = staging / "release"
        fresh.mkdir()
        (fresh / HELD).touch()
        unpack(stream, entry.files, fresh / CODE, archive=entry.digest)
        return self.add(fresh, entry.tar_digest)

    def link(self, link: str, release: Path, staging: Path) -> None:
        """Make a link name a release, in one step."""
        (staging / link).symlink_to(Path(self.folder.name) / release.name)
        self.point(staging / link)

    def _linked(self) -> set[str]:
        return {release.name for link in (CURRENT_LINK, PREVIOUS_LINK) if (release := self.linked(link))}

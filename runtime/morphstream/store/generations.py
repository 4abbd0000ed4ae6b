"""A folder of immutable folders named by their content: complete when they appear, held while in use, swept after.

It keeps the engines of a store and the releases of deployed code. Conventions:

* ``FOLDER/NAME/`` is a generation. NAME begins its content's sha256; ``.1``, ``.2`` follow where the generation of that
  name is damaged, or still in use. It is never changed once it is there.
* A pointer beside ``FOLDER`` names the generation in use; it is replaced last, in one step.
* A process holds a generation by sharing the lock on its marker, a file of it.
* Only the process with the lock on ``.lock`` adds or removes generations; it removes none that a pointer names or a
  process holds. ``.staging/`` belongs to that process; whatever a killed one left there is removed (ADR 13).
"""

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from morphstream.artifact.archive import sync
from morphstream.artifact.digest import Digest, verify_file
from morphstream.artifact.errors import DigestMismatchError
from morphstream.store.volume import exclusive_lock, explain, remove_unused

Rename = Callable[[Path, Path], object]


class Generations:
    """The generations in a folder of a root, which need not exist."""

    def __init__(
        self,
        root: Path,
        folder: str,
        *,
        marker: str,
        pointed: Callable[[], Collection[str] | None],
        rename: Rename = os.replace,
    ) -> None:
        """Name the folders; nothing is read yet.

        Args:
            root: The folder with the pointers.
            folder: Name of the folder in it with the generations.
            marker: Name of the file in each generation by which it is held.
            pointed: Returns the names of the generations in use; None where that is unknown, and nothing is swept.
            rename: Replaces a path by another in one step.
        """
        self.root, self.folder = root, root / folder
        self._marker, self._pointed, self._rename = marker, pointed, rename

    @contextmanager
    def transaction(self, timeout_s: float, pause: Callable[[float], object] = time.sleep) -> Iterator[Path]:
        """Lock the generations as `exclusive_lock` does, sweep before and after, and yield an empty folder beside them.

        A system error's message says what to do.
        """
        staging = self.root / ".staging"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with exclusive_lock(self.root / ".lock", timeout_s, pause):
                self._clear(staging)  # first, for room
                staging.mkdir()
                try:
                    yield staging
                finally:
                    self._clear(staging)  # by what is pointed at now: a failed rename may have been done
        except OSError as error:
            raise explain(error, self.root) from error

    def add(self, fresh: Path, content: Digest) -> Path:
        """Make a complete folder in staging a generation, named by its content, and return its new path."""
        for path in (*fresh.rglob("*"), fresh):
            sync(path)
        self.folder.mkdir(exist_ok=True)
        own, pointed = content.sha256[:16], self._pointed() or ()
        folders = (self.folder / (f"{own}.{number}" if number else own) for number in count())
        folder = next(path for path in folders if path.name not in pointed and remove_unused(path, self._marker))
        self._rename(fresh, folder)
        sync(self.folder)
        return folder

    def point(self, pointer: Path) -> None:
        """Move a pointer from staging into the root, in the place of the one before."""
        self._rename(pointer, self.root / pointer.name)
        sync(self.root)

    def find_intact(self, content: Digest, files: Mapping[str, Digest]) -> Path | None:
        """Return an existing generation with a content's name and exactly these files, or None; computes digests."""
        return next((folder for folder in self.find(content) if _has_exactly(folder, files)), None)

    def find(self, content: Digest) -> list[Path]:
        """Return the generations named by a content, good or damaged."""
        return sorted(self.folder.glob(f"{content.sha256[:16]}*"))

    def sweep(self, pointed: Collection[str]) -> tuple[Path, ...]:
        """Remove every generation that is neither in use by name nor held; return those that are held."""
        others = (folder for folder in sorted(self.folder.glob("*")) if folder.name not in pointed)
        return tuple(folder for folder in others if not remove_unused(folder, self._marker))

    def tidy(self, timeout_s: float) -> None:
        """Sweep where killed processes left something, unless another process is at work or the volume is read-only."""
        if (pointed := self._pointed()) is not None:
            has_others = any(folder.name not in pointed for folder in self.folder.glob("*"))
            if has_others or (self.root / ".staging").exists():
                with suppress(OSError), self.transaction(timeout_s):  # TimeoutError is one
                    pass

    def _clear(self, staging: Path) -> None:
        shutil.rmtree(staging, ignore_errors=True)
        with suppress(OSError):
            if (pointed := self._pointed()) is not None:
                self.sweep(pointed)


def is_exactly(path: Path, digest: Digest) -> bool:
    """Return whether a file can be read and has exactly the expected bytes."""
    with suppress(DigestMismatchError, OSError):
        verify_file(path, digest)
        return True
    return False


def _has_exactly(folder: Path, files: Mapping[str, Digest]) -> bool:
    """Return whether a folder holds exactly these files; empty folders don't count."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    if {path.relative_to(folder).as_posix() for path in found} != files.keys():
        return False
    return all(is_exactly(folder / name, digest) for name, digest in files.items())

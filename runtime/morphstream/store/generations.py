"""A folder of immutable folders named by their content: complete when they appear, held while in use, swept after.

It keeps the engines of a store and the releases of deployed code. Conventions:

* ``FOLDER/NAME/`` is a generation. NAME begins its content's sha256, which its marker, a file of it, proves; ``.1``,
  ``.2`` follow where the generation of that name is damaged, or still in use. It is never changed once it is there.
* What has no such name and marker was made by others: it is neither used nor removed, and named (ADR 24).
* A pointer beside ``FOLDER`` names the generation in use; it is replaced last, in one step.
* A process holds a generation by sharing the lock on its marker.
* Only the process with the lock on ``.lock`` adds or removes generations; it removes none that a pointer names or a
  process holds. ``.staging.RANDOM.part`` is that process's; what a killed one left there is removed (ADR 13).
"""

import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from morphstream.artifact.archive import sync
from morphstream.artifact.digest import Digest, verify_file
from morphstream.artifact.errors import DigestMismatchError
from morphstream.artifact.fields import Form
from morphstream.artifact.regular_file import kind_of, read_regular
from morphstream.artifact.staged import left_parts, part_of
from morphstream.source.source import SMALL_BYTES_MAX
from morphstream.store.volume import exclusive_lock, explain, foreign, remove_unused

Rename = Callable[[Path, Path], object]
GENERATION = Form(r"[0-9a-f]{16}(\.[1-9][0-9]{0,8})?", "16 hexadecimal digits, and .NUMBER at most")
_DIGITS = 16  # of a sha256 in a name
_MOST_NAMED = 3  # of what others made

_log = logging.getLogger("morphstream.boot")


class Generations:
    """The generations in a folder of a root, which need not exist."""

    def __init__(
        self,
        root: Path,
        folder: str,
        *,
        marker: str,
        proof: Callable[[bytes], str],
        pointed: Callable[[], Collection[str] | None],
        check: Callable[[], object],
        rename: Rename = os.replace,
    ) -> None:
        """Name the folders; nothing is read yet.

        Args:
            root: The folder with the pointers.
            folder: Name of the folder in it with the generations.
            marker: Name of the file in each generation by which it is held.
            proof: Returns what begins with a generation's name, from the bytes of its marker.
            pointed: Returns the names of the generations in use; None where that is unknown, and nothing is swept.
            check: Refuses pointers that others made.
            rename: Replaces a path by another in one step.
        """
        self.root, self.folder = root, root / folder
        self._marker, self._proof, self._pointed, self._check, self._rename = marker, proof, pointed, check, rename

    @contextmanager
    def transaction(self, timeout_s: float, pause: Callable[[float], object] = time.sleep) -> Iterator[Path]:
        """Lock the generations as `exclusive_lock` does, sweep before and after, and yield an empty folder beside them.

        A system error's message says what to do.
        """
        staging = part_of(self._staging)
        try:
            if self.folder.is_symlink() or (self.folder.exists() and not self.folder.is_dir()):
                raise foreign(self.folder, "a folder", kind_of(self.folder.lstat().st_mode))
            self._check()
            self.root.mkdir(parents=True, exist_ok=True)
            with exclusive_lock(self.root / ".lock", timeout_s, pause):
                before = self._pointed() or ()
                self._clear(before)  # first, for room
                staging.mkdir()
                try:
                    yield staging
                finally:
                    self._clear(before)  # by what is pointed at now: a failed rename may have been done
                    self._name_others()
        except OSError as error:
            raise explain(error, self.root) from error

    def add(self, fresh: Path, content: Digest) -> Path:
        """Make a complete folder in staging a generation, named by its content, and return its new path."""
        for path in (*fresh.rglob("*"), fresh):
            sync(path)
        self.folder.mkdir(exist_ok=True)
        own, pointed = content.sha256[:_DIGITS], self._pointed() or ()
        folders = (self.folder / (f"{own}.{number}" if number else own) for number in count())
        folder = next(path for path in folders if path.name not in pointed and self._is_free(path))
        self._rename(fresh, folder)
        sync(self.folder)
        return folder

    def point(self, pointer: Path) -> None:
        """Move a pointer from staging into the root, in the place of the one before."""
        self._rename(pointer, self.root / pointer.name)
        sync(self.root)

    def find_intact(self, content: Digest, files: Mapping[str, Digest]) -> Path | None:
        """Return an existing generation with a content's name and exactly these files, or None; computes digests."""
        return next((folder for folder in self.find(content) if not any(changes(folder, files))), None)

    def find(self, content: Digest) -> list[Path]:
        """Return the generations named by a content, good or damaged."""
        return sorted(self.folder.glob(f"{content.sha256[:_DIGITS]}*"))

    def find_own(self, known: Collection[str] = ()) -> list[Path]:
        """Return all generations, and folders with a known name."""
        return [folder for folder in sorted(self.folder.glob("*")) if self._is_own(folder, known)]

    def sweep(self, pointed: Collection[str], known: Collection[str] = ()) -> tuple[Path, ...]:
        """Remove every generation that is neither in use by name nor held; return those that are held.

        Those with a known name are generations, too, however damaged.
        """
        others = (folder for folder in self.find_own(known) if folder.name not in pointed)
        return tuple(folder for folder in others if not self._remove(folder))

    def tidy(self, timeout_s: float) -> None:
        """Sweep where killed processes left something, unless another process is at work or the volume is read-only."""
        if (pointed := self._pointed()) is not None:
            has_others = any(folder.name not in pointed and self._is_own(folder) for folder in self.folder.glob("*"))
            if has_others or left_parts(self._staging):
                with suppress(OSError), self.transaction(timeout_s):  # TimeoutError is one
                    pass

    @property
    def _staging(self) -> Path:
        return self.root / "staging"

    def _is_own(self, folder: Path, known: Collection[str] = ()) -> bool:
        """Return whether a folder has the name and the marker of a generation, or a known name."""
        if not re.fullmatch(GENERATION.pattern, folder.name) or folder.is_symlink() or not folder.is_dir():
            return False
        if folder.name in known:
            return True
        with suppress(OSError, ValueError):
            marker = read_regular(folder / self._marker, SMALL_BYTES_MAX, follows_links=False)
            return self._proof(marker)[:_DIGITS] == folder.name[:_DIGITS]
        return False

    def _is_free(self, folder: Path) -> bool:
        """Return whether nothing is in a generation's place, once one that nobody uses is removed."""
        return not os.path.lexists(folder) or (self._is_own(folder) and self._remove(folder))

    def _remove(self, folder: Path) -> bool:
        return remove_unused(folder, self._marker, part_of(self._staging))

    def _clear(self, known: Collection[str]) -> None:
        for part in left_parts(self._staging):
            if not part.is_symlink():
                shutil.rmtree(part, ignore_errors=True)
        with suppress(OSError):
            if (pointed := self._pointed()) is not None:
                self.sweep(pointed, known)

    def _name_others(self) -> None:
        """Log what others made among the generations."""
        others = sorted({*self.folder.glob("*")}.difference(self.find_own(self._pointed() or ())))
        if others:
            names = ", ".join(repr(path.name)[:100] for path in others[:_MOST_NAMED])
            more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
            _log.warning("%s: left alone what was not made here: %s%s; move it away", self.folder, names, more)


def is_exactly(path: Path, digest: Digest) -> bool:
    """Return whether a file can be read and has exactly the expected bytes."""
    with suppress(DigestMismatchError, OSError):
        verify_file(path, digest)
        return True
    return False


def changes(folder: Path, files: Mapping[str, Digest]) -> Iterator[str]:
    """Yield in words how a folder differs from one with exactly these files; empty folders don't count."""
    paths = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    found = {path.relative_to(folder).as_posix(): path for path in paths}
    yield from (f"{name} added" for name in sorted(found.keys() - files.keys()))
    for name, digest in files.items():
        if name not in found:
            yield f"{name} removed"
        elif found[name].is_symlink() or not is_exactly(found[name], digest):
            yield f"{name} altered"

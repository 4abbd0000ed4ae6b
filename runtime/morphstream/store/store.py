"""Where verified artifacts lie on this machine: whole or absent, whoever looks and whenever.

Conventions:

* ``caches/NAME/`` is a generation: the files of one engine cache and their ``manifest.json``, never changed once they
  are there. NAME begins its tar's sha256; ``.1``, ``.2`` follow where a folder of that name is still used, or damaged.
* ``current.json`` names the one in use, by its folder and the digests of its tar and manifest; it is replaced last, in
  one step, and means complete.
* Who holds a generation shares the lock on its manifest. Only who has the lock on ``.lock`` puts generations there or
  removes them, and removes none that is current or held (ADR 13).
* ``.staging/`` belongs to the process with the lock on ``.lock``; what a killed one left there is removed.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO, cast

from morphstream.artifact.archive import unpack
from morphstream.artifact.digest import digest_of_file, verify_file
from morphstream.artifact.errors import FetchError, ManifestError, MorphstreamError, NoEngineError
from morphstream.artifact.manifest import ArchiveEntry, EngineManifest
from morphstream.artifact.vocabulary import archive_path
from morphstream.store.generation import MANIFEST, Installed, check_cache, files_of, is_exactly, load
from morphstream.store.progress import Counted, progress
from morphstream.store.record import Record
from morphstream.store.source import Source
from morphstream.store.volume import alone, explained, lacks_locks, remove_unused, shared, sync

__all__ = ["CURRENT", "LOCK_TIMEOUT_S", "MANIFEST", "Installed", "Store"]

CURRENT = "current.json"
LOCK_TIMEOUT_S = 600.0  # a download of the largest archive over a slow line


class Store:
    """A folder that holds one engine cache, or none; processes may share it.

    Attributes:
        path: The folder; it need not exist.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        timeout_s: float = LOCK_TIMEOUT_S,
        rename: Callable[[Path, Path], object] = os.replace,
    ) -> None:
        """Name a store.

        Args:
            path: The folder.
            timeout_s: How long to wait for another process that changes it.
            rename: Puts what is complete into its place, in one step.
        """
        self.path = Path(path)
        self._timeout_s, self._rename = timeout_s, rename

    def current(self) -> Installed:
        """Return the engine cache in use; its files are there and have the right sizes.

        The next update may remove them; who opens them holds them by `hold`.

        Raises:
            NoEngineError: Nothing was booted, or it is damaged.
        """
        return self._look(None)

    @contextmanager
    def hold(self) -> Iterator[Installed]:
        """Return the engine cache in use as `current` does, and keep its files until the block ends.

        Updates go on beside it; the process may die in any way. A generation that is removed between the reading of
        its name and the lock is never returned: under the lock its manifest still lies where it was opened and all
        sizes are right, or the new name is read.

        Raises:
            NoEngineError: Nothing was booted, or it is damaged.
            OSError: The volume has no locks.
        """
        with ExitStack() as lock:
            yield self._look(lock)

    def verify(self) -> None:
        """Compute every digest again.

        Raises:
            NoEngineError: Nothing was booted, or sizes tell already that it is damaged.
            DigestMismatchError: A file holds other bytes than the ones that were booted.
            OSError: A file can't be read, or the volume has no locks.
        """
        with self.hold() as installed:
            total_bytes = sum(digest.bytes for digest in installed.digests.values())
            with progress(f"verify {self.path}", total_bytes) as add:
                for name, digest in installed.digests.items():
                    verify_file(installed.folder / name, digest)
                    add(digest.bytes)

    def install(self, name: str, entry: ArchiveEntry, source: Source) -> bool:
        """Put an archive's engine cache in the place of the one before; on any error that one stays.

        It is opened under the lock, so that of several processes one reads it and the others find it there. Where its
        files lie there already and every digest is right, as after a step back, it isn't opened. Older generations are
        removed, but those that are held.

        Args:
            name: Of the archive.
            entry: What it must be and hold.
            source: Gives its bytes, in one pass.

        Returns:
            Whether it was put there; False where it was there already, and nothing was touched.

        Raises:
            ManifestError: The entry is of no engine cache, or contradicts the manifest in the archive.
            FetchError: The source can't give the archive.
            UnsafeArchiveError: It is broken, or holds other files than its entry says.
            DigestMismatchError: It, or a file in it, holds other bytes than its entry says.
            TimeoutError: Another process changes the store for longer than `timeout_s`.
            OSError: The store can't be written; says why, and what to do.
        """
        if self._holds(entry):
            return False
        with self._staging() as staging:
            if self._holds(entry):  # another process was faster
                return False
            try:
                folder = self._lying(name, entry) or self._unpacked(name, entry, source, staging)
                self._switch(name, entry, folder, staging)
            finally:  # a new one where it was put there, even if the volume says that it wasn't
                with suppress(NoEngineError, OSError):
                    if named := self._named():
                        self._sweep(named)
        return True

    def clean(self) -> tuple[Path, ...]:
        """Remove what killed processes and updates left, but generations that are held.

        Returns:
            The folders of those that are held and aren't current.

        Raises:
            NoEngineError: The record of the current one is damaged; nothing was removed.
            TimeoutError: Another process changes the store for longer than `timeout_s`.
            OSError: The store can't be written; says why, and what to do.
        """
        if not self.path.exists():
            return ()
        with self._staging():
            return self._sweep(self._named())

    def condemn(self, installed: Installed) -> None:
        """Have the next install put a damaged engine cache there anew; one that has replaced it stays.

        Raises:
            TimeoutError: Another process changes the store for longer than `timeout_s`.
            OSError: The store can't be written; says why, and what to do.
        """
        with self._staging():
            if self._named() == installed.folder.name:
                (self.path / CURRENT).unlink()
                sync(self.path)

    def _look(self, lock: ExitStack | None) -> Installed:
        """Return what the store holds, locked where a lock is to be taken."""
        text = self._read_current()
        while True:
            try:
                record = Record.from_json(text)
                folder = self._folder_of(record.folder)
                if lock:
                    lock.enter_context(shared(folder / MANIFEST))
                return load(folder, record)
            except (MorphstreamError, OSError) as error:
                if lock:
                    lock.close()
                if lacks_locks(error):
                    raise explained(cast("OSError", error), self.path) from error
                before, text = text, self._read_current()
                if text == before:  # else another process has just replaced it
                    raise NoEngineError(f"store {self.path} is damaged: {error}; run: morphstream boot") from error

    def _read_current(self) -> bytes:
        try:
            return (self.path / CURRENT).read_bytes()
        except OSError as error:
            seen = f"no {CURRENT} ({error.strerror}); run: morphstream boot"
            raise NoEngineError(f"store {self.path}: expected engines, seen {seen}") from error

    def _named(self) -> str | None:
        """Return the name of the current generation's folder, or None where there is no record.

        Raises:
            NoEngineError: The record is damaged.
            OSError: It can't be read.
        """
        try:
            return Record.from_json((self.path / CURRENT).read_bytes()).folder
        except FileNotFoundError:
            return None
        except ManifestError as error:
            raise NoEngineError(f"store {self.path} is damaged: {error}; run: morphstream boot") from error

    def _folder_of(self, name: str) -> Path:
        return self.path / "caches" / name

    def _holds(self, entry: ArchiveEntry) -> bool:
        try:
            return self.current().tar_digest == entry.tar_digest
        except NoEngineError:
            return False

    @contextmanager
    def _staging(self) -> Iterator[Path]:
        """Lend an empty folder, and the right to change the store, to one process at a time."""
        folder = self.path / ".staging"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with alone(self.path / ".lock", self._timeout_s):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                try:
                    yield folder
                finally:
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError as error:
            raise explained(error, self.path) from error

    def _lying(self, name: str, entry: ArchiveEntry) -> Path | None:
        """Return the folder of a generation that lies there already, every digest right; None if there is none."""
        for folder in sorted(self._folder_of("").glob(f"{_name_of(entry)}*")):
            if is_exactly(folder, files_of(name, entry)):
                check_cache(name, entry, folder)
                return folder
        return None

    def _unpacked(self, name: str, entry: ArchiveEntry, source: Source, staging: Path) -> Path:
        """Put the generation of an archive beside the others, and return its folder."""
        named = None
        with suppress(NoEngineError):  # a damaged record names nothing
            if named := self._named():
                self._sweep(named)  # first, for room
        files_of(name, entry)  # so that what is no engine cache isn't fetched
        with (
            source.open(archive_path(name)) as stream,
            progress(f"boot {name}", entry.digest.bytes) as add,
        ):
            counted = cast("BinaryIO", Counted(cast("BinaryIO", _Fetched(stream, name)), add))  # read alone is called
            unpack(counted, entry.files, staging / "archive", archive=entry.digest)
        cache = staging / "archive" / "trt_cache" / str(entry.cache_key)
        check_cache(name, entry, cache)
        for path in (*cache.iterdir(), cache):
            sync(path)
        self._folder_of("").mkdir(exist_ok=True)
        own = _name_of(entry)
        folders = (self._folder_of(f"{own}.{number}" if number else own) for number in count())
        folder = next(folder for folder in folders if folder.name != named and remove_unused(folder, MANIFEST))
        self._rename(cache, folder)
        sync(folder.parent)
        return folder

    def _switch(self, name: str, entry: ArchiveEntry, folder: Path, staging: Path) -> None:
        """Make a generation the current one."""
        record = Record(
            archive=name,
            tar_digest=entry.tar_digest,
            cache_key=EngineManifest.from_json((folder / MANIFEST).read_bytes()).cache_key,
            manifest_digest=digest_of_file(folder / MANIFEST),
            folder=folder.name,
            serial=secrets.token_hex(8),
        )
        (staging / CURRENT).write_text(record.to_json())
        sync(staging / CURRENT)
        self._rename(staging / CURRENT, self.path / CURRENT)
        sync(self.path)

    def _sweep(self, current: str | None) -> tuple[Path, ...]:
        """Remove every generation but the current one and those that are held; return the latter."""
        others = [folder for folder in sorted(self._folder_of("").glob("*")) if folder.name != current]
        return tuple(folder for folder in others if not remove_unused(folder, MANIFEST))


class _Fetched:
    """A source's stream, whose faults are the source's and not the store's."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name

    def read(self, size: int = -1, /) -> bytes:
        """Return up to so many bytes, none at the end.

        Raises:
            FetchError: They can't be read.
        """
        try:
            return self._stream.read(size)
        except OSError as error:
            seen = error.strerror or str(error)
            raise FetchError(f"{self._name}: expected its bytes, seen {seen}; fetch it again") from error


def _name_of(entry: ArchiveEntry) -> str:
    return entry.tar_digest.sha256[:16]

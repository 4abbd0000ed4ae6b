"""Where verified artifacts lie on this machine: whole or absent, whoever looks and whenever.

Conventions:

* ``caches/NAME/`` is a generation: the files of one engine cache and their ``manifest.json``, never changed once they
  are there. NAME begins its manifest's sha256; ``.1``, ``.2`` follow where that folder is still used, or damaged. Files
  that two generations have in common are links to one.
* ``current.json`` names the one in use, by its folder and the digest of its manifest; it is replaced last, in one step,
  and means complete.
* Who holds a generation shares the lock on its manifest. Only who has the lock on ``.lock`` puts generations there or
  removes them, and removes none that is current or held (ADR 13).
* ``.staging/`` belongs to the process with the lock on ``.lock``; what a killed one left there is removed.
"""

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import cast

from morphstream.artifact.digest import Digest, verify_file
from morphstream.artifact.errors import DigestMismatchError, ManifestError, MorphstreamError, NoEngineError
from morphstream.artifact.vocabulary import MANIFEST
from morphstream.source.progress import progress
from morphstream.store.change import CURRENT, Change
from morphstream.store.generation import Installed, load
from morphstream.store.record import Record
from morphstream.store.usage import Usage
from morphstream.store.volume import alone, explained, lacks_locks, shared, sync

__all__ = ["CURRENT", "LOCK_TIMEOUT_S", "MANIFEST", "Installed", "Store"]

LOCK_TIMEOUT_S = 600.0  # a download of the largest archive over a slow line
STAGING = ".staging"


class Store:
    """A folder that holds one engine cache, or none; processes may share it.

    Attributes:
        path: The folder; it need not exist.
        usage: When models were used last, as against others.
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
        self.usage = Usage(self.path / "used")
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
            DigestMismatchError: A file holds other bytes than the ones that were booted, or can't be read.
            OSError: The volume has no locks.
        """
        with self.hold() as installed:
            total_bytes = sum(digest.bytes for digest in installed.digests.values())
            with progress(f"verify {self.path}", total_bytes) as add:
                for name, digest in installed.digests.items():
                    try:
                        verify_file(installed.folder / name, digest)
                    except OSError as error:
                        raise DigestMismatchError(name, digest, error.strerror) from error
                    add(digest.bytes)

    def holds(self, base: Digest, groups: Collection[str] | None) -> bool:
        """Tell whether some groups of a publication are what the store holds already, by sizes; None for all."""
        try:
            installed = self.current()
        except NoEngineError:
            return False
        return installed.base == base and installed.has(groups)

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
        with self._locked(time.sleep, self._timeout_s) as staging:
            return self._change(staging).sweep(self._named())

    def tidy(self) -> None:
        """Remove what killed processes left, as `clean` does, where there is any and no other process is at work."""
        with suppress(NoEngineError, OSError):  # TimeoutError is one
            named = self._named()
            others = [path.name for path in self._folder_of("").iterdir() if path.name != named]
            if others or (self.path / STAGING).exists():
                with self._locked(time.sleep, 0) as staging:
                    self._change(staging).sweep(self._named())

    def condemn(self, installed: Installed) -> None:
        """Have the next install put a damaged engine cache there anew; one that has replaced it stays.

        Raises:
            TimeoutError: Another process changes the store for longer than `timeout_s`.
            OSError: The store can't be written; says why, and what to do.
        """
        with self._locked(time.sleep, self._timeout_s):
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

    @contextmanager
    def changing(self, pause: Callable[[float], object] = time.sleep) -> Iterator[Change]:
        """Lend the right to change the store, old generations removed; on any error it holds what it held."""
        with self._locked(pause, self._timeout_s) as staging:
            self._sweep()  # first, for room
            try:
                yield self._change(staging)
            finally:  # a new one where it was put there, even if the volume says that it wasn't
                self._sweep()

    @contextmanager
    def _locked(self, pause: Callable[[float], object], timeout_s: float) -> Iterator[Path]:
        """Lend an empty folder, and the right to change the store, to one process at a time."""
        folder = self.path / STAGING
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with alone(self.path / ".lock", timeout_s, pause):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                try:
                    yield folder
                finally:
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError as error:
            raise explained(error, self.path) from error

    def _change(self, staging: Path) -> Change:
        held = named = None
        with suppress(NoEngineError):
            held = self.current()
        with suppress(NoEngineError):  # a damaged record names nothing
            named = self._named()
        return Change(self.path, staging, held=held, named=named, rename=self._rename)

    def _sweep(self) -> None:
        with suppress(NoEngineError, OSError):
            if named := self._named():
                Change(self.path, self.path / STAGING, held=None, named=named, rename=self._rename).sweep(named)

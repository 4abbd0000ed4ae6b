"""The store of verified artifacts on this machine: good or absent, for every process at any moment.

Conventions:

* ``caches/NAME/`` is a generation, as `morphstream.store.generations` keeps them: the files of one engine cache and its
  ``manifest.json``, whose sha256 names it, and which a process locks to hold it. A publication that was installed whole
  has the bytes of its manifest as they were published. Generations share equal files by links.
* ``current.json`` names the current generation, by its folder and the digest of its manifest. It is replaced last, in
  one step, so that whatever it names is complete.
* ``trust/`` is what `morphstream.store.trust` keeps of a publisher, if a root was ever configured.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from morphstream.artifact.archive import sync
from morphstream.artifact.digest import digest_of, verify_file
from morphstream.artifact.errors import DigestMismatchError, ManifestError, MorphstreamError, NoEngineError
from morphstream.artifact.regular_file import UnfitFileError, read_regular
from morphstream.artifact.vocabulary import MANIFEST
from morphstream.source.progress import progress
from morphstream.store.generations import Generations, Rename
from morphstream.store.installed import RECORD_BYTES_MAX, Installed, is_record, read_record
from morphstream.store.transaction import CURRENT, StoreTransaction
from morphstream.store.trust import Trust, trust_of
from morphstream.store.usage import Usage
from morphstream.store.volume import NO_LOCKS, explain, foreign, shared_lock

__all__ = ["CURRENT", "Installed", "Store"]

LOCK_TIMEOUT_S = 600.0  # a download of the largest archive over a slow line


class Store:
    """A folder that holds one engine cache, or none; processes may share it.

    Attributes:
        path: The folder; it need not exist.
        usage: The order in which models were used.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, timeout_s: float = LOCK_TIMEOUT_S, rename: Rename = os.replace
    ) -> None:
        """Name a store; nothing is read yet.

        Args:
            path: The folder.
            timeout_s: How long to wait for another process that changes it.
            rename: Replaces a path by another in one step.
        """
        self.path = Path(path)
        self.usage = Usage(self.path / "used")
        self._timeout_s = timeout_s
        self._generations = Generations(
            self.path,
            "caches",
            marker=MANIFEST,
            proof=lambda text: digest_of(text).sha256,
            pointed=self._pointed,
            check=self._check_record,
            rename=rename,
        )

    def current(self) -> Installed:
        """Return the engine cache in use, whose files are there and have the right sizes.

        The next update may remove them; whoever opens them holds them by `hold`.

        Raises:
            NoEngineError: The store is empty or damaged.
        """
        return self._load(None)

    def trust(self, root: Path | None = None) -> Trust | None:
        """Return what signatures publications for this store must have; arguments and errors as of `trust_of`."""
        return trust_of(self.path, root)

    def find(self) -> Installed | None:
        """Return the engine cache in use, or None where the store is empty or damaged."""
        with suppress(NoEngineError):
            return self.current()
        return None

    @contextmanager
    def hold(self) -> Iterator[Installed]:
        """Return the engine cache in use as `current` does, and keep its files until the block ends.

        Updates continue meanwhile, and the process may be killed. A generation that is removed after its name was read
        and before it was locked is never returned: under the lock its manifest is still the file that was opened and
        all sizes are right, or else the new name is read.

        Raises:
            NoEngineError: The store is empty or damaged.
            OSError: The volume has no locks.
        """
        with ExitStack() as lock:
            yield self._load(lock)

    def verify(self) -> None:
        """Compute every digest again.

        Raises:
            NoEngineError: The store is empty, or damaged as its sizes show.
            DigestMismatchError: A file has other bytes than those that were installed, or can't be read.
            OSError: The volume has no locks.
        """
        with self.hold() as installed:
            digests = installed.manifest.digests
            with progress(f"verify {self.path}", sum(digest.bytes for digest in digests.values())) as add:
                for name, digest in digests.items():
                    try:
                        verify_file(installed.folder / name, digest)
                    except OSError as error:
                        raise DigestMismatchError(name, digest, error.strerror) from error
                    add(digest.bytes)

    def clean(self) -> tuple[Path, ...]:
        """Remove what killed processes and updates left, except generations that are held.

        Returns:
            The folders of those that are held and not current.

        Raises:
            NoEngineError: The record of the current one is damaged; nothing was removed.
            TimeoutError: Another process changes the store for longer than `timeout_s`.
            OSError: The store can't be written; the message says why, and what to do.
        """
        if not self.path.exists():
            return ()
        with self._generations.transaction(self._timeout_s):
            return self._generations.sweep(self._read_name())

    def tidy(self) -> None:
        """Remove what killed processes left, if there is anything and no other process is at work."""
        self._generations.tidy(0)

    def invalidate(self, installed: Installed) -> None:
        """Make the next install replace a damaged engine cache; nothing changes where it was replaced already.

        Raises:
            TimeoutError: Another process changes the store for longer than `timeout_s`.
            OSError: The store can't be written; the message says why, and what to do.
        """
        with self._generations.transaction(self._timeout_s):
            if self._read_name() == {installed.folder.name}:
                (self.path / CURRENT).unlink()
                sync(self.path)

    @contextmanager
    def transaction(self, pause: Callable[[float], object] = time.sleep) -> Iterator[StoreTransaction]:
        """Lock the store for one change, and remove generations out of use; on any error the current one stays.

        Args:
            pause: Waits that many seconds for another process; an exception of it ends the waiting.

        Raises:
            TimeoutError: Another process changes the store for longer than `timeout_s`.
            OSError: The store can't be written; the message says why, and what to do.
        """
        with self._generations.transaction(self._timeout_s, pause) as staging:
            yield StoreTransaction(self._generations, staging, self.find())

    def _load(self, lock: ExitStack | None) -> Installed:
        """Return the engine cache in use, held by a stack if one is given."""
        text = self._read_current()
        while True:
            try:
                name, record = read_record(text)
                folder = self._generations.folder / name
                if lock:
                    lock.enter_context(shared_lock(folder / MANIFEST))
                return Installed.load(record, folder)
            except (MorphstreamError, OSError) as error:
                if lock:
                    lock.close()
                if isinstance(error, OSError) and error.errno in NO_LOCKS:
                    raise explain(error, self.path) from error
                before, text = text, self._read_current()
                if text == before:  # else another process has just replaced it
                    raise NoEngineError(f"store {self.path} is damaged: {error}; run: morphstream boot") from error

    def _read_current(self) -> bytes:
        try:
            return self._read_record()
        except UnfitFileError as error:
            raise NoEngineError(str(self._foreign(error.strerror))) from error
        except OSError as error:
            seen = f"no {CURRENT} ({error.strerror}); run: morphstream boot"
            raise NoEngineError(f"store {self.path}: expected engines, seen {seen}") from error

    def _read_record(self) -> bytes:
        return read_regular(self.path / CURRENT, RECORD_BYTES_MAX, follows_links=False)

    def _check_record(self) -> None:
        """Check that nothing of others is where the record is: one that is damaged is replaced, beside engines."""
        try:
            text = self._read_record()
        except UnfitFileError as error:
            raise self._foreign(error.strerror) from error
        except IsADirectoryError as error:
            raise self._foreign("a folder") from error
        except (FileNotFoundError, NotADirectoryError):  # the latter is refused when the store is made
            return
        if not is_record(text) and not self._generations.find_own():
            raise self._foreign("another file")

    def _foreign(self, seen: str | None) -> OSError:
        return foreign(self.path / CURRENT, "a record", str(seen))

    def _read_name(self) -> set[str]:
        """Return the name of the current generation's folder, or nothing where there is no record."""
        try:
            return {read_record(self._read_record())[0]}
        except FileNotFoundError:
            return set()
        except ManifestError as error:
            raise NoEngineError(f"store {self.path} is damaged: {error}; run: morphstream boot") from error

    def _pointed(self) -> set[str] | None:
        """Return the name of the current generation's folder, or None: then an install may use the files of others."""
        with suppress(NoEngineError, OSError):
            return self._read_name() or None
        return None

"""What a folder of artifacts trusts: the root it was given once, and the newest metadata that were verified by it.

Conventions:

* ``trust/`` is in the folder of a store or of releases. ``N.root.json`` are its roots, the lowest one given and the
  others followed; beside them are the newest ``timestamp.json``, ``snapshot.json`` and ``targets.json``. ``seen`` has
  the time of the last verification, as its modification time.
* A root that is there is asked for ever after, whatever the environment names. To trust another publisher, the folder
  ``trust`` is removed by hand.
"""

import errno
import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import FetchError, UntrustedError
from morphstream.artifact.regular_file import read_regular
from morphstream.artifact.staged import staged_file
from morphstream.source.signed import (
    METADATA,
    REMEDY,
    ROOT_BYTES_MAX,
    SignedState,
    check_lists,
    is_signed_by,
    read_root,
    verify_metadata,
)
from morphstream.source.source import SMALL_BYTES_MAX, Source
from morphstream.store.volume import exclusive_lock

TRUST, SEEN = "trust", "seen"
_LOCK_TIMEOUT_S = 60.0  # files of some kilobytes are written under it
_ROOT = re.compile(r"([1-9][0-9]{0,8})\.root\.json")
_LISTS = ("timestamp.json", "snapshot.json", "targets.json")

_log = logging.getLogger("morphstream.boot")


class Trust:
    """A folder's trust in a publisher; processes may share it."""

    def __init__(self, folder: Path, roots: Mapping[int, bytes]) -> None:
        """Name the folder, and the roots that are to be followed: those in it, and one that was given."""
        self.folder, self._roots = folder, roots

    def documents(self, source: Source) -> Mapping[str, Digest]:
        """Return the digest of each document of a source, by path, and keep what was verified.

        Raises:
            UntrustedError: It isn't signed as the root says; or as of `verify_metadata`.
            FetchError: It can't be read.
            OSError: What was verified can't be kept.
        """
        found = verify_metadata(source, self.state())
        self._keep(found)
        newest = max(found.roots)
        _log.info("%s: signed as root %d says, publication %d", source, newest, found.version)
        return found.documents

    def faults(self, source: Source) -> list[str]:
        """Return what is wrong with the metadata of a source, each file of which is read, also those that are known."""
        roots = self.state().roots
        try:
            verify_metadata(source, SignedState(roots=roots))
            published = {version: source.read(f"{METADATA}/{_name_of(version)}") for version in roots}
        except (UntrustedError, FetchError) as error:
            return [str(error)]
        return [
            f"{METADATA}/{_name_of(version)}: expected it as this machine has it, seen another; {REMEDY}"
            for version in roots
            if published[version] != roots[version]
        ]

    def state(self) -> SignedState:
        """Return what was verified last.

        Raises:
            UntrustedError: It is damaged.
        """
        lists, seen = dict[str, bytes](), None
        with suppress(FileNotFoundError):
            lists = {name: read_regular(self.folder / name, SMALL_BYTES_MAX) for name in _LISTS}
            seen = datetime.fromtimestamp((self.folder / SEEN).stat().st_mtime, UTC)
        check_lists(lists, self.folder)
        return SignedState(roots={**_roots_in(self.folder), **self._roots}, lists=lists, seen=seen)

    def __str__(self) -> str:
        roots = {**_roots_in(self.folder), **self._roots}
        version, expires = read_root(roots[max(roots)], f"{self.folder}")
        return f"root {version}, which expires on {expires:%Y-%m-%d}"

    def _keep(self, found: SignedState) -> None:
        """Write what was verified, unless another process has kept something newer meanwhile."""
        with exclusive_lock(self.folder / ".lock", _LOCK_TIMEOUT_S):
            held = self.state()
            for version in found.roots.keys() - _roots_in(self.folder).keys():
                _write(self.folder / _name_of(version), found.roots[version])
            if held.version <= found.version or max(held.roots) < max(found.roots):
                for name in reversed(_LISTS):  # the timestamp last: it names the others
                    if held.lists.get(name) != found.lists[name]:
                        _write(self.folder / name, found.lists[name])
            _write(self.folder / SEEN, b"")


def trust_of(root_folder: Path, root: Path | None = None) -> Trust | None:
    """Return what a folder of artifacts trusts; None where no root was ever configured for it.

    Args:
        root_folder: A store's folder, or one of releases.
        root: A root document to trust from now on; None for that of MORPHSTREAM_ROOT, if any. The folder keeps it.

    Raises:
        UntrustedError: It is no root document, or another one than the folder has of that version. One of another
            version is kept at once where the root keys that are known sign it, else once both were followed.
        OSError: It can't be read, or the folder can't be written.
    """
    folder = root_folder / TRUST
    named = root or (Path(given) if (given := os.environ.get("MORPHSTREAM_ROOT")) else None)
    held = _roots_in(folder)
    if named is None:
        return Trust(folder, held) if held else None
    text = read_regular(named, ROOT_BYTES_MAX)
    version, _ = read_root(text, str(named))
    if held.get(version, text) != text:
        expected = f"{named}: expected root {version} as {folder} has it"
        raise UntrustedError(f"{expected}, seen another; to trust another publisher, remove that folder")
    newest = max(held, default=0)
    if not held or (version > newest and is_signed_by(text, held[newest])):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / _name_of(version), text)
        except OSError as error:
            if error.errno != errno.EROFS:  # there nothing can be installed that it would be asked for
                raise
    return Trust(folder, {**held, version: text})


def _name_of(version: int) -> str:
    return f"{version}.root.json"


def _roots_in(folder: Path) -> dict[int, bytes]:
    with suppress(FileNotFoundError, NotADirectoryError):
        found = [(path, match) for path in folder.iterdir() if (match := _ROOT.fullmatch(path.name))]
        return {int(match[1]): read_regular(path, ROOT_BYTES_MAX) for path, match in found}
    return {}


def _write(path: Path, data: bytes) -> None:
    with staged_file(path) as file:
        file.write(data)
        os.fsync(file.fileno())

"""Verify the signed metadata of a publication: which documents it has, by digest.

Conventions:

* The metadata are those of The Update Framework (TUF), in the folder ``metadata/`` of a publication. They list the
  digest of each document that is published: the manifests, and what describes the archives. The manifests name
  everything else by digest.
* Verification begins with a root document that was given beforehand, and follows its successors. What was verified
  before is passed in, so that nothing older is accepted: neither a version nor a clock.

Source: theupdateframework.github.io/specification 1.0.34, section 5; python-tuf's client implements it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import AbsentError, MorphstreamError, UntrustedError
from morphstream.source.source import Source

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, Root

METADATA = "metadata"
ISSUED = "x-issued"  # key of timestamp.json: when it was signed
ROOT_BYTES_MAX = 512_000  # as python-tuf's client has it
_LISTS = ("timestamp.json", "snapshot.json", "targets.json")
_CLOCK_TOLERANCE = timedelta(hours=1)  # of two machines' clocks
REMEDY = "use another source, or have it published again"


class Verifier(Protocol):
    """Says what a publication may have."""

    def documents(self, source: Source) -> Mapping[str, Digest]:
        """Return the digest of each document of a source, by path, as signed; raises as `verify_metadata` does."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedState:
    """What was verified: never replaced by something older.

    Attributes:
        roots: Root documents by version; the lowest one was given, and the others are its successors.
        lists: The other metadata by file name; empty before the first verification.
        seen: When that was, by this machine's clock; None before.
    """

    roots: Mapping[int, bytes]
    lists: Mapping[str, bytes] = field(default_factory=dict)
    seen: datetime | None = None

    @property
    def documents(self) -> dict[str, Digest]:
        """Digest of each document by path.

        Raises:
            UntrustedError: A document has another kind of digest.
        """
        from tuf.api.metadata import Metadata, Targets

        targets = Metadata[Targets].from_bytes(self.lists["targets.json"]).signed.targets
        try:
            return {path: Digest(file.hashes["sha256"], file.length) for path, file in targets.items()}
        except (KeyError, ValueError) as error:
            raise UntrustedError(f"{METADATA}/targets.json: expected a sha256 of each document, seen {error}") from None

    @property
    def version(self) -> int:
        """Version of the newest timestamp; 0 before there is one."""
        from tuf.api.metadata import Metadata, Timestamp

        text = self.lists.get("timestamp.json")
        return Metadata[Timestamp].from_bytes(text).signed.version if text else 0


def read_root(text: bytes, what: str) -> tuple[int, datetime]:
    """Return the version and the expiry of a root document, which must be signed by its own keys.

    Raises:
        UntrustedError: It is none, or isn't; the text names it.
    """
    with _tuf():
        from tuf.api.exceptions import RepositoryError
    try:
        root = _root_of(text)
        root.signed.verify_delegate("root", root.signed_bytes, root.signatures)
    except (RepositoryError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        expected = f"{what}: expected a root document that its own keys sign"
        raise UntrustedError(f"{expected}, seen {error}; get it from the publisher again") from None
    return root.signed.version, root.signed.expires.replace(tzinfo=UTC)


def check_lists(lists: Mapping[str, bytes], folder: Path) -> None:
    """Check that lists which were kept in a folder can still be read.

    Raises:
        UntrustedError: One is damaged: what it protected from can't be told any more.
    """
    with _tuf():
        from tuf.api.exceptions import RepositoryError
        from tuf.api.metadata import Metadata, Timestamp
    for name, text in lists.items():
        try:
            Metadata[Timestamp].from_bytes(text)
        except (RepositoryError, ValueError, KeyError, TypeError, RecursionError) as error:
            expected = f"{folder / name}: expected what was verified last"
            raise UntrustedError(f"{expected}, seen a damaged file ({error}); remove it, and boot again") from None


def is_signed_by(newer: bytes, root: bytes) -> bool:
    """Return whether a root document is signed by the root keys of another, too, as many as that one asks for."""
    from tuf.api.exceptions import UnsignedMetadataError

    given = _root_of(newer)
    try:
        _root_of(root).signed.verify_delegate("root", given.signed_bytes, given.signatures)
    except UnsignedMetadataError:
        return False
    return True


def verify_metadata(source: Source, known: SignedState, *, now: datetime | None = None) -> SignedState:
    """Verify the metadata of a source by what is known, and return what is known then.

    Args:
        source: Gives the metadata.
        known: What was verified before; one root at least.
        now: This machine's time; None to ask its clock, which the expiry of metadata is compared with in any case.

    Raises:
        UntrustedError: They aren't signed as the root says, are older than what is known, or have expired; or the
            clock was set back, or the extra ``signed`` isn't installed.
        FetchError: The source can't be read.
    """
    now = now or datetime.now(UTC)
    _check_clock(source, now, known.seen, "when it last verified a publication")
    _check_clock(source, now, _issued(known.lists), "when what it verified was signed")
    with _tuf():
        from tuf.ngclient import Updater
    with TemporaryDirectory(prefix="morphstream-") as name:
        folder = Path(name)
        _write(folder, known)
        with _refusing(source):
            first = known.roots[min(known.roots)]
            Updater(name, f"{METADATA}/", fetcher=_fetcher(source), bootstrap=first).refresh()
        found = _read(folder, now)
    _check_chain(source, known.roots, found.roots)
    _check_form(source, "timestamp.json", found.lists["timestamp.json"])
    for version in found.roots.keys() - known.roots.keys():
        _check_form(source, f"{version}.root.json", found.roots[version])
    _check_clock(source, now, _issued(found.lists), "when the publication was signed")
    return found


def _root_of(text: bytes) -> "Metadata[Root]":
    from tuf.api.metadata import Metadata, Root

    if len(text) > ROOT_BYTES_MAX:
        raise ValueError(f"more than {ROOT_BYTES_MAX} bytes")
    return Metadata[Root].from_bytes(text)


@contextmanager
def _tuf() -> Iterator[None]:
    """Say which packages the block needs."""
    try:
        yield
    except ModuleNotFoundError as error:
        expected = "signatures: expected python-tuf to verify them, as a root is configured"
        raise UntrustedError(f"{expected}, seen no {error.name}; run: pip install 'morphstream[signed]'") from None


def _write(folder: Path, known: SignedState) -> None:
    history = folder / "root_history"
    history.mkdir()
    for version, text in known.roots.items():
        (history / f"{version}.root.json").write_bytes(text)
    for name, text in known.lists.items():
        (folder / name).write_bytes(text)


def _read(folder: Path, now: datetime) -> SignedState:
    """Return what python-tuf's client verified: roots up to the one that it reached, which those after may not fit."""
    newest = _root_of((folder / "root.json").read_bytes()).signed.version
    found = {int(path.name.partition(".")[0]): path for path in (folder / "root_history").iterdir()}
    roots = {version: path.read_bytes() for version, path in found.items() if version <= newest}
    return SignedState(roots=roots, lists={name: (folder / name).read_bytes() for name in _LISTS}, seen=now)


def _check_chain(source: Source, known: Mapping[int, bytes], found: Mapping[int, bytes]) -> None:
    """Check that every root that is known is one of those that were followed."""
    for version, text in known.items():
        if found.get(version) != text:
            expected = f"{source}: expected root {version} as this machine has it"
            raise UntrustedError(f"{expected}, seen another or none in {METADATA}/; {REMEDY}")


def _check_form(source: Source, name: str, text: bytes) -> None:
    """Check that a file has the bytes that were signed: spaces and digits' letters are in no signature.

    The other lists needn't be checked, as their digests are signed.
    """
    data = json.loads(text)
    lines, compact = json.dumps(data, sort_keys=True, indent=1), json.dumps(data, sort_keys=True, separators=(",", ":"))
    has_form = text.decode() in (f"{lines}\n", compact)
    if not has_form or any(one["sig"] != one["sig"].lower() for one in data["signatures"]):
        expected = f"{source}: expected {METADATA}/{name} as it was signed"
        raise UntrustedError(f"{expected}, seen it written otherwise; {REMEDY}")


def _issued(lists: Mapping[str, bytes]) -> datetime | None:
    from tuf.api.metadata import Metadata, Timestamp

    if not (text := lists.get("timestamp.json")):
        return None
    value = Metadata[Timestamp].from_bytes(text).signed.unrecognized_fields.get(ISSUED)
    try:
        return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) else None
    except ValueError:
        return None


def _check_clock(source: Source, now: datetime, earliest: datetime | None, when: str) -> None:
    if earliest and now < earliest - _CLOCK_TOLERANCE:
        seen = f"seen {now:%Y-%m-%d %H:%M} UTC, before {earliest:%Y-%m-%d %H:%M}, {when}"
        raise UntrustedError(f"{source}: expected this machine's clock to be right, {seen}; set it")


@contextmanager
def _refusing(source: Source) -> Iterator[None]:
    """Turn what python-tuf raises into a refusal with its reason, and what the source raised into that."""
    from tuf.api import exceptions

    try:
        yield
    except exceptions.ExpiredMetadataError as error:
        expected = f"{source}: expected metadata that are valid today"
        remedy = "the publisher has to renew them, or this source is kept from what is new"
        raise UntrustedError(f"{expected}, seen: {error}; {remedy}") from None
    except exceptions.BadVersionNumberError as error:
        expected = f"{source}: expected nothing older than what this machine has verified"
        raise UntrustedError(f"{expected}, seen: {error}; {REMEDY}") from None
    except exceptions.DownloadHTTPError as error:
        expected = f"{source}: expected {error.args[0]}, as a root is configured here"
        raise UntrustedError(f"{expected}, seen none: it isn't signed; {REMEDY}") from None
    except exceptions.DownloadLengthMismatchError as error:
        raise UntrustedError(f"{source}: expected signed metadata, seen: {error}; {REMEDY}") from None
    except exceptions.DownloadError as error:
        if isinstance(error.__cause__, MorphstreamError):
            raise error.__cause__ from None
        raise
    except exceptions.RepositoryError as error:
        expected = f"{source}: expected metadata that the root's keys sign"
        raise UntrustedError(f"{expected}, seen: {error}; {REMEDY}") from None


def _fetcher(source: Source) -> Any:
    """Return what python-tuf's client fetches metadata with."""
    from tuf.api.exceptions import DownloadHTTPError
    from tuf.ngclient.fetcher import FetcherInterface

    class SourceFetcher(FetcherInterface):
        def _fetch(self, url: str) -> Iterator[bytes]:
            try:
                return iter([source.read(url)])
            except AbsentError:
                raise DownloadHTTPError(url, 404) from None

    return SourceFetcher()

"""Sign the documents of a publication: the lists that name each by its digest, as the root's publisher keys sign them.

Pure: from the documents' digests, the lists before, a signer and a time to the files of ``metadata/``. The same of all
these give the same bytes, as Ed25519 signatures do.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar, cast

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from morphstream.artifact.digest import Digest
from morphstream.artifact.vocabulary import ARCHIVES
from morphstream.source.signed import ISSUED, METADATA
from stages.sign.keys import SignError
from stages.sign.validity import Validity

_T = TypeVar("_T", Targets, Snapshot, Timestamp)
LISTS = tuple(f"{METADATA}/{name}.json" for name in (Targets.type, Snapshot.type, Timestamp.type))
REVERT = "revert the commit that changed it in the repository"
_SERIALIZER = JSONSerializer(compact=True)
_DOCUMENT = re.compile(
    rf"{re.escape(ARCHIVES)}|manifests/models\.json|trt_cache/[^/]+/[^/]+/manifest\.json|README\.md|NOTICE"
    r"|archives/bom\.cdx\.json|archives/[^/]+\.intoto\.json|deploy/[^/]+/[^/]+\.intoto\.json"
)


def is_document(path: str) -> bool:
    """Return whether a published path is that of a document, which is signed; all else is named by one."""
    return bool(_DOCUMENT.fullmatch(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What is signed already.

    Attributes:
        root: The root by which it was signed; None where nothing is.
        lists: The metadata by published path.
    """

    root: Metadata[Root] | None = None
    lists: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def documents(self) -> dict[str, Digest]:
        """Digest of each document that is signed, expired or not.

        Raises:
            SignError: The list isn't signed as the root says.
        """
        targets = self.read(Targets)
        files = targets.targets if targets else {}
        return {path: Digest(file.hashes["sha256"], file.length) for path, file in files.items()}

    def check(self) -> None:
        """Check that every list is there, as the others name it: a list may be an older one, or be removed.

        Raises:
            SignError: One isn't.
        """
        lists = {path: self.lists.get(path, b"") for path in LISTS}
        if missing := [path for path, text in lists.items() if not text]:
            raise SignError(f"published {missing[0]}: expected all that is signed, seen none; {REVERT}")
        timestamp, snapshot = self.read(Timestamp), self.read(Snapshot)
        if timestamp is not None and snapshot is not None:
            _check_named("snapshot.json", timestamp.snapshot_meta, lists)
            _check_named("targets.json", snapshot.meta["targets.json"], lists)

    def read(self, kind: type[_T]) -> _T | None:
        """Return a list that the root's keys have signed; None where there is none; raises as `documents`."""
        path = _path(f"{kind.type}.json")
        if self.root is None or (text := self.lists.get(path)) is None:
            return None
        try:
            found = cast("Metadata[_T]", Metadata.from_bytes(text))
            self.root.signed.verify_delegate(kind.type, found.signed_bytes, found.signatures)
        except (RepositoryError, ValueError, KeyError) as error:
            expected = f"published {path}: expected what the root's keys have signed"
            raise SignError(f"{expected}, seen {error}; correct it in the repository") from None
        if not isinstance(found.signed, kind):
            raise SignError(f"published {path}: expected a {kind.type}, seen another; correct it in the repository")
        return found.signed


def sign_documents(
    documents: Mapping[str, Digest],
    before: Published,
    root: Metadata[Root],
    signer: CryptoSigner,
    *,
    validity: Validity,
    now: datetime,
) -> dict[str, bytes]:
    """Return the signed metadata by path, but for the root's.

    Args:
        documents: Digest of each document by its path.
        before: What is signed already; versions follow. What would say the same, and is valid for long, is kept.
        root: The newest root.
        signer: A publisher's key of it.
        validity: How long they are valid.
        now: The time, in UTC.

    Raises:
        SignError: The key isn't the root's, or the root expired; or what is there is from the future.
    """
    now = now.replace(microsecond=0)
    check_signer(root, signer, now)
    _check_time(before.read(Timestamp), now)
    files = {path: TargetFile(one.bytes, {"sha256": one.sha256}, path) for path, one in sorted(documents.items())}
    life = timedelta(days=validity.lists_days)
    is_same = before.root == root and (old := before.read(Targets)) is not None and old.targets == files
    snapshot = before.read(Snapshot)
    if is_same and snapshot is not None and snapshot.expires - now > life / 2:
        lists = {path: before.lists[path] for path in LISTS}
    else:
        lists, snapshot = _new_lists(files, before, signer, now + life)
    timestamp = Timestamp(
        version=_next(before.read(Timestamp)),
        expires=now + timedelta(days=validity.timestamp_days),
        snapshot_meta=_meta(snapshot, lists),
        unrecognized_fields={ISSUED: f"{now:%Y-%m-%dT%H:%M:%SZ}"},
    )
    return {**lists, _path("timestamp.json"): _signed(timestamp, signer)}


def _new_lists(
    files: dict[str, TargetFile], before: Published, signer: CryptoSigner, expires: datetime
) -> tuple[dict[str, bytes], Snapshot]:
    """Return the signed lists but for the timestamp, by path, and what the second says."""
    targets = Targets(version=_next(before.read(Targets)), expires=expires, targets=files)
    lists = {_path("targets.json"): _signed(targets, signer)}
    meta = {"targets.json": _meta(targets, lists)}
    snapshot = Snapshot(version=_next(before.read(Snapshot)), expires=expires, meta=meta)
    return {**lists, _path("snapshot.json"): _signed(snapshot, signer)}, snapshot


def is_current(documents: Mapping[str, Digest], before: Published, root: Metadata[Root], now: datetime) -> bool:
    """Return whether documents are signed as they are, by the newest root, and valid."""
    lists = (before.read(Targets), before.read(Snapshot), before.read(Timestamp))
    is_valid = all(one is not None and one.expires > now for one in lists)
    return is_valid and before.root == root and before.documents == documents


def _check_named(name: str, meta: MetaFile, lists: Mapping[str, bytes]) -> None:
    try:
        meta.verify_length_and_hashes(lists[_path(name)])
    except RepositoryError as error:
        expected = f"published {_path(name)}: expected it as the other lists name it"
        raise SignError(f"{expected}, seen {error}; {REVERT}") from None


def _path(name: str) -> str:
    return f"{METADATA}/{name}"


def _next(before: Signed | None) -> int:
    return before.version + 1 if before else 1


def _meta(document: Signed, lists: Mapping[str, bytes]) -> MetaFile:
    return MetaFile.from_data(document.version, lists[_path(f"{document.type}.json")], ["sha256"])


def _signed(document: _T, signer: CryptoSigner) -> bytes:
    metadata = Metadata(document)
    metadata.sign(signer)
    return metadata.to_bytes(_SERIALIZER)


def check_signer(root: Metadata[Root], signer: CryptoSigner, now: datetime) -> None:
    """Check that a key may sign lists of documents, and that the root is valid.

    Raises:
        SignError: It may not, or it isn't.
    """
    role, keyid = root.signed.roles[Targets.type], signer.public_key.keyid
    what = f"sign: expected a publisher's key of root {root.signed.version}"
    if keyid not in role.keyids:
        raise SignError(f"{what}, seen {keyid}; use another, or have that one added to the root")
    if role.threshold > 1:
        raise SignError(f"{what} that suffices alone, seen {role.threshold} asked for; lower it in the root")
    if root.signed.expires <= now:
        seen = f"seen one that expired on {root.signed.expires:%Y-%m-%d}; make the next with: stages.sign root"
        raise SignError(f"sign: expected a root that is valid today, {seen}")


def _check_time(before: Timestamp | None, now: datetime) -> None:
    issued = before and before.unrecognized_fields.get(ISSUED)
    if isinstance(issued, str) and datetime.fromisoformat(issued) > now + timedelta(hours=1):
        raise SignError(f"sign: expected a clock after {issued}, when it was last signed, seen {now}; set the clock")

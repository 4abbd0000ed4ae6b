"""Root documents: which keys sign what, how many of them must, and until when. Pure, but for the signers' keys.

Conventions:

* Version 1 is signed by its own root keys; each later one by those of the version before, too, as many as each asks
  for.
* The publisher's keys sign the lists: targets, snapshot and timestamp.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import CryptoSigner, Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from stages.sign.keys import SignError

_ROLES = {"root": (Root.type,), "publisher": (Targets.type, Snapshot.type, Timestamp.type)}
_NAME = re.compile(r"([1-9][0-9]{0,8})\.root\.json")
_SERIALIZER = JSONSerializer()  # a line each, as the manifests have it: roots are reviewed in Git


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What another version of a root changes.

    Attributes:
        added: Keys, each for ``root`` or ``publisher``.
        revoked: The identities of keys that sign nothing any more.
        thresholds: How many keys of ``root`` or ``publisher`` must sign; those that aren't named stay.
        expires: When it expires, in UTC.
    """

    added: Sequence[tuple[str, Key]] = ()
    revoked: Collection[str] = ()
    thresholds: Sequence[tuple[str, int]] = ()
    expires: datetime


def version_of(name: str) -> int | None:
    """Return the version that the file name of a root has; None for another name."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None


def read_root(text: bytes, what: str) -> Metadata[Root]:
    """Read a root document, be it signed or not yet.

    Raises:
        SignError: It is none; the text names it.
    """
    try:
        root = Metadata[Root].from_bytes(text)
    except (RepositoryError, ValueError, KeyError) as error:
        raise SignError(f"{what}: expected a root document, seen {error}; name another") from None
    if not isinstance(root.signed, Root):
        raise SignError(f"{what}: expected a root document, seen another; name another")
    return root


def next_root(before: Metadata[Root] | None, change: Change) -> Metadata[Root]:
    """Return the next version of a root, or the first one, which nobody has signed yet.

    Raises:
        SignError: A key isn't there to be revoked, or too few are left for a threshold.
    """
    root = Root(consistent_snapshot=False) if before is None else Root.from_dict(before.signed.to_dict())
    root.version = 1 if before is None else before.signed.version + 1
    root.expires = change.expires.replace(microsecond=0)
    for name, key in change.added:
        for role in _ROLES[name]:
            root.add_key(key, role)
    for keyid in change.revoked:
        if not (roles := [role for role, held in root.roles.items() if keyid in held.keyids]):
            raise SignError(f"root: expected a key of it to revoke, seen {keyid}; look at it with: stages.sign show")
        for role in roles:
            root.revoke_key(keyid, role)
    for name, threshold in change.thresholds:
        for role in _ROLES[name]:
            root.roles[role].threshold = threshold
    for role, held in root.roles.items():
        if len(held.keyids) < held.threshold:
            expected = f"root: expected {held.threshold} keys of {role} at least"
            raise SignError(f"{expected}, seen {len(held.keyids)}; add keys, or lower the threshold")
    return Metadata(root)


def cosign(root: Metadata[Root], signers: Iterable[CryptoSigner], before: Metadata[Root] | None) -> None:
    """Sign a root with keys of it, or of the version before.

    Raises:
        SignError: A key is of neither.
    """
    known = {keyid for one in (root, before) if one for keyid in one.signed.roles[Root.type].keyids}
    for signer in signers:
        if signer.public_key.keyid not in known:
            expected = f"root {root.signed.version}: expected a root key of it, or of the version before"
            raise SignError(f"{expected}, seen {signer.public_key.keyid}; sign with another")
        root.sign(signer, append=True)


def missing(root: Metadata[Root], before: Metadata[Root] | None) -> list[str]:
    """Return in words what signatures a root lacks; nothing where it is complete."""
    lacking = []
    for name, delegator in (("its own", root), ("the version before's", before)):
        if delegator is not None:
            result = delegator.signed.get_verification_result(Root.type, root.signed_bytes, root.signatures)
            if not result:
                lacking.append(f"{result.threshold - len(result.signed)} more of {name} root keys")
    return lacking


def check_chain(roots: Mapping[int, bytes], folder: Path) -> None:
    """Check that root documents follow one another from the first on, each completely signed, as workers ask for each.

    Args:
        roots: Their bytes by version; one at least.
        folder: Where they are, for a refusal.

    Raises:
        SignError: One is missing, is none, or lacks a signature.
    """
    before = None
    for version in range(1, max(roots) + 1):
        if version not in roots:
            expected = f"{folder}: expected root {version}, which the next one follows"
            raise SignError(f"{expected}, seen none; get it from who made it, or from the repository's history")
        root = read_root(roots[version], str(folder / f"{version}.root.json"))
        if root.signed.version != version:
            raise SignError(f"{folder}: expected root {version} in its file, seen {root.signed.version}; rename it")
        if lacking := missing(root, before):
            expected = f"{folder}: expected root {version} signed"
            seen = f"seen it lacking {' and '.join(lacking)}"
            raise SignError(f"{expected}, {seen}; sign it with: stages.sign cosign, or remove it")
        before = root


def to_bytes(document: Metadata[Root]) -> bytes:
    """Return a document as it is published."""
    return document.to_bytes(_SERIALIZER) + b"\n"

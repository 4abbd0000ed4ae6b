"""A publisher with keys and root documents, who signs folders of the published layout."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from securesystemslib.signer import CryptoSigner

from morphstream.source.signed import METADATA
from stages.sign.keys import make_key
from stages.sign.publisher import Publisher, sign_folder
from stages.sign.roots import Change, cosign, next_root, read_root, to_bytes
from stages.sign.validity import Validity

VALIDITY = Validity(lists_days=365, timestamp_days=14)


class Signing:
    """A publisher's keys, made in a folder, and the root documents so far."""

    def __init__(self, folder: Path, *, now: datetime | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.now = folder, now or datetime.now(UTC)
        self.root_key, self.key = self.new_key("root"), self.new_key("publisher")
        self.roots: dict[int, bytes] = {}
        self.change([("root", self.root_key), ("publisher", self.key)])

    def new_key(self, name: str) -> CryptoSigner:
        """Make a key."""
        return make_key(self.folder / f"{name}.pem")

    def change(
        self,
        added: Sequence[tuple[str, CryptoSigner]] = (),
        revoked: Sequence[CryptoSigner] = (),
        *,
        signers: Sequence[CryptoSigner] | None = None,
        days: int = 365,
    ) -> int:
        """Make the next root, and return its version."""
        newest = max(self.roots, default=0)
        before = read_root(self.roots[newest], "before") if newest else None
        change = Change(
            added=[(role, key.public_key) for role, key in added],
            revoked=[key.public_key.keyid for key in revoked],
            expires=self.now + timedelta(days=days),
        )
        root = next_root(before, change)
        cosign(root, [self.root_key] if signers is None else signers, before)
        self.roots[newest + 1] = to_bytes(root)
        return newest + 1

    def root_file(self, version: int = 1) -> Path:
        """Write a root document for a worker, and return its path."""
        path = self.folder / f"given-{version}.root.json"
        path.write_bytes(self.roots[version])
        return path

    def publisher(self, *, key: CryptoSigner | None = None, validity: Validity = VALIDITY) -> Publisher:
        """Return who signs."""
        return Publisher(roots=self.roots, signer=key or self.key, validity=validity, now=self.now)

    def sign(self, layout: Path, *, key: CryptoSigner | None = None, validity: Validity = VALIDITY) -> Path:
        """Sign the documents of a folder, and return it."""
        sign_folder(layout, self.publisher(key=key, validity=validity))
        return layout

    def lists(self, layout: Path) -> dict[str, bytes]:
        """Return the metadata of a folder by file name."""
        return {path.name: path.read_bytes() for path in sorted((layout / METADATA).iterdir())}

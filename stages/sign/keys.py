"""Ed25519 keys in PEM files: a private one, and beside it the public one, which others may have."""

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner, SSlibKey

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.regular_file import read_regular

SIGNING_KEY = "MORPHSTREAM_SIGNING_KEY"  # the environment's: names the file of the publisher's private key
_MOST_BYTES = 1 << 14


class SignError(MorphstreamError):
    """Something can't be signed, or a key or a root document isn't fit for it."""


def make_key(path: Path) -> CryptoSigner:
    """Write a new private key, which this user alone can read, and the public one as ``FILE.pub``.

    Raises:
        FileExistsError: There is such a file.
    """
    signer = CryptoSigner.generate_ed25519()
    public = load_pem_private_key(signer.private_bytes, None).public_key()
    write_pair(path, signer.private_bytes, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return signer


def write_pair(path: Path, private: bytes, public: bytes) -> None:
    """Write a private key, which this user alone can read, and the public one as ``FILE.pub``.

    Raises:
        FileExistsError: There is one of these files; a public key alone is of a private one that is kept elsewhere.
    """
    _write_new(public_path(path), public, 0o644)
    try:
        _write_new(path, private, 0o600)
    except OSError:
        public_path(path).unlink()
        raise


def _write_new(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def public_path(path: Path) -> Path:
    """Return where the public key of a private one is."""
    return path.with_name(f"{path.name}.pub")


def read_signer(path: Path) -> CryptoSigner:
    """Read a private key; no message has a part of it.

    Raises:
        SignError: It is none of Ed25519, or others than its owner can read it.
        OSError: It can't be read.
    """
    check_private(path)
    try:
        key = load_pem_private_key(read_regular(path, _MOST_BYTES), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        expected = f"{path}: expected an Ed25519 private key in PEM, without a password"
        raise SignError(f"{expected}, seen another file; make one with: python -m stages.sign key FILE")
    return CryptoSigner(key)


def check_private(path: Path) -> None:
    """Check that nobody but its owner can read a private key.

    Raises:
        SignError: Others can.
        OSError: It can't be looked at.
    """
    if (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        raise SignError(f"{path}: expected a key that its owner alone can read, seen mode {mode:o}; run: chmod 600")


def read_public(path: Path) -> SSlibKey:
    """Read a public key, or the public part of a private one; raises as `read_signer`."""
    try:
        key = load_pem_public_key(read_regular(path, _MOST_BYTES))
    except (ValueError, UnsupportedAlgorithm):
        return read_signer(path).public_key
    if not isinstance(key, Ed25519PublicKey):
        raise SignError(f"{path}: expected an Ed25519 key, seen another; make one with: python -m stages.sign key FILE")
    return SSlibKey.from_crypto(key)


def publisher_key() -> CryptoSigner:
    """Read the publisher's key, which the environment names; raises as `read_signer`."""
    if not (name := os.environ.get(SIGNING_KEY)):
        expected = "sign: expected the publisher's key, as params.yaml says that the repository is signed"
        raise SignError(f"{expected}, seen none; set {SIGNING_KEY} to its file")
    return read_signer(Path(name))

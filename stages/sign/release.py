"""Sign a folder as a whole release, as OpenSSF's model-signing does, for those who verify models by that.

Files are hashed whole, as shards can't be verified by default; the key is of the curve P-256, as Ed25519 isn't
supported. A signature is another one every time, so it is beside the folder and no stage makes it.
"""

import logging
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.staged import part_of
from stages.sign.keys import SignError, check_private, write_pair

_IGNORED = (".cache", ".git", ".gitignore")  # of a download and a checkout
_FAULTS = (ValueError, TypeError, OSError, LookupError, AttributeError)  # that model-signing raises
_FORGED = "a signature of another key, or of other files"


def make_release_key(path: Path) -> None:
    """Write a new private key of the curve P-256, which this user alone can read, and its public one as ``FILE.pub``.

    Raises:
        FileExistsError: There is such a file.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_pair(path, private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def sign_release(folder: Path, key: Path, bundle: Path) -> None:
    """Write the signature of all files of a folder.

    Args:
        folder: The release, as it is published.
        key: A private key, as `make_release_key` writes it.
        bundle: Where the signature is written, outside the folder; never seen half-written.

    Raises:
        MorphstreamError: The folder or the key can't be signed with, or the extra ``openssf`` isn't installed.
    """
    _check_place(folder, bundle)
    check_private(key)
    if not any(path.is_file() for path in folder.rglob("*")):
        raise SignError(f"{folder}: expected files to sign, seen none; name another folder")
    from model_signing import signing

    part = part_of(bundle)
    try:
        config = signing.Config().use_elliptic_key_signer(private_key=key)
        config.set_hashing_config(_hashing(folder)).sign(folder, part)
        part.replace(bundle)
    except (*_FAULTS, UnsupportedAlgorithm) as error:
        raise SignError(f"{folder}: expected a folder and a key to sign it with, seen {_text(error)}") from None
    finally:
        part.unlink(missing_ok=True)


def verify_release(folder: Path, bundle: Path, key: Path) -> None:
    """Check that a folder has exactly the files that were signed.

    Raises:
        MorphstreamError: It hasn't, or was signed by another key.
    """
    _check_place(folder, bundle)
    from model_signing import verifying

    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=key)
        config.set_hashing_config(_hashing(folder)).verify(folder, bundle)
    except (*_FAULTS, InvalidSignature, UnsupportedAlgorithm) as error:
        seen = _FORGED if isinstance(error, InvalidSignature) else _text(error)
        raise SignError(f"{folder}: expected what was signed in {bundle}, seen {seen}; get it again") from None


def _hashing(folder: Path) -> Any:
    from model_signing import hashing

    ignored = [folder / name for name in _IGNORED]
    return hashing.Config().use_file_serialization().set_ignored_paths(paths=ignored, ignore_git_paths=True)


def _check_place(folder: Path, bundle: Path) -> None:
    if not folder.is_dir():
        raise SignError(f"{folder}: expected a folder, seen none; name another")
    if bundle.absolute().is_relative_to(folder.absolute()):
        raise SignError(f"{bundle}: expected a file outside the folder that is signed, seen one in it; name another")
    try:
        import model_signing
    except ModuleNotFoundError as error:
        expected = "release: expected OpenSSF's model-signing"
        raise MorphstreamError(f"{expected}, seen no {error.name}; run: pip install 'morphstream[openssf]'") from None
    logging.getLogger(model_signing.__name__).setLevel(logging.ERROR)


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

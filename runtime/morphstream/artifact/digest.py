"""The digest of bytes: sha256 and size, always together."""

import hashlib
import os
import re
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from morphstream.artifact.errors import DigestMismatchError
from morphstream.artifact.regular_file import open_regular

CHUNK_BYTES = 1 << 20  # large enough that hashing, not calling, takes the time
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Digest:
    """sha256, in lower-case hexadecimal digits, and size of some bytes; raises ValueError for others."""

    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"expected 64 lower-case hexadecimal digits, seen {self.sha256!r}")
        if isinstance(self.bytes, bool) or self.bytes < 0:
            raise ValueError(f"expected a size of 0 bytes or more, seen {self.bytes!r}")

    def __str__(self) -> str:
        return f"sha256 {self.sha256} ({self.bytes} bytes)"


def digest_of(data: bytes) -> Digest:
    """Return the digest of bytes in memory."""
    return Digest(hashlib.sha256(data).hexdigest(), len(data))


def digest_of_file(path: Path) -> Digest:
    """Return the digest of a file."""
    with open_regular(path) as file:
        return _digest_of_open(file)


def verify_file(path: Path, expected: Digest) -> None:
    """Check that a file holds exactly the expected bytes; a wrong size is refused before hashing."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size != expected.bytes:
            raise DigestMismatchError(path.name, f"{expected.bytes} bytes", f"{size} bytes")
        observed = _digest_of_open(file)
    if observed != expected:
        raise DigestMismatchError(path.name, expected, observed)


def _digest_of_open(file: BufferedReader) -> Digest:
    return Digest(hashlib.file_digest(file, "sha256").hexdigest(), file.tell())

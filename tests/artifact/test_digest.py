"""A digest is sha256 and size together, and a file is taken only when both are as named."""

from pathlib import Path

import pytest

from morphstream.artifact.digest import CHUNK_BYTES, Digest, digest_of, digest_of_file, verify_file
from morphstream.artifact.errors import DigestMismatchError

ABC = Digest("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 3)  # FIPS 180-4's example


def test_known_bytes_have_their_published_digest() -> None:
    assert digest_of(b"abc") == ABC
    assert str(ABC) == f"sha256 {ABC.sha256} (3 bytes)"


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1], ids=["empty", "one byte", "a chunk", "a chunk and a byte"]
)
def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    assert digest_of_file(path) == digest_of(b"x" * size)
    verify_file(path, digest_of(b"x" * size))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"abcd", "file: expected 3 bytes, seen 4 bytes; fetch or build it again", id="longer"),
        pytest.param(b"", "file: expected 3 bytes, seen 0 bytes; fetch or build it again", id="empty"),
        pytest.param(b"abd", f"file: expected {ABC}, seen {digest_of(b'abd')}; fetch", id="altered"),
    ],
)
def test_a_file_with_other_bytes_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(DigestMismatchError) as refusal:
        verify_file(path, ABC)
    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize(
    ("sha256", "size"),
    [
        pytest.param(ABC.sha256.upper(), 3, id="upper case"),
        pytest.param(ABC.sha256[1:], 3, id="too short"),
        pytest.param(ABC.sha256 + "\n", 3, id="a line end"),
        pytest.param("", 3, id="no hash"),
        pytest.param(ABC.sha256, -1, id="negative size"),
        pytest.param(ABC.sha256, True, id="a truth value for a size"),
    ],
)
def test_what_is_no_digest_is_refused(sha256: str, size: int) -> None:
    with pytest.raises(ValueError, match=r"^expected"):
        Digest(sha256, size)

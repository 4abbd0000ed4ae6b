"""What isn't a regular file is refused at once, in a line that says what it is, and a file is read within a bound."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from morphstream.artifact.archive import describe, pack
from morphstream.artifact.digest import digest_of, digest_of_file, verify_file
from morphstream.artifact.errors import FetchError
from morphstream.artifact.regular_file import UnfitFileError, open_regular, read_regular
from morphstream.source.folder import FolderSource


def _listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


OTHERS = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a socket or a device": _listen,
}


@pytest.fixture(params=OTHERS)
def other(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """Something that is no regular file, and the words for it."""
    OTHERS[request.param](tmp_path / "other")
    return tmp_path / "other", request.param


def test_a_regular_file_is_read_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "file", 4) == read_regular(tmp_path / "link", 4) == b"data"
    with open_regular(tmp_path / "file") as file:
        assert file.read() == b"data"


@pytest.mark.parametrize(
    "read",
    [open_regular, lambda path: read_regular(path, 1), digest_of_file, lambda path: verify_file(path, digest_of(b""))],
    ids=["open_regular", "read_regular", "digest_of_file", "verify_file"],
)
def test_what_is_no_regular_file_is_refused_by_its_kind(
    other: tuple[Path, str], read: Callable[[Path], object]
) -> None:
    path, seen = other
    with pytest.raises(UnfitFileError) as caught:
        read(path)
    assert caught.value.strerror == seen
    assert str(caught.value) == f"{path}: expected a regular file, seen {seen}; move it away, or name another"


def test_a_source_an_archive_and_what_is_packed_are_refused_by_their_kind(
    other: tuple[Path, str], tmp_path: Path
) -> None:
    path, seen = other
    with pytest.raises(FetchError, match=f"expected other, seen {seen}; run `dvc repro` or name another folder$"):
        FolderSource(tmp_path).read("other")
    with pytest.raises(UnfitFileError, match=f"seen {seen}"):
        describe(path)
    with pytest.raises(Exception, match=r"expected a regular file"):
        pack({"file": path}, tmp_path / "a.tar.zst", level=1, threads=1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["other"]


def test_more_than_the_bound_is_refused_however_much_more_that_is(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UnfitFileError, match="seen more than 1000 bytes; move it away"):
        read_regular(tmp_path / "huge", 1000)


def test_a_link_is_refused_where_none_may_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(UnfitFileError, match="seen a link"):
        open_regular(tmp_path / "link", follows_links=False)
    assert read_regular(tmp_path / "file", 0, follows_links=False) == b""


def test_a_folder_and_a_missing_file_keep_the_systems_words(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught:
        open_regular(tmp_path)
    assert caught.value.filename == str(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "none")

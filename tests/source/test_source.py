"""A folder is a source: it gives what is published there, or says what is missing."""

from pathlib import Path

import pytest

from morphstream.artifact.errors import FetchError
from morphstream.source.folder import FolderSource
from morphstream.source.source import Source
from tests.layouts import CPU, archive_of


def test_manifests_and_archives_are_given_as_they_lie_there(layout: Path) -> None:
    source: Source = FolderSource(layout)
    assert source.read("manifests/archives.json") == (layout / "manifests/archives.json").read_bytes()
    with source.open(f"archives/{archive_of(CPU)}") as stream:
        assert stream.read() == (layout / "archives" / archive_of(CPU)).read_bytes()


def test_a_manifest_is_not_read_beyond_its_bound(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(FetchError, match=r"expected a\.json of 67108864 bytes at most, seen more; publish it again"):
        FolderSource(tmp_path).read("a.json")


@pytest.mark.parametrize("name", ["none", "a-file/none"])
def test_what_is_missing_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "a-file").touch()
    source = FolderSource(tmp_path / name)
    with pytest.raises(FetchError, match=rf"{name}: expected manifests/a.json, seen .*; run `dvc repro` or"):
        source.read("manifests/a.json")
    with pytest.raises(FetchError, match=rf"{name}: expected archives/a.tar.zst, seen .*; run `dvc repro` or"):
        source.open("archives/a.tar.zst")

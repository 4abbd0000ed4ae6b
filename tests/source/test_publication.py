"""A publication is read in one place: once, bounded, checked, and kept byte for byte as it was published."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import pytest

from morphstream.artifact.digest import Digest, digest_of_file
from morphstream.artifact.errors import AbsentError, FetchError, ManifestError
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import ARCHIVES
from morphstream.source.folder import FolderSource
from morphstream.source.publication import Publication, files_in_archive
from tests.layouts import CPU, FILES, archive_of, read_archives

KEY = CacheKey.parse(CPU)


@dataclass
class Noting:
    """A source that notes what it is asked."""

    root: Path
    is_remote: bool = False
    asked: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "noting"

    def read(self, path: str) -> bytes:
        """Note the file, and return it."""
        self.asked.append(path)
        return FolderSource(self.root).read(path)

    def open(self, path: str) -> BinaryIO:
        """Note the file, and open it."""
        self.asked.append(path)
        return FolderSource(self.root).open(path)


def test_the_list_of_archives_is_read_once(layout: Path) -> None:
    publication = Publication(source := Noting(layout), trust=None)
    assert source.asked == []
    assert publication.archives() is publication.archives()
    assert publication.cache_keys()[KEY] == archive_of(CPU)
    assert source.asked == [ARCHIVES]


def _be_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "error", "expected"),
    [
        pytest.param(lambda path: path.write_text("{"), ManifestError, r"^noting, archives\.json: ", id="broken"),
        pytest.param(_be_a_folder, FetchError, "Is a directory", id="a folder"),
    ],
)
def test_a_list_that_is_refused_is_not_read_again(
    layout: Path, spoil: Callable[[Path], object], error: type[Exception], expected: str
) -> None:
    spoil(layout / ARCHIVES)
    publication = Publication(source := Noting(layout), trust=None)
    for _ in range(2):
        with pytest.raises(error, match=expected):
            publication.archives()
    assert source.asked == [ARCHIVES]


def test_a_source_without_a_list_has_no_archives_and_says_why(layout: Path) -> None:
    (layout / ARCHIVES).unlink()
    publication = Publication(source := Noting(layout), trust=None)
    assert (publication.archives(), publication.cache_keys()) == ({}, {})
    assert isinstance(publication.absent, AbsentError)
    assert source.asked == [ARCHIVES]


def test_offline_reads_nothing_from_another_machine(layout: Path) -> None:
    source = Noting(layout, is_remote=True)
    with pytest.raises(FetchError, match=r"^noting: expected a source on this machine, seen one elsewhere; boot"):
        Publication(source, trust=None, is_offline=True).archives()
    assert source.asked == []
    assert Publication(Noting(layout), trust=None, is_offline=True).archives()


def test_a_manifest_is_kept_byte_for_byte(layout: Path) -> None:
    path = layout / "trt_cache" / CPU / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"signature": "later"}))
    published = Publication(FolderSource(layout), trust=None).manifest(KEY)
    assert (published.text, published.digest) == (path.read_bytes(), digest_of_file(path))
    assert published.files.keys() == {*FILES, "manifest.json"}


def test_an_archive_without_an_engine_cache_is_refused(layout: Path) -> None:
    entry = read_archives(layout).archives["models.tar.zst"]
    with pytest.raises(ManifestError, match=r"^models\.tar\.zst: expected an engine cache and its manifest"):
        files_in_archive("models.tar.zst", entry)


def test_a_manifest_in_an_archive_is_bounded_before_anything_is_fetched(layout: Path) -> None:
    name, path = archive_of(CPU), f"trt_cache/{CPU}/manifest.json"
    entry = read_archives(layout).archives[name]
    large = replace(entry, files={**entry.files, path: Digest("0" * 64, (64 << 20) + 1)})
    with pytest.raises(ManifestError, match=r"expected manifest\.json of 67108864 bytes at most, seen 67108865"):
        files_in_archive(name, large)

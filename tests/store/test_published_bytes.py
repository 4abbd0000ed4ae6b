"""What was published whole is kept byte for byte, is named by the digest of that, and is found again by it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from morphstream.artifact.digest import digest_of, digest_of_file
from morphstream.artifact.errors import FetchError
from morphstream.artifact.manifest import EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.boot.boot import boot
from morphstream.boot.ondemand import add_model
from morphstream.source.fetch import archive_delivery, engine_delivery
from morphstream.source.folder import FolderSource
from morphstream.source.publication import Publication
from morphstream.store.install import install
from morphstream.store.store import Store
from tests.layouts import CPU, FILES, MACHINE, ON_DEMAND, archive_of, packed, publish, read_archives, replace_entry

ARCHIVE = archive_of(CPU)


class Sealed(FolderSource):
    """A source that refuses to open anything; its small files can be read."""

    def open(self, path: str) -> BinaryIO:
        """Refuse archives and engines."""
        if path.endswith(".json"):
            return super().open(path)
        raise FetchError(f"{path}: expected not to be opened, seen a reader")


def publish_newer(root: Path, build: int = 0, files: tuple[str, ...] = tuple(FILES)) -> Path:
    """Publish engines whose manifest has a key that this release doesn't know; return the path of the manifest."""
    path = publish(root, CPU, build=build, files=files) / "trt_cache" / CPU / "manifest.json"
    path.write_text(json.dumps({"signature": "of a later release", **json.loads(path.read_text())}))
    replace_entry(root, ARCHIVE, packed(root, ARCHIVE, CPU, [*files, "manifest.json"]))
    return path


def from_archive(layout: Path, source: type[FolderSource] = FolderSource, **groups: list[str]) -> tuple[Store, bool]:
    store = Store(layout.parent / "store")
    entry = read_archives(layout).archives[ARCHIVE]
    return store, install(store, archive_delivery(ARCHIVE, entry, source(layout)), groups=groups.get("groups"))


def from_engines(layout: Path, source: type[FolderSource] = FolderSource, **groups: list[str]) -> tuple[Store, bool]:
    store = Store(layout.parent / "store")
    published = Publication(source(layout), trust=None).manifest(CacheKey.parse(CPU))
    return store, install(store, engine_delivery(published, source(layout)), groups=groups.get("groups"))


Way = Callable[..., tuple[Store, bool]]
WAYS = pytest.mark.parametrize("way", [from_archive, from_engines], ids=["an archive", "single engines"])


@WAYS
def test_a_whole_publication_keeps_its_bytes_and_is_named_by_them(tmp_path: Path, way: Way) -> None:
    path = publish_newer(tmp_path / "layout")
    store, is_new = way(tmp_path / "layout")
    installed = store.current()
    assert is_new
    assert (installed.folder / "manifest.json").read_bytes() == path.read_bytes()
    assert installed.publication == digest_of(installed.text) == digest_of_file(path)
    assert installed.folder.name == installed.publication.sha256[:16]
    store.verify()


@WAYS
def test_a_step_back_opens_nothing(tmp_path: Path, way: Way) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    publish_newer(first)
    publish_newer(second, build=1)
    store, _ = way(first)
    with store.hold() as held:
        assert way(second)[1]
        assert store.current() != held
        assert way(first, Sealed)[1]
        assert store.current() == held
    assert not way(first, Sealed)[1]
    store.verify()


@WAYS
def test_a_lost_record_is_written_again_and_opens_nothing(tmp_path: Path, way: Way) -> None:
    publish_newer(tmp_path / "layout")
    store, _ = way(tmp_path / "layout")
    before = store.current()
    (store.path / "current.json").unlink()
    assert way(tmp_path / "layout", Sealed)[1]
    assert store.current() == before


@WAYS
def test_a_part_has_a_manifest_of_its_own(tmp_path: Path, way: Way) -> None:
    path = publish_newer(tmp_path / "layout")
    store, _ = way(tmp_path / "layout", groups=["core"])
    installed = store.current()
    assert installed.publication == digest_of_file(path)
    assert installed.text == installed.manifest.to_json().encode() != path.read_bytes()
    assert not way(tmp_path / "layout", Sealed, groups=["core"])[1]
    assert way(tmp_path / "layout")[1]
    assert (store.current().folder / "manifest.json").read_bytes() == path.read_bytes()
    store.verify()


def test_a_part_of_what_is_there_whole_opens_no_archive(tmp_path: Path) -> None:
    publish_newer(tmp_path / "layout")
    store, _ = from_archive(tmp_path / "layout")
    with store.hold():
        publish_newer(tmp_path / "other", build=1)
        from_archive(tmp_path / "other")
        assert from_archive(tmp_path / "layout", Sealed, groups=["core"])[1]
    assert store.current().models == {"det_10g": "core"}
    store.verify()


def test_a_model_that_is_added_makes_it_a_part(tmp_path: Path) -> None:
    publish_newer(tmp_path / "layout")
    store, _ = from_archive(tmp_path / "layout")
    before = store.current()
    publish_newer(tmp_path / "hub", files=(*FILES, *ON_DEMAND))
    add_model(store, "hyperswap_1a_256", FolderSource(tmp_path / "hub"))
    installed = store.current()
    assert (installed.publication, installed.is_whole) == (before.publication, True)
    assert (installed.folder / "manifest.json").read_text() == installed.manifest.to_json()
    assert boot(store, source=Sealed(tmp_path / "layout"), machine=MACHINE).was_good
    store.verify()


def test_a_store_of_the_release_before_serves_on(tmp_path: Path) -> None:
    path = publish_newer(tmp_path / "layout")
    store, _ = from_archive(tmp_path / "layout")
    whole = store.current()
    text = EngineManifest.from_json(path.read_bytes()).to_json().encode()  # which it wrote, and named the folder by
    folder = whole.folder.rename(whole.folder.with_name(digest_of(text).sha256[:16]))
    (folder / "manifest.json").write_bytes(text)
    record = json.loads((store.path / "current.json").read_bytes())
    record |= {"manifest_sha256": digest_of(text).sha256, "manifest_bytes": len(text), "folder": folder.name}
    record.pop("record_sha256")
    record["record_sha256"] = digest_of((json.dumps(record, indent=2) + "\n").encode()).sha256
    (store.path / "current.json").write_text(json.dumps(record, indent=2) + "\n")
    store.verify()
    assert store.current().publication == digest_of_file(path)
    assert boot(store, source=Sealed(tmp_path / "layout"), machine=MACHINE).was_good
    publish_newer(tmp_path / "layout", build=1)
    assert not boot(store, source=tmp_path / "layout", machine=MACHINE).was_good
    assert [entry.name for entry in (store.path / "caches").iterdir()] == [store.current().folder.name]
    store.verify()

"""A store is whole or absent: what is not as it was booted is refused, and found by its digest."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import pytest

from morphstream.artifact.digest import digest_of
from morphstream.artifact.errors import DigestMismatchError, FetchError, ManifestError, NoEngineError
from morphstream.artifact.manifest import EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.source.fetch import archive_delivery
from morphstream.source.folder import FolderSource
from morphstream.store.install import install
from morphstream.store.store import Installed, Store
from tests.layouts import CPU, FILES, archive_of, packed, publish, read_archives, write_manifest

ARCHIVE = archive_of(CPU)


def put(store: Store, layout: Path) -> Installed:
    assert install(store, archive_delivery(ARCHIVE, read_archives(layout).archives[ARCHIVE], FolderSource(layout)))
    return store.current()


def test_a_cache_is_flat_and_named_by_the_identity_of_its_content(store: Store, layout: Path) -> None:
    installed = put(store, layout)
    entry = read_archives(layout).archives[ARCHIVE]
    base = entry.files[f"trt_cache/{CPU}/manifest.json"]
    assert (installed.archive, str(installed.cache_key), installed.publication) == (ARCHIVE, CPU, base)
    assert installed.folder == store.path / "caches" / base.sha256[:16]
    assert {path.name for path in installed.folder.iterdir()} == {*FILES, "manifest.json"}
    for name in FILES:
        assert (installed.folder / name).read_bytes() == (layout / "trt_cache" / CPU / name).read_bytes()
    store.verify()


def test_a_models_files_are_given_by_kind(store: Store, layout: Path) -> None:
    installed = put(store, layout)
    names = {"ir": "inswapper_128.xml", "ir_weights": "inswapper_128.bin", "emap": "inswapper_128.npy"}
    paths = {kind: installed.folder / name for kind, name in names.items()}
    assert installed.files_of("inswapper_128") == paths
    assert installed.models == {"det_10g": "core", "inswapper_128": "inswapper_128"}


def test_a_model_that_is_not_held_is_refused_with_those_that_are(store: Store, layout: Path) -> None:
    expected = "gfpgan: expected an engine, seen those of det_10g, inswapper_128 only"
    with pytest.raises(NoEngineError, match=expected):
        put(store, layout).files_of("gfpgan")


@pytest.mark.parametrize("kind", ["ir", None], ids=["twice", "none"])
def test_a_file_whose_kind_does_not_tell_it_apart_is_refused(store: Store, layout: Path, kind: str | None) -> None:
    installed = put(store, layout)
    files = dict(installed.manifest.engine_files)
    files["det_10g.bin"] = replace(files["det_10g.bin"], kind=kind)
    unclear = replace(installed, manifest=replace(installed.manifest, engine_files=files))
    with pytest.raises(NoEngineError, match="det_10g: expected every file to have a kind of its own"):
        unclear.files_of("det_10g")


def test_an_empty_store_is_refused(store: Store) -> None:
    with pytest.raises(NoEngineError, match=r"expected engines, seen no current\.json .*; run: morphstream boot$"):
        store.current()
    assert not store.path.exists()


def _alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        pytest.param("caches/*/det_10g.bin", Path.unlink, id="a missing file"),
        pytest.param("caches/*/det_10g.bin", _cut, id="a cut file"),
        pytest.param("caches/*/manifest.json", Path.unlink, id="a missing manifest"),
        pytest.param("caches/*/manifest.json", _alter, id="an altered manifest"),
        pytest.param("current.json", _cut, id="a cut current.json"),
        pytest.param("current.json", lambda path: path.write_text("[]"), id="a current.json of another form"),
        pytest.param("caches", lambda path: path.rename(path.with_name("moved")), id="no caches"),
    ],
)
def test_a_damaged_store_is_refused(store: Store, layout: Path, file: str, damage: Callable[[Path], object]) -> None:
    put(store, layout)
    damage(next(store.path.glob(file)))
    for look in (store.current, store.verify):
        with pytest.raises(NoEngineError, match=r"^store .*; run: morphstream boot$"):
            look()


@pytest.mark.parametrize("name", FILES)
def test_an_altered_byte_is_found_by_its_digest(store: Store, layout: Path, name: str) -> None:
    _alter(put(store, layout).folder / name)
    store.current()
    with pytest.raises(DigestMismatchError, match=f"^{name}: expected sha256"):
        store.verify()


def test_an_archive_without_engines_is_refused(store: Store, layout: Path) -> None:
    name = "models.tar.zst"
    with pytest.raises(ManifestError, match="expected an engine cache"):
        install(store, archive_delivery(name, read_archives(layout).archives[name], FolderSource(layout)))


def _no_digest(manifest: EngineManifest) -> EngineManifest:
    files = {name: replace(file, digest=None) for name, file in manifest.engine_files.items()}
    return replace(manifest, engine_files=files)


def _another_digest(manifest: EngineManifest) -> EngineManifest:
    files = {**manifest.engine_files}
    files["det_10g.bin"] = replace(files["det_10g.bin"], digest=digest_of(b"another"))
    return replace(manifest, engine_files=files)


def _one_file_less(manifest: EngineManifest) -> EngineManifest:
    files = {name: file for name, file in manifest.engine_files.items() if name != "det_10g.bin"}
    return replace(manifest, engine_files=files)


def _another_key(manifest: EngineManifest) -> EngineManifest:
    return replace(manifest, cache_key=CacheKey.parse("x86_64/ov2026.3"))


@pytest.mark.parametrize(
    ("contradict", "expected"),
    [
        pytest.param(_no_digest, "expected sha256 and bytes, seen none", id="no digests"),
        pytest.param(_another_digest, r"det_10g\.bin'\]", id="another digest"),
        pytest.param(_one_file_less, r"det_10g\.bin'\]", id="a file that it doesn't name"),
        pytest.param(_another_key, r"expected x86_64/ov2026\.4, as published, seen x86_64/ov2026\.3", id="another key"),
    ],
)
def test_a_manifest_that_contradicts_the_archives_entry_is_refused(
    store: Store, layout: Path, contradict: Callable[[EngineManifest], EngineManifest], expected: str
) -> None:
    before = put(store, layout)
    write_manifest(layout / "trt_cache" / CPU, contradict(before.manifest))
    entry = packed(layout, ARCHIVE, CPU, [*FILES, "manifest.json"])
    with pytest.raises(ManifestError, match=expected):
        install(store, archive_delivery(ARCHIVE, entry, FolderSource(layout)))
    assert store.current() == before
    store.verify()


@dataclass
class Witness:
    """A source that looks at the store while it is read."""

    layout: FolderSource
    store: Store
    seen: Installed | None = None

    def read(self, path: str) -> bytes:
        """Refuse: an install reads archives only."""
        raise FetchError(path)

    def open(self, path: str) -> BinaryIO:
        """Note what the store holds."""
        self.seen = self.store.current()
        return self.layout.open(path)


def test_the_old_cache_serves_until_the_new_one_is_complete(store: Store, layout: Path) -> None:
    before = put(store, layout)
    publish(layout, CPU, build=1)
    witness = Witness(FolderSource(layout), store)
    entry = read_archives(layout).archives[ARCHIVE]
    assert install(store, archive_delivery(ARCHIVE, entry, witness))
    assert witness.seen == before
    base = entry.files[f"trt_cache/{CPU}/manifest.json"]
    assert store.current().publication == base
    assert [path.name for path in (store.path / "caches").iterdir()] == [base.sha256[:16]]


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_terminal_sees_how_far_it_is_and_others_see_nothing(
    store: Store, layout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(store, layout)
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    publish(layout, CPU, build=1)
    put(store, layout)
    assert f"boot {ARCHIVE}: 100 %" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\033[K")

"""After a boot the store is good, and a boot that is refused or killed leaves the one that was there."""

import io
import multiprocessing
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import BinaryIO

import pytest

from morphstream.artifact.errors import (
    DigestMismatchError,
    FetchError,
    ManifestError,
    MorphstreamError,
    NoEngineError,
)
from morphstream.artifact.manifest import EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.boot.boot import boot
from morphstream.boot.report import BootReport
from morphstream.source.folder import FolderSource
from morphstream.store.store import Store
from tests.layouts import CPU, FILES, MACHINE, archive_of, publish, read_archives, replace_entry

ARCHIVE = f"archives/{archive_of(CPU)}"
MANIFEST = "manifests/archives.json"
SPAWN = multiprocessing.get_context("spawn")


def marks_of(folder: Path) -> dict[Path, tuple[int, int]]:
    marks = {path: path.stat() for path in (folder, *folder.rglob("*"))}
    return {path: (mark.st_ino, mark.st_mtime_ns) for path, mark in marks.items()}


def boot_at(store: Path, source: Path | FolderSource) -> BootReport:
    return boot(store, source=source, machine=MACHINE)


def test_an_empty_store_boots(store: Store, layout: Path) -> None:
    report = boot(store, source=layout, machine=MACHINE)
    assert (str(report.cache_key), report.archive, report.was_good) == (CPU, archive_of(CPU), False)
    assert str(report).startswith(f"{CPU} from {archive_of(CPU)} booted: probe 0.00 s, store 0.00 s, select ")
    assert len(str(report).splitlines()) == 1
    assert store.current().cache_key == report.cache_key
    store.verify()


def test_a_first_boot_parses_the_manifest_once(store: Store, layout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed, parse = list[str | bytes](), EngineManifest.from_json

    def counted(text: str | bytes) -> EngineManifest:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(EngineManifest, "from_json", counted)
    boot(store, source=layout, machine=MACHINE)
    assert parsed == [(layout / "trt_cache" / CPU / "manifest.json").read_bytes()]


def test_booting_again_touches_nothing(store: Store, layout: Path) -> None:
    boot(store, source=layout, machine=MACHINE)
    before = marks_of(store.path)
    (layout / ARCHIVE).unlink()  # nor is the archive asked for
    report = boot(str(store.path), source=str(layout), machine=MACHINE)
    assert report.was_good
    assert " was there already: " in str(report)
    assert marks_of(store.path) == before


def test_a_target_that_this_machine_cannot_run_is_booted_when_it_is_named(store: Store, layout: Path) -> None:
    report = boot(store, target="rtx-sm89", source=layout, machine=MACHINE)
    assert str(report.cache_key) == "sm89/rtx1.7_ort1.31"


def test_a_target_of_another_form_is_refused_before_anything_is_read(store: Store) -> None:
    with pytest.raises(ValueError, match=r"^target: expected auto, .* seen 'banana'; name one of these$"):
        boot(store, target="banana", source=[], machine=MACHINE)
    assert not store.path.exists()


def test_the_source_is_the_environments_or_the_folder_build(
    store: Store, layout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(layout.parent)
    monkeypatch.delenv("MORPHSTREAM_SOURCE", raising=False)
    with pytest.raises(FetchError, match=f"^build: expected {MANIFEST}, seen .*; run `dvc repro`"):
        boot(store, machine=MACHINE)
    monkeypatch.setenv("MORPHSTREAM_SOURCE", str(layout))
    assert not boot(store, machine=MACHINE).was_good
    monkeypatch.delenv("MORPHSTREAM_SOURCE")
    layout.rename("build")
    assert boot(store, machine=MACHINE).was_good


def _alter(layout: Path) -> None:
    data = bytearray((layout / ARCHIVE).read_bytes())
    data[len(data) // 2] ^= 1
    (layout / ARCHIVE).write_bytes(data)


def _cut(layout: Path) -> None:
    data = (layout / ARCHIVE).read_bytes()
    (layout / ARCHIVE).write_bytes(data[: len(data) // 2])


def _swap_archives(layout: Path) -> None:
    (layout / "archives" / archive_of("sm89/rtx1.7_ort1.31")).rename(layout / ARCHIVE)


def _other_key(layout: Path) -> None:
    entry = read_archives(layout).archives[archive_of("sm89/rtx1.7_ort1.31")]
    replace_entry(layout, archive_of(CPU), replace(entry, cache_key=CacheKey.parse(CPU)))
    _swap_archives(layout)


def _other_arch(layout: Path) -> None:
    shutil.rmtree(layout / "trt_cache" / CPU)
    publish(layout, "sm89/rtx1.7_ort1.31")


def _no_manifest(layout: Path) -> None:
    (layout / MANIFEST).unlink()
    shutil.rmtree(layout / "trt_cache")


def _other_version(layout: Path) -> None:
    shutil.rmtree(layout / "trt_cache" / CPU)
    publish(layout, "x86_64/ov2026.3")


@pytest.mark.parametrize(
    ("spoil", "error", "expected"),
    [
        pytest.param(_alter, MorphstreamError, "expected", id="an altered byte"),
        pytest.param(_cut, MorphstreamError, "expected", id="a cut archive"),
        pytest.param(_swap_archives, MorphstreamError, "expected", id="another archive"),
        pytest.param(_other_key, ManifestError, "expected an engine cache", id="an entry with another key"),
        pytest.param(_other_arch, NoEngineError, r"\(arch sm89\)", id="another arch"),
        pytest.param(_other_version, NoEngineError, r"\(OpenVINO 2026\.3\)", id="another OpenVINO"),
        pytest.param(lambda layout: (layout / ARCHIVE).unlink(), FetchError, ARCHIVE, id="no archive"),
        pytest.param(_no_manifest, FetchError, MANIFEST, id="no manifest"),
        pytest.param(
            lambda layout: (layout / MANIFEST).write_text("{"),
            ManifestError,
            r"layout, archives\.json: expected JSON",
            id="a broken manifest",
        ),
    ],
)
def test_a_refused_boot_says_why_in_a_line_and_leaves_the_old_store(
    store: Store, layout: Path, spoil: Callable[[Path], object], error: type[Exception], expected: str
) -> None:
    boot(store, source=layout, machine=MACHINE)
    before = store.current()
    publish(layout, CPU, "sm89/rtx1.7_ort1.31", build=1)
    spoil(layout)
    with pytest.raises(error, match=expected) as caught:
        boot(store, source=layout, machine=MACHINE, update=True)
    assert len(str(caught.value).splitlines()) == 1
    report = boot(store, source=layout, machine=MACHINE)  # nobody asked for an update
    assert (report.was_good, "store kept" in report.fallbacks) == (True, error is not NoEngineError)
    assert store.current() == before
    store.verify()
    assert {path.name for path in store.path.iterdir()} == {".lock", "caches", "current.json"}
    assert list((store.path / "caches").iterdir()) == [before.folder]


@pytest.mark.parametrize("file", ["current.json", "caches/*/manifest.json", "caches/*/det_10g.bin"])
def test_a_boot_mends_a_store_that_lacks_a_file(store: Store, layout: Path, file: str) -> None:
    boot(store, source=layout, machine=MACHINE)
    next(store.path.glob(file)).unlink()
    assert not boot(store, source=layout, machine=MACHINE).was_good
    store.verify()


def test_an_altered_byte_is_mended_once_the_store_is_declared_bad(store: Store, layout: Path) -> None:
    boot(store, source=layout, machine=MACHINE)
    (store.current().folder / "det_10g.bin").write_bytes(bytes(5000))
    with pytest.raises(DigestMismatchError):
        store.verify()
    (store.path / "current.json").unlink()
    boot(store, source=layout, machine=MACHINE)
    store.verify()


def test_of_processes_that_boot_at_once_one_does_and_all_succeed(store: Store, layout: Path) -> None:
    with SPAWN.Pool(4) as pool:
        reports = pool.starmap(boot_at, [(store.path, layout)] * 4, chunksize=1)
    assert sorted(report.was_good for report in reports) == [False, True, True, True]
    store.verify()


class HalfStream(io.BytesIO):
    """A stream that says when its bytes are read, and then waits for ever."""

    def __init__(self, data: bytes, is_read: Event) -> None:
        super().__init__(data)
        self.is_read = is_read

    def read(self, size: int | None = -1) -> bytes:
        """Return up to so many bytes, or wait."""
        if data := super().read(size):
            return data
        self.is_read.set()
        signal.pause()
        return b""


@dataclass(frozen=True)
class HalfSource(FolderSource):
    """A published layout whose archives stop in the middle."""

    is_read: Event

    def open(self, path: str) -> BinaryIO:
        """Open the first half of an archive."""
        with super().open(path) as stream:
            data = stream.read()
        return HalfStream(data[: len(data) // 2], self.is_read) if path == ARCHIVE else io.BytesIO(data)


def test_a_killed_boot_leaves_the_old_store_and_the_next_one_cleans_up(store: Store, layout: Path) -> None:
    boot(store, source=layout, machine=MACHINE)
    before = store.current()
    publish(layout, CPU, build=1)
    is_read = SPAWN.Event()
    process = SPAWN.Process(target=boot_at, args=(store.path, HalfSource(layout, is_read)))
    process.start()
    assert is_read.wait(60)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert list(store.path.glob(".staging*"))
    assert store.current() == before
    store.verify()

    assert not boot(store, source=layout, machine=MACHINE).was_good
    assert not list(store.path.glob(".staging*"))
    assert list((store.path / "caches").iterdir()) == [store.current().folder] != [before.folder]
    store.verify()


def test_what_was_left_between_the_two_renames_is_replaced(store: Store, layout: Path) -> None:
    boot(store, source=layout, machine=MACHINE)
    before = store.current()
    publish(layout, CPU, build=1)
    left = (
        store.path
        / "caches"
        / read_archives(layout).archives[archive_of(CPU)].files[f"trt_cache/{CPU}/manifest.json"].sha256[:16]
    )
    left.mkdir()
    shutil.copy(layout / "trt_cache" / CPU / "manifest.json", left)
    (left / "half").touch()
    assert store.current() == before
    boot(store, source=layout, machine=MACHINE)
    assert {path.name for path in left.iterdir()} == {*FILES, "manifest.json"}
    store.verify()

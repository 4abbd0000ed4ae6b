"""What no archive gives comes as single engines, as a portable one, or is built here: the best there is."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from morphstream.artifact.digest import digest_of
from morphstream.artifact.errors import DigestMismatchError, FetchError, ManifestError, MorphstreamError, NoEngineError
from morphstream.artifact.manifest import ArchivesManifest, EngineFile, EngineManifest
from morphstream.boot.boot import boot
from morphstream.boot.build import Builder
from morphstream.boot.ondemand import add_model
from morphstream.boot.report import BootReport
from morphstream.source.folder import FolderSource
from morphstream.store.store import Store
from tests.boot.test_boot_order import Elsewhere
from tests.layouts import (
    CPU,
    FILES,
    MACHINE,
    ON_DEMAND,
    archive_of,
    leave_killed,
    publish,
    read_archives,
    write_archives,
    write_manifest,
)

RTX, PORTABLE = "sm89/rtx1.7_ort1.31", "portable/rtx1.7_ort1.31"
GPU = replace(MACHINE, gpu_archs=("sm89",), libraries={"tensorrt_rtx": "1.7.1", "onnxruntime": "1.31.1"})
BOTH = replace(GPU, libraries={**GPU.libraries, **MACHINE.libraries})

# A builder that has engines ready, and one that fails.
COPIES = """
import shutil, sys
key, folder = sys.argv[1], sys.argv[3]
shutil.copytree("built/trt_cache/" + key, folder + "/trt_cache/" + key)
open("asked", "w").write(" ".join([key, *sys.argv[4:]]))
sys.exit({code})
"""


def only_engines(root: Path, *keys: str, files: tuple[str, ...] = tuple(FILES), build: int = 0) -> Path:
    """Publish engines, and the archive of models alone."""
    publish(root, *keys, files=files, build=build)
    archives = read_archives(root)
    write_archives(root, ArchivesManifest(archives={"models.tar.zst": archives.archives["models.tar.zst"]}))
    return root


def pipeline(folder: Path, code: int, *keys: str) -> Path:
    """Make a pipeline whose builder copies engines for some cache keys, and ends with a code."""
    (folder / "stages").mkdir(parents=True)
    (folder / "params.yaml").touch()
    (folder / "stages/__init__.py").touch()
    (folder / "stages/build.py").write_text(COPIES.format(code=code))
    publish(folder / "built", *keys)
    return folder


def test_single_engines_are_taken_where_there_is_no_archive(store: Store, tmp_path: Path) -> None:
    layout = only_engines(tmp_path / "layout", CPU)
    report = boot(store, source=layout, machine=MACHINE)
    assert (report.archive, report.was_good, report.fallbacks) == (f"trt_cache/{CPU}", False, ())
    assert {path.name for path in store.current().folder.iterdir()} == {*FILES, "manifest.json"}
    store.verify()
    assert boot(store, source=layout, machine=MACHINE).was_good


def test_what_models_share_comes_with_any_group(store: Store, tmp_path: Path) -> None:
    layout = only_engines(tmp_path / "layout", CPU)
    cache = layout / "trt_cache" / CPU
    (cache / "a.timing").write_bytes(b"shared")
    manifest = EngineManifest.from_json((cache / "manifest.json").read_bytes())
    shared = EngineFile(group="shared", onnx_model=None, digest=digest_of(b"shared"), kind="timing")
    write_manifest(cache, replace(manifest, engine_files={**manifest.engine_files, "a.timing": shared}))
    boot(store, source=layout, machine=MACHINE, groups=["core"])
    held = {path.name for path in store.current().folder.iterdir()}
    assert held == {"a.timing", "det_10g.xml", "det_10g.bin", "manifest.json"}
    assert boot(store, source=layout, machine=MACHINE, groups=["core"]).was_good


def test_a_layout_without_a_manifest_of_archives_will_do(store: Store, tmp_path: Path) -> None:
    layout = only_engines(tmp_path / "layout", CPU)
    (layout / "manifests/archives.json").unlink()
    for target in ("auto", "cpu", CPU):
        shutil.rmtree(store.path, ignore_errors=True)
        assert not boot(store, target=target, source=layout, machine=MACHINE).was_good


def test_an_archive_and_its_engines_are_the_same_publication(store: Store, layout: Path, tmp_path: Path) -> None:
    boot(store, source=layout, machine=MACHINE)
    assert boot(store, source=only_engines(tmp_path / "engines", CPU), machine=MACHINE).was_good


@pytest.mark.parametrize("has_engines", [True, False])
def test_wanted_groups_alone_are_kept(store: Store, layout: Path, has_engines: bool) -> None:
    if not has_engines:
        shutil.rmtree(layout / "trt_cache")
    report = boot(store, source=layout, machine=MACHINE, groups=["core"])
    assert report.archive == (f"trt_cache/{CPU}" if has_engines else archive_of(CPU))
    assert store.current().models == {"det_10g": "core"}
    assert not (store.current().folder / "inswapper_128.bin").exists()
    assert boot(store, source=layout, machine=MACHINE, groups=["core"]).was_good
    assert not boot(store, source=layout, machine=MACHINE, groups=["core", "inswapper_128"]).was_good
    assert not boot(store, source=layout, machine=MACHINE).was_good  # all of it is more than all that there is by name
    assert boot(store, source=layout, machine=MACHINE, groups=["core"]).was_good
    store.verify()


def test_processes_that_want_other_groups_of_a_publication_take_none_from_each_other(
    store: Store, tmp_path: Path
) -> None:
    layout = only_engines(tmp_path / "layout", CPU, files=(*FILES, *ON_DEMAND))
    for group in ("core", "inswapper_128", "hyperswap_1a_256"):
        assert not boot(store, source=layout, machine=MACHINE, groups=[group]).was_good
    assert set(store.current().models) == {"det_10g", "inswapper_128", "hyperswap_1a_256"}
    add_model(store, "hyperswap_1b_256", FolderSource(layout))
    only_engines(layout, CPU, files=(*FILES, *ON_DEMAND), build=1)
    assert not boot(store, source=layout, machine=MACHINE, groups=["core"]).was_good
    assert set(store.current().models) == {"det_10g", "hyperswap_1b_256"}  # another publication
    store.verify()


def test_a_name_that_is_a_pattern_is_a_name(store: Store, tmp_path: Path) -> None:
    layout = only_engines(tmp_path / "layout", CPU)
    cache = layout / "trt_cache" / CPU
    manifest = EngineManifest.from_json((cache / "manifest.json").read_bytes())
    files = {name.replace("det", "d**t"): file for name, file in manifest.engine_files.items()}
    for name in manifest.engine_files:
        (cache / name).rename(cache / name.replace("det", "d**t"))
    write_manifest(cache, replace(manifest, engine_files=files))
    assert not boot(store, source=layout, machine=MACHINE, groups=["core"]).was_good
    assert not boot(store, source=layout, machine=MACHINE).was_good
    assert {path.name for path in store.current().folder.iterdir()} == {*files, "manifest.json"}
    store.verify()


def test_an_engine_that_is_named_and_not_there_is_named(store: Store, tmp_path: Path) -> None:
    layout = only_engines(tmp_path / "layout", CPU)
    (layout / "manifests/archives.json").unlink()
    (layout / "trt_cache" / CPU / "det_10g.bin").unlink()
    with pytest.raises(FetchError, match=rf"expected trt_cache/{CPU}/det_10g\.bin, seen No such file"):
        boot(store, source=layout, machine=MACHINE)


def test_files_that_lie_there_are_not_fetched_again(store: Store, layout: Path) -> None:
    other = Elsewhere(layout)
    boot(store, source=other, machine=MACHINE, groups=["core"])
    inode = (store.current().folder / "det_10g.bin").stat().st_ino
    other.asked.clear()
    boot(store, source=other, machine=MACHINE, groups=["core", "inswapper_128"])
    assert not [path for path in other.asked if "det_10g" in path]
    assert (store.current().folder / "det_10g.bin").stat().st_ino == inode


def test_a_damaged_file_is_fetched_again_and_the_others_are_not(store: Store, layout: Path) -> None:
    other = Elsewhere(layout)
    boot(store, source=other, machine=MACHINE, groups=["core"])
    (store.current().folder / "det_10g.bin").write_bytes(bytes(5000))
    other.asked.clear()
    assert not boot(store, source=other, machine=MACHINE, groups=["core"], verify=True).was_good
    assert [path for path in other.asked if "det_10g" in path] == [f"trt_cache/{CPU}/det_10g.bin"]
    store.verify()


def test_a_group_that_nobody_has_is_named(store: Store, layout: Path) -> None:
    boot(store, source=layout, machine=MACHINE)
    before = store.current()
    with pytest.raises(NoEngineError, match="expected engines of masks, seen core, inswapper_128; build them or name"):
        boot(store, source=layout, machine=MACHINE, groups=["core", "masks"])
    assert store.current() == before


def _alter(cache: Path) -> None:
    (cache / "det_10g.bin").write_bytes(bytes(5000))


def _longer(cache: Path) -> None:
    with (cache / "det_10g.bin").open("ab") as file:
        file.write(b"more")


def _other_key(cache: Path) -> None:
    shutil.copy(cache.parents[1] / RTX / "manifest.json", cache)


def _no_digests(cache: Path) -> None:
    manifest = EngineManifest.from_json((cache / "manifest.json").read_bytes())
    files = {name: replace(file, digest=None) for name, file in manifest.engine_files.items()}
    write_manifest(cache, replace(manifest, engine_files=files))


@pytest.mark.parametrize(
    ("spoil", "error", "expected"),
    [
        pytest.param(_alter, DigestMismatchError, r"^det_10g\.bin: expected sha256 .* seen sha256", id="other bytes"),
        pytest.param(_longer, DigestMismatchError, r"^det_10g\.bin: expected sha256 .* seen sha256", id="more bytes"),
        pytest.param(_other_key, ManifestError, f"expected {CPU}, as published, seen {RTX}", id="another key"),
        pytest.param(_no_digests, ManifestError, "expected sha256 and bytes, seen none", id="no digests"),
    ],
)
def test_engines_that_are_not_what_they_should_be_are_refused(
    store: Store, tmp_path: Path, spoil: object, error: type[MorphstreamError], expected: str
) -> None:
    layout = only_engines(tmp_path / "layout", CPU, RTX)
    boot(store, source=layout, machine=MACHINE)
    before = store.current()
    only_engines(layout, CPU, RTX, build=1)
    assert callable(spoil)
    spoil(layout / "trt_cache" / CPU)
    with pytest.raises(error, match=expected):
        boot(store, source=layout, machine=MACHINE, update=True)
    assert store.current() == before
    assert list((store.path / "caches").iterdir()) == [before.folder]
    store.verify()


def report_of(store: Store, machine: object, *places: Path, builder: Builder | None = None) -> BootReport:
    assert isinstance(machine, type(MACHINE))
    return boot(store, source=list(places), machine=machine, builder=builder)


def test_the_best_engine_is_taken_from_the_second_source_before_a_worse_one_from_the_first(
    store: Store, tmp_path: Path
) -> None:
    baked, hub = publish(tmp_path / "baked", PORTABLE, CPU), only_engines(tmp_path / "hub", RTX)
    report = report_of(store, BOTH, baked, hub)
    assert (str(report.cache_key), report.fallbacks) == (RTX, ())
    report = report_of(store, BOTH, baked)  # nor is it given up for that later
    assert (str(report.cache_key), report.was_good) == (RTX, True)


def test_a_portable_engine_comes_before_a_build_and_the_cpu_last(store: Store, tmp_path: Path) -> None:
    cpu, portable = publish(tmp_path / "cpu", CPU), publish(tmp_path / "portable", PORTABLE, CPU)
    builder = Builder(pipeline(tmp_path / "pipeline", 0, RTX))
    report = report_of(store, BOTH, portable, builder=builder)
    assert (str(report.cache_key), report.fallbacks) == (PORTABLE, ("portable engine",))
    shutil.rmtree(store.path)
    report = report_of(store, BOTH, cpu, builder=builder)
    assert (str(report.cache_key), report.fallbacks) == (RTX, ("built here",))
    shutil.rmtree(store.path)
    report = report_of(store, BOTH, cpu)
    assert (str(report.cache_key), report.fallbacks) == (CPU, ("engine of the CPU",))


def test_engines_that_the_driver_is_too_old_for_are_not_taken(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = replace(BOTH, driver="470.82.01", driver_cuda="11.4", cuda="12.9")
    report = report_of(store, old, publish(tmp_path / "both", RTX, PORTABLE, CPU))
    assert (str(report.cache_key), report.fallbacks) == (CPU, ("GPU out of use", "engine of the CPU"))
    assert "GPU out of use: driver: expected 525.60.13 or newer, for the libraries' CUDA 12, seen" in caplog.text
    shutil.rmtree(store.path)
    boot(store, target="rtx-sm89", source=tmp_path / "both", machine=old)  # who names one prepares it for elsewhere


def test_models_that_were_added_stay_through_an_update(store: Store, tmp_path: Path) -> None:
    layout = publish(tmp_path / "layout", CPU)
    hub = publish(tmp_path / "hub", CPU, files=(*FILES, *ON_DEMAND))
    boot(store, source=layout, machine=MACHINE)
    add_model(store, "hyperswap_1a_256", FolderSource(hub))
    assert boot(store, source=layout, machine=MACHINE).was_good
    publish(layout, CPU, build=1)
    assert not boot(store, source=layout, machine=MACHINE).was_good
    assert set(store.current().models) == {"det_10g", "inswapper_128", "hyperswap_1a_256"}
    assert store.current().added == ("hyperswap_1a_256",)
    publish(hub, CPU, files=(*FILES, *ON_DEMAND), build=2)
    assert not boot(store, source=hub, machine=MACHINE, groups=["core"]).was_good
    assert set(store.current().models) == {"det_10g", "hyperswap_1a_256"}  # as published now
    store.verify()
    assert not boot(store, source=hub, machine=MACHINE).was_good
    assert store.current().added == ()


def test_a_report_is_read_back(store: Store, layout: Path) -> None:
    report = boot(store, source=[layout.parent / "nowhere", layout], machine=MACHINE)
    assert BootReport.from_json(report.to_json()) == report
    assert str(report).endswith("; second best: source passed over")
    for text in ("", "[]", "{}", json.dumps({"cache_key": CPU})):
        with pytest.raises(MorphstreamError, match=r"^boot report: expected what `morphstream boot --json` says, seen"):
            BootReport.from_json(text)
    with pytest.raises(MorphstreamError, match=r"^boot report: expected that of a boot that succeeded, seen: no disk"):
        BootReport.from_json(json.dumps({"error": "no disk"}))


def test_what_a_killed_process_left_goes_when_the_store_is_good(store: Store, layout: Path) -> None:
    boot(store, source=layout, machine=MACHINE)
    leave_killed(store.path, "caches", "manifest.json")
    assert boot(store, source=Elsewhere(layout), machine=MACHINE).was_good
    assert list((store.path / "caches").iterdir()) == [store.current().folder]
    assert not list(store.path.glob(".staging*"))

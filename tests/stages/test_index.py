"""A target's manifest names every model's engine by its digest; a missing or altered one is refused."""

import shutil
from pathlib import Path

import pytest

from morphstream.artifact.archive import describe, pack
from morphstream.artifact.digest import Digest, digest_of, digest_of_file
from morphstream.artifact.errors import DigestMismatchError, ManifestError
from morphstream.artifact.manifest import ArchivesManifest, EngineManifest, ModelsManifest
from stages.caches import cache_files
from stages.index import archives_manifest, described, index_engines, models_manifest
from stages.licences import licences_of
from stages.pack import model_files, pack_files
from stages.params import Params
from stages.workspace import Workspace
from tests.stages import files_in, read_json, refusal, run_stage, write_json

MODEL = "fan_68_5"
CACHE = "x86_64/ov2026.4"


def index(workspace: Workspace, built: Params) -> None:
    engines = {name: workspace.engines / name / "cpu" for name in built.models}
    index_engines(built.target("cpu").target, engines, workspace.caches / CACHE, licences=licences_of(built))


def test_a_cache_holds_every_model_s_files_and_its_manifest(workspace: Workspace, built: Params) -> None:
    manifest = EngineManifest.from_json((workspace.caches / CACHE / "manifest.json").read_bytes())
    assert {entry.onnx_model for entry in manifest.engine_files.values()} == set(built.models)
    assert set(files_in(workspace.caches / CACHE)) == {"manifest.json", *manifest.engine_files}
    assert manifest.toolchain == built.target("cpu").target.toolchain
    for name, entry in manifest.engine_files.items():
        assert entry.digest == digest_of_file(workspace.caches / CACHE / name)


def test_indexing_again_writes_the_same_bytes(workspace: Workspace, built: Params) -> None:
    before = files_in(workspace.caches / CACHE)
    assert run_stage(workspace, "index", "cpu").returncode == 0
    assert files_in(workspace.caches / CACHE) == before


def test_an_engine_that_params_no_longer_name_is_left_out(workspace: Workspace, built: Params) -> None:
    models = [name for name in built.models if name != MODEL]
    engines = {name: workspace.engines / name / "cpu" for name in models}
    index_engines(built.target("cpu").target, engines, workspace.caches / CACHE, licences=licences_of(built))
    manifest = EngineManifest.from_json((workspace.caches / CACHE / "manifest.json").read_bytes())
    assert {entry.onnx_model for entry in manifest.engine_files.values()} == set(models)
    assert not [name for name in files_in(workspace.caches / CACHE) if MODEL in name]


def test_a_model_without_an_engine_is_refused_and_the_last_cache_stays(workspace: Workspace, built: Params) -> None:
    before = files_in(workspace.caches / CACHE)
    (workspace.engines / MODEL / "cpu" / "manifest.json").unlink()
    message = refusal(workspace, "index", "cpu")
    assert f"expected an engine of {MODEL}, seen none; run `dvc repro`" in message
    assert files_in(workspace.caches) == {f"x86_64/ov2026.4/{name}": data for name, data in before.items()}


@pytest.mark.parametrize("ending", ["xml", "bin"])
def test_an_altered_engine_is_refused(workspace: Workspace, built: Params, ending: str) -> None:
    (path,) = (workspace.engines / MODEL / "cpu").glob(f"*.{ending}")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DigestMismatchError, match=rf"^{path.name}: expected sha256 .*, seen sha256 "):
        index(workspace, built)


def test_an_engine_of_another_cache_is_refused(workspace: Workspace, built: Params) -> None:
    path = workspace.engines / MODEL / "cpu" / "manifest.json"
    data = read_json(path)
    data["cache_key"], data["toolchain"] = "x86_64/ov2026.3", {"openvino": "2026.3.0"}
    write_json(path, data)
    with pytest.raises(ManifestError, match=r"expected x86_64/ov2026\.4, seen x86_64/ov2026\.3 in 'cache_key'"):
        index(workspace, built)


def test_an_engine_of_another_patch_version_is_refused(workspace: Workspace, built: Params) -> None:
    path = workspace.engines / MODEL / "cpu" / "manifest.json"
    data = read_json(path)
    data["toolchain"] = {"openvino": "2026.4.0"}
    write_json(path, data)
    with pytest.raises(ManifestError, match=r"expected .*2026\.4\.1.*, seen .*2026\.4\.0.*; compile it again"):
        index(workspace, built)


def test_a_manifest_that_names_no_digest_is_refused(workspace: Workspace, built: Params) -> None:
    path = workspace.engines / MODEL / "cpu" / "manifest.json"
    data = read_json(path)
    for entry in data["engine_files"].values():
        del entry["sha256"], entry["bytes"]
    write_json(path, data)
    with pytest.raises(ManifestError, match="expected a digest, seen none; compile it again"):
        index(workspace, built)


def only_masks_built(workspace: Workspace, built: Params) -> None:
    for name in built.models:
        if name != "xseg_1":
            shutil.rmtree(workspace.engines / name)


def merge(workspace: Workspace) -> EngineManifest:
    done = run_stage(workspace, "index", "cpu", "--merge")
    assert (done.returncode, done.stderr) == (0, "")
    return EngineManifest.from_json((workspace.caches / CACHE / "manifest.json").read_bytes())


def test_merging_keeps_the_engines_of_models_that_have_none_here(workspace: Workspace, built: Params) -> None:
    before = files_in(workspace.caches / CACHE)
    only_masks_built(workspace, built)
    merge(workspace)
    assert files_in(workspace.caches / CACHE) == before


def test_merging_replaces_a_model_s_engine_and_drops_what_params_do_not_name(
    workspace: Workspace, built: Params
) -> None:
    data = read_json(workspace.caches / CACHE / "manifest.json")
    for name, model in (("0123456789_xseg_1.xml", "xseg_1"), ("0123456789_gone.xml", "gone")):
        (workspace.caches / CACHE / name).write_bytes(b"old")
        entry = {"group": "masks", "onnx_model": model, "sha256": digest_of(b"old").sha256, "bytes": 3, "kind": "ir"}
        data["engine_files"][name] = entry
    write_json(workspace.caches / CACHE / "manifest.json", data)
    (workspace.caches / CACHE / "named by none").write_bytes(b"")
    only_masks_built(workspace, built)
    manifest = merge(workspace)
    assert {entry.onnx_model for entry in manifest.engine_files.values()} == set(built.models)
    assert set(files_in(workspace.caches / CACHE)) == {"manifest.json", *manifest.engine_files}
    assert not [name for name in manifest.engine_files if name.startswith("0123456789")]


def test_merging_into_no_cache_names_what_is_here(workspace: Workspace, built: Params) -> None:
    shutil.rmtree(workspace.caches / CACHE)
    only_masks_built(workspace, built)
    assert {entry.onnx_model for entry in merge(workspace).engine_files.values()} == {"xseg_1"}


@pytest.mark.parametrize("what", ["an altered engine", "another toolchain", "no engine"])
def test_merging_what_cannot_be_kept_is_refused_and_the_cache_stays(
    workspace: Workspace, built: Params, what: str
) -> None:
    data = read_json(workspace.caches / CACHE / "manifest.json")
    if what == "an altered engine":
        (path,) = (workspace.caches / CACHE).glob(f"*{MODEL}.bin")
        path.unlink()  # it is one file with the engine's
        path.write_bytes(b"altered")
    elif what == "another toolchain":
        write_json(workspace.caches / CACHE / "manifest.json", data | {"toolchain": {"openvino": "2026.4.0"}})
    only_masks_built(workspace, built)
    if what == "no engine":
        (workspace.engines / MODEL / "cpu").mkdir(parents=True)
    before = files_in(workspace.caches)
    expected = {
        "an altered engine": "bytes, seen 7 bytes; fetch or build it again",
        "another toolchain": "seen {'openvino': '2026.4.0'}; compile it again",
        "no engine": f"expected an engine of {MODEL}, seen none",
    }
    assert expected[what] in refusal(workspace, "index", "cpu", "--merge")
    assert files_in(workspace.caches) == before


def test_a_cache_of_another_toolchain_with_nothing_to_keep_is_replaced(workspace: Workspace, built: Params) -> None:
    data = read_json(workspace.caches / CACHE / "manifest.json")
    data["engine_files"] = {name: entry for name, entry in data["engine_files"].items() if "xseg_1" in name}
    write_json(workspace.caches / CACHE / "manifest.json", data | {"toolchain": {"openvino": "2026.4.0"}})
    only_masks_built(workspace, built)
    assert merge(workspace).toolchain == built.target("cpu").target.toolchain


def share(folder: Path, data: bytes) -> None:
    (folder / "cpu.timing").write_bytes(data)
    manifest = read_json(folder / "manifest.json")
    digest = digest_of(data)
    entry = {"group": "shared", "onnx_model": None, "sha256": digest.sha256, "bytes": digest.bytes, "kind": "timing"}
    manifest["engine_files"]["cpu.timing"] = entry
    write_json(folder / "manifest.json", manifest)


@pytest.mark.parametrize(
    ("snapshots", "held"),
    [
        pytest.param((b"1", b"123", b"12"), b"123", id="the largest"),
        pytest.param((b"c", b"a", b"b"), b"a", id="of equal ones that of the greatest sha256"),
    ],
)
def test_of_a_file_that_models_share_a_cache_has_one(
    workspace: Workspace, built: Params, snapshots: tuple[bytes, ...], held: bytes
) -> None:
    for model, data in zip(built.models, snapshots, strict=True):
        share(workspace.engines / model / "cpu", data)
    index(workspace, built)
    assert (workspace.caches / CACHE / "cpu.timing").read_bytes() == held
    before = files_in(workspace.caches / CACHE)
    only_masks_built(workspace, built)
    entry = merge(workspace).engine_files["cpu.timing"]
    assert (entry.group, entry.kind, entry.onnx_model) == ("shared", "timing", None)
    assert files_in(workspace.caches / CACHE) == before


def test_models_json_describes_every_model_of_build(workspace: Workspace, built: Params) -> None:
    assert run_stage(workspace, "index", "--models").returncode == 0
    manifest = ModelsManifest.from_json((workspace.manifests / "models.json").read_bytes())
    assert manifest == models_manifest(workspace, built)
    assert (workspace.manifests / "models.json").read_bytes() == (workspace.tracked / "models.json").read_bytes()
    assert {name: entry.file for name, entry in manifest.models.items()} == {
        name: model.file for name, model in built.models.items()
    }
    for entry in manifest.models.values():
        assert entry.digest == digest_of_file(workspace.build / entry.file)


def test_archives_json_describes_every_archive_to_its_end(workspace: Workspace, built: Params) -> None:
    build = built.build("cpu")
    pack_files(workspace, "models-core-masks", model_files(built), built.archive)
    pack_files(workspace, build.archive, cache_files(workspace, built, build.cache_key), built.archive)
    assert run_stage(workspace, "index", "--archives").returncode == 0
    manifest = ArchivesManifest.from_json((workspace.tracked / "archives.json").read_bytes())
    assert manifest == archives_manifest(workspace, built)
    keys = {name: entry.cache_key and str(entry.cache_key) for name, entry in manifest.archives.items()}
    assert keys == {"models-core-masks.tar.zst": None, "cpu-cache-x86_64.tar.zst": "x86_64/ov2026.4"}
    for name, entry in manifest.archives.items():
        packed = describe(workspace.archives / name)
        assert (entry.digest, entry.tar_digest, entry.files) == (packed.archive, packed.tar, packed.files)
        assert isinstance(entry.digest, Digest)


def test_a_broken_or_missing_archive_is_refused_and_no_manifest_written(workspace: Workspace, built: Params) -> None:
    assert "models-core-masks.tar.zst" in refusal(workspace, "index", "--archives")
    workspace.archives.mkdir()
    (workspace.archives / "models-core-masks.tar.zst").write_bytes(b"no archive")
    assert "models-core-masks.tar.zst: expected " in refusal(workspace, "index", "--archives")
    assert not workspace.manifests.exists()


def test_an_archive_of_a_manifest_that_is_no_cache_s_is_refused(workspace: Workspace, built: Params) -> None:
    workspace.archives.mkdir()
    (workspace.build / "manifest.json").write_text("{}")
    pack(
        {"elsewhere/manifest.json": workspace.build / "manifest.json"},
        workspace.archives / "a.tar.zst",
        level=3,
        threads=1,
    )
    with pytest.raises(ManifestError, match=r"a\.tar\.zst: expected one engine cache or none, seen elsewhere; pack it"):
        described(workspace.archives / "a.tar.zst")


@pytest.mark.parametrize(
    "arguments", [(), ("cpu", "--models"), ("--models", "--archives"), ("--models", "--merge")], ids=" ".join
)
def test_wrong_usage_exits_2(workspace: Workspace, arguments: tuple[str, ...]) -> None:
    assert run_stage(workspace, "index", *arguments).returncode == 2

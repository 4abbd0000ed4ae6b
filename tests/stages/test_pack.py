"""An archive holds exactly what params.yaml asks for, or is not written."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from morphstream.artifact.archive import describe
from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import ManifestError, ToolchainMismatchError
from stages.caches import cache_files
from stages.pack import latest_caches, model_files, pack_cache, pack_files
from stages.params import ArchiveOptions, Params
from stages.workspace import Workspace
from tests.stages import PARAMS, read_json, refusal, run_stage, write_json, write_params

KEY = "x86_64/ov2026.4"
CPU, MODELS = "cpu-cache-x86_64.tar.zst", "models-core-masks.tar.zst"


def pack(workspace: Workspace, *arguments: str) -> None:
    done = run_stage(workspace, "pack", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_models_archive_holds_the_baked_models_and_no_other() -> None:
    baked = {model.file for model in PARAMS.models.values() if model.delivery == "baked"}
    assert set(model_files(PARAMS)) == baked
    assert len(baked) == 10


def test_archives_hold_exactly_the_lists_of_params(workspace: Workspace, built: Params) -> None:
    pack(workspace, "--models")
    pack(workspace, "cpu")
    assert set(describe(workspace.archives / MODELS).files) == {"models/fan_68_5.onnx", "models/xseg_1.onnx"}
    files = describe(workspace.archives / CPU).files
    assert set(files) == {str(path.relative_to(workspace.build)) for path in (workspace.caches / KEY).iterdir()}
    assert files == {name: digest_of_file(workspace.build / name) for name in files}
    assert len(files) == 1 + 2 * 3 + 1  # the manifest, two files a model, one emap


def test_packing_again_writes_the_same_bytes(workspace: Workspace, built: Params) -> None:
    digests = []
    for _ in range(2):
        pack(workspace, "cpu")
        digests.append(digest_of_file(workspace.archives / CPU))
    assert digests[0] == digests[1]


def test_files_of_a_cache_that_its_manifest_does_not_name_are_not_packed(workspace: Workspace, built: Params) -> None:
    (workspace.caches / KEY / ".gitignore").write_text("/engines\n", "utf-8")
    (workspace.caches / KEY / "left_over.engine").write_bytes(b"of an earlier run")
    pack(workspace, "cpu")
    assert not [
        name for name in describe(workspace.archives / CPU).files if "left_over" in name or ".gitignore" in name
    ]


def test_the_latest_cache_in_bfloat16_is_packed_beside_that_in_single_precision(
    workspace: Workspace, built: Params
) -> None:
    manifest = read_json(workspace.caches / KEY / "manifest.json") | {"cache_key": "x86_64/ov2026.4_bf16"}
    for file in manifest["engine_files"].values():
        file["precision"] = "bf16"
    shutil.copytree((workspace.caches / KEY), workspace.caches / manifest["cache_key"])
    write_json(workspace.caches / manifest["cache_key"] / "manifest.json", manifest)
    for older in ("ov2026.3", "ov2026.3_bf16"):
        (workspace.caches / "x86_64" / older).mkdir()
        (workspace.caches / "x86_64" / older / "manifest.json").write_bytes(b"{}")
    assert [str(key) for key in latest_caches(workspace, built)] == ["x86_64/ov2026.4", "x86_64/ov2026.4_bf16"]
    names = [pack_cache(workspace, built, key) for key in latest_caches(workspace, built)]
    assert names == ["cpu-cache-x86_64", "cpu-bf16-cache-x86_64"]
    assert len({digest_of_file(workspace.archives / f"{name}.tar.zst") for name in names}) == 2


@pytest.mark.parametrize("more", [["w600k_r50"], []], ids=["lacks a model", "has one too many"])
def test_a_cache_of_other_models_than_params_is_refused(workspace: Workspace, built: Params, more: list[str]) -> None:
    first, *others = built.models
    differing = more[0] if more else first
    models = {name: PARAMS.models[name] for name in ([first, *others, *more] if more else others)}
    with pytest.raises(
        ManifestError, match=f"expected the models of params.yaml, seen a difference in {differing}; run `dvc repro`$"
    ):
        cache_files(workspace, replace(built, models=models), KEY)


def test_a_missing_engine_is_refused_and_the_last_archive_stays(workspace: Workspace, built: Params) -> None:
    pack(workspace, "cpu")
    before = digest_of_file(workspace.archives / CPU)
    next((workspace.caches / KEY).glob("*_fan_68_5.bin")).unlink()
    assert "_fan_68_5.bin" in refusal(workspace, "pack", "cpu")
    assert digest_of_file(workspace.archives / CPU) == before
    assert list(workspace.archives.iterdir()) == [workspace.archives / CPU]


def test_a_missing_model_is_refused_and_nothing_written(workspace: Workspace, built: Params) -> None:
    (workspace.build / "models/xseg_1.onnx").unlink()
    assert "models/xseg_1.onnx" in refusal(workspace, "pack", "--models")
    assert not workspace.archives.exists() or not list(workspace.archives.iterdir())


def test_without_a_manifest_a_cache_is_refused(workspace: Workspace, built: Params) -> None:
    (workspace.caches / KEY / "manifest.json").unlink()
    assert "manifest.json" in refusal(workspace, "pack", "cpu")


def test_another_zstandard_than_declared_is_refused_and_writes_nothing(workspace: Workspace, built: Params) -> None:
    data = yaml.safe_load(workspace.params.read_text("utf-8"))
    data["archive"]["zstandard"] = "0.24.0"
    write_params(workspace.root, data)
    message = refusal(workspace, "pack", "cpu")
    assert "archive: declared zstandard 0.24.0, this machine has " in message
    assert not workspace.archives.exists()


def test_links_into_dvc_s_cache_are_followed(workspace: Workspace, built: Params) -> None:
    pack(workspace, "--models")
    before = digest_of_file(workspace.archives / MODELS)
    model = workspace.build / "models/xseg_1.onnx"
    cached = workspace.root / "cached"
    model.rename(cached)
    model.symlink_to(cached)
    pack(workspace, "--models")
    assert digest_of_file(workspace.archives / MODELS) == before


def test_the_declared_zstandard_is_the_installed_one(tmp_path: Path) -> None:
    options = ArchiveOptions(zstandard="0.0.0", level=PARAMS.archive.level)
    with pytest.raises(ToolchainMismatchError, match=f"this machine has {PARAMS.archive.zstandard};"):
        pack_files(Workspace(tmp_path), "none", [], options)

"""An archive holds exactly what params.yaml asks for, or is not written."""

import shutil
from pathlib import Path

import pytest
import yaml

from morphstream.artifact.archive import describe
from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import ManifestError, ToolchainMismatchError
from stages.files import ARCHIVES, BUILD, CACHES
from stages.pack import cache_files, latest_caches, model_files, pack_cache
from stages.params import ArchiveOptions, Params
from tests.stages import PARAMS, read_json, refusal, run_stage, write_json, write_params

CACHE = CACHES / "x86_64/ov2026.4"
CPU, MODELS = ARCHIVES / "cpu-cache-x86_64.tar.zst", ARCHIVES / "models-core-masks.tar.zst"


def pack(*arguments: str) -> None:
    done = run_stage(Path.cwd(), "pack", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_models_archive_holds_the_baked_models_and_no_other() -> None:
    baked = {model.file for model in PARAMS.models.values() if model.delivery == "baked"}
    assert set(model_files(PARAMS)) == baked
    assert len(baked) == 10


def test_archives_hold_exactly_the_lists_of_params(built: Params) -> None:
    pack("--models")
    pack("cpu")
    assert set(describe(MODELS).files) == {"models/fan_68_5.onnx", "models/xseg_1.onnx"}
    files = describe(CPU).files
    assert set(files) == {str(path.relative_to(BUILD)) for path in CACHE.iterdir()}
    assert files == {name: digest_of_file(BUILD / name) for name in files}
    assert len(files) == 1 + 2 * 3 + 1  # the manifest, two files a model, one emap


def test_packing_again_writes_the_same_bytes(built: Params) -> None:
    digests = []
    for _ in range(2):
        pack("cpu")
        digests.append(digest_of_file(CPU))
    assert digests[0] == digests[1]


def test_what_lies_in_a_cache_unnamed_is_not_packed(built: Params) -> None:
    (CACHE / ".gitignore").write_text("/engines\n", "utf-8")
    (CACHE / "left_over.engine").write_bytes(b"of an earlier run")
    pack("cpu")
    assert not [name for name in describe(CPU).files if "left_over" in name or ".gitignore" in name]


def test_the_latest_cache_in_bfloat16_is_packed_beside_that_in_single_precision(built: Params) -> None:
    manifest = read_json(CACHE / "manifest.json") | {"cache_key": "x86_64/ov2026.4_bf16"}
    for file in manifest["engine_files"].values():
        file["precision"] = "bf16"
    shutil.copytree(CACHE, CACHES / manifest["cache_key"])
    write_json(CACHES / manifest["cache_key"] / "manifest.json", manifest)
    for older in ("ov2026.3", "ov2026.3_bf16"):
        (CACHES / "x86_64" / older).mkdir()
        (CACHES / "x86_64" / older / "manifest.json").write_bytes(b"{}")
    assert [str(key) for key in latest_caches()] == ["x86_64/ov2026.4", "x86_64/ov2026.4_bf16"]
    names = [pack_cache(key, built) for key in latest_caches()]
    assert names == ["cpu-cache-x86_64", "cpu-bf16-cache-x86_64"]
    assert len({digest_of_file(ARCHIVES / f"{name}.tar.zst") for name in names}) == 2


@pytest.mark.parametrize("more", [["w600k_r50"], []], ids=["lacks a model", "has one too many"])
def test_a_cache_of_other_models_than_params_is_refused(built: Params, more: list[str]) -> None:
    models = [*built.models, *more] if more else list(built.models)[1:]
    differing = more[0] if more else next(iter(built.models))
    with pytest.raises(ManifestError, match=f"expected the models of params, seen a difference in {differing}"):
        cache_files(built.build("cpu"), models)


def test_a_missing_engine_is_refused_and_the_last_archive_stays(built: Params) -> None:
    pack("cpu")
    before = digest_of_file(CPU)
    next(CACHE.glob("*_fan_68_5.bin")).unlink()
    assert "_fan_68_5.bin" in refusal(Path.cwd(), "pack", "cpu")
    assert digest_of_file(CPU) == before
    assert list(ARCHIVES.iterdir()) == [CPU]


def test_a_missing_model_is_refused_and_nothing_written(built: Params) -> None:
    (BUILD / "models/xseg_1.onnx").unlink()
    assert "models/xseg_1.onnx" in refusal(Path.cwd(), "pack", "--models")
    assert not ARCHIVES.exists() or not list(ARCHIVES.iterdir())


def test_without_a_manifest_a_cache_is_refused(built: Params) -> None:
    (CACHE / "manifest.json").unlink()
    assert "manifest.json" in refusal(Path.cwd(), "pack", "cpu")


def test_another_zstandard_than_declared_is_refused_and_writes_nothing(built: Params) -> None:
    data = yaml.safe_load(Path("params.yaml").read_text("utf-8"))
    data["archive"]["zstandard"] = "0.24.0"
    write_params(Path.cwd(), data)
    message = refusal(Path.cwd(), "pack", "cpu")
    assert "archive: declared zstandard 0.24.0, this machine has " in message
    assert not ARCHIVES.exists()


def test_links_into_dvc_s_cache_are_followed(built: Params) -> None:
    pack("--models")
    before = digest_of_file(MODELS)
    model = BUILD / "models/xseg_1.onnx"
    cached = Path("cached").absolute()
    model.rename(cached)
    model.symlink_to(cached)
    pack("--models")
    assert digest_of_file(MODELS) == before


def test_the_declared_zstandard_is_the_installed_one() -> None:
    from stages.pack import pack_files

    options = ArchiveOptions(zstandard="0.0.0", level=PARAMS.archive.level)
    with pytest.raises(ToolchainMismatchError, match=f"this machine has {PARAMS.archive.zstandard};"):
        pack_files("none", [], options)

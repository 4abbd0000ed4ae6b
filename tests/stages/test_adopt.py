"""A cache that others made gets our fields once all that can be verified is, or stays as it was."""

import json
from pathlib import Path
from typing import Any

import pytest

from morphstream.artifact.digest import digest_of
from morphstream.artifact.manifest import EngineManifest
from stages.validate import check_cache
from stages.workspace import Workspace
from tests.stages import document, files_in, read_json, refusal, run_stage, write_json, write_params

KEY = "sm89/trt10.14_ort1.24"
ENGINES = {
    "TensorrtExecutionProvider_TRTKernel_graph_1_0_0_sm89.engine": ("core", "det_10g", b"ftrt-engine"),
    "TensorrtExecutionProvider_TRTKernel_graph_1_0_0_sm89.profile": ("core", "det_10g", b"profile"),
    "TensorrtExecutionProvider_cache_sm89.timing": ("shared", None, b"timing"),
    "another.engine": ("core", "of_somebody_else", b"another"),
}


@pytest.fixture
def cache(workspace: Workspace) -> Path:
    """Enter a workspace with a cache as the workers publish it."""
    folder = workspace.caches / KEY
    folder.mkdir(parents=True)
    entries: dict[str, dict[str, Any]] = {}
    for name, (group, model, data) in ENGINES.items():
        (folder / name).write_bytes(data)
        entries[name] = {"group": group} | ({"onnx_model": model} if model else {})
    head = {"cache_key": KEY, "format_version": 2, "gpu_arch": "sm89", "trt_version": "10.14", "ort_version": "1.24"}
    write_json(folder / "manifest.json", {**head, "engine_files": entries})
    return folder


def change(cache: Path, name: str, **keys: object) -> None:
    data = read_json(cache / "manifest.json")
    data["engine_files"][name] |= keys
    write_json(cache / "manifest.json", data)


def test_digests_and_kinds_are_written_and_nothing_is_made_up(workspace: Workspace, cache: Path) -> None:
    before = {name: data for name, data in files_in(cache).items() if name != "manifest.json"}
    done = run_stage(workspace, "index", "--adopt", str(cache))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"4 files adopted for {KEY}, 0 of them by their digest" in done.stdout
    manifest = check_cache(cache, workspace.schemas)
    assert manifest.toolchain is None
    for name, (group, model, data) in ENGINES.items():
        entry = manifest.engine_files[name]
        assert (entry.group, entry.onnx_model, entry.digest) == (group, model, digest_of(data))
        assert entry.kind == name.rpartition(".")[2]
        assert (entry.recipe, entry.precision) == (None, None)
    assert {name: data for name, data in files_in(cache).items() if name != "manifest.json"} == before


def test_adopting_again_changes_nothing(workspace: Workspace, cache: Path) -> None:
    run_stage(workspace, "index", "--adopt", str(cache))
    before = files_in(cache)
    done = run_stage(workspace, "index", "--adopt", str(cache))
    assert "4 of them by their digest" in done.stdout
    assert files_in(cache) == before


def test_what_no_manifest_names_is_named_and_kept(workspace: Workspace, cache: Path) -> None:
    (cache / "stale.engine").write_bytes(b"stale")
    done = run_stage(workspace, "index", "--adopt", str(cache))
    assert done.returncode == 0
    assert "no manifest names stale.engine: remove them before you publish" in done.stdout
    assert (cache / "stale.engine").exists()


def test_a_cache_somewhere_else_is_adopted_too(workspace: Workspace, cache: Path, tmp_path: Path) -> None:
    cache.rename(tmp_path / "downloaded")
    assert run_stage(workspace, "index", "--adopt", str(tmp_path / "downloaded")).returncode == 0


def spoil(cache: Path, how: str) -> None:
    engine = next(iter(ENGINES))
    if how == "missing":
        (cache / engine).unlink()
    elif how == "empty":
        (cache / engine).write_bytes(b"")
    elif how == "pointer":
        (cache / engine).write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 5\n")
    elif how == "link":
        (cache / engine).unlink()
        (cache / engine).symlink_to("another.engine")
    elif how == "group":
        change(cache, engine, group="masks")
    elif how == "digest":
        change(cache, engine, sha256="0" * 64, bytes=11)
    elif how == "size":
        change(cache, engine, sha256=digest_of(b"ftrt-engine").sha256, bytes=5)
    elif how == "version":
        write_json(cache / "manifest.json", read_json(cache / "manifest.json") | {"trt_version": "10.9"})
    elif how == "json":
        (cache / "manifest.json").write_text("{")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "expected the file, seen none; download it, or remove its entry"),
        ("empty", "seen an empty file; download it again"),
        ("pointer", "seen a pointer to large storage; run `git lfs pull`"),
        ("link", "expected the file, seen none"),
        ("group", "expected group core of det_10g, as in params.yaml, seen masks"),
        ("digest", "expected sha256 0000"),
        ("size", "expected 5 bytes, seen 11 bytes"),
        ("version", 'manifest.json: expected "10.14", as in the cache key, seen "10.9" in \'trt_version\''),
        ("json", "manifest.json: expected JSON in UTF-8"),
    ],
)
def test_what_contradicts_itself_is_refused_and_stays_as_it_was(
    workspace: Workspace, cache: Path, how: str, message: str
) -> None:
    write_params(workspace.root, document())  # with det_10g
    spoil(cache, how)
    before = files_in(workspace.build)
    assert message in refusal(workspace, "index", "--adopt", str(cache))
    assert files_in(workspace.build) == before


def test_a_folder_of_another_key_is_refused(workspace: Workspace, cache: Path) -> None:
    moved = cache.parent / "trt10.9_ort1.24"
    cache.rename(moved)
    message = refusal(workspace, "index", "--adopt", str(moved))
    assert "expected sm89/trt10.9_ort1.24, as its folders say, seen sm89/trt10.14_ort1.24 in 'cache_key'" in message


def test_no_cache_is_refused(workspace: Workspace) -> None:
    assert "manifest.json: expected a file to read" in refusal(workspace, "index", "--adopt", "missing")


def test_the_published_example_can_be_read() -> None:
    text = Path(__file__).parents[1] / "corpus/manifests/good/engine-manifest.published.json"
    assert json.loads(text.read_text("utf-8"))["engine_files"]
    EngineManifest.from_json(text.read_bytes())

"""Who contributes engines of TensorRT for RTX from a machine with a GPU adds the kernels that it compiled for them.

No test here has a GPU: a fake provider compiles.
"""

from pathlib import Path

import pytest
from onnx import helper

from morphstream.artifact.digest import digest_of, digest_of_file
from morphstream.artifact.errors import SessionError
from morphstream.artifact.manifest import EngineFile, EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.session.runtime_cache import RuntimeCaches, toolkit_of
from stages.runtime_caches import add_runtime_caches
from tests.session.fake_gpu import KERNELS, FakeRtx
from tests.session.test_runtime_cache import MACHINE
from tests.stages import model_of

KEY = CacheKey.parse("sm89/rtx1.7_ort1.31")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An engine cache of two models."""
    model, files = model_of([helper.make_node("Neg", ["x"], ["y"])], {"x": ["N", 3]}, {"y": ["N", 3]}), {}
    helper.set_model_props(model, {"batches": "1,2"})
    for name in ("a", "b"):
        (tmp_path / f"{name}_ctx.onnx").write_bytes(model.SerializeToString())
        (tmp_path / f"{name}.engine").write_text(f"engine {name}")
        for path, kind in ((f"{name}_ctx.onnx", "ep_context"), (f"{name}.engine", "engine")):
            digest = digest_of_file(tmp_path / path)
            files[path] = EngineFile(group="core", onnx_model=name, digest=digest, kind=kind)
    (tmp_path / "manifest.json").write_text(EngineManifest(cache_key=KEY, engine_files=files).to_json())
    return tmp_path


def test_the_kernels_of_every_engine_are_files_of_the_group_shared(cache: Path) -> None:
    gpu = FakeRtx()
    assert add_runtime_caches(cache, MACHINE, gpu) == 2
    manifest = EngineManifest.from_json((cache / "manifest.json").read_bytes())
    added = manifest.files_where(lambda file: file.group == "shared")
    expected = EngineFile(group="shared", onnx_model=None, digest=digest_of(KERNELS), kind="runtime_cache")
    names = {f"{digest_of_file(cache / f'{name}.engine').sha256[:16]}-sm89-rtx1.7.1-cuda12.9" for name in "ab"}
    assert added == {f"{name}.runtime_cache": expected for name in names}
    assert {path.name for path in cache.iterdir()} == {*manifest.engine_files, "manifest.json"}


def test_a_worker_that_installed_them_compiles_nothing(cache: Path, tmp_path: Path) -> None:
    add_runtime_caches(cache, MACHINE, FakeRtx())
    manifest = EngineManifest.from_json((cache / "manifest.json").read_bytes())
    caches = RuntimeCaches(
        folder=tmp_path / "kept", generation=cache, digests=manifest.digests, toolkit=toolkit_of(KEY, MACHINE)
    )
    assert caches.read(cache / "a.engine") == KERNELS


def test_a_second_time_changes_nothing(cache: Path) -> None:
    add_runtime_caches(cache, MACHINE, FakeRtx())
    before, gpu = (cache / "manifest.json").read_bytes(), FakeRtx()
    assert add_runtime_caches(cache, MACHINE, gpu) == 2
    assert (cache / "manifest.json").read_bytes() == before
    assert gpu.seen == [KERNELS, KERNELS]


def test_engines_that_can_not_be_opened_leave_the_manifest_as_it_was(cache: Path) -> None:
    before = (cache / "manifest.json").read_bytes()
    with pytest.raises(SessionError, match=r"_ctx\.onnx: expected it to run"):
        add_runtime_caches(cache, MACHINE, FakeRtx(refused=(1,)))
    assert (cache / "manifest.json").read_bytes() == before

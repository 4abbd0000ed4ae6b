"""Kernels that a GPU has compiled for an engine are there for the next process, whole, and gone with the engine.

No test here has a GPU: a fake provider reads and overwrites the file as NVIDIA's does.
"""

import logging
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from onnx import helper

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import SessionError
from morphstream.artifact.manifest import EngineFile, EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.boot.boot import boot
from morphstream.machine.probe import Machine
from morphstream.session import onnxruntime
from morphstream.session.load import Engines
from morphstream.session.onnxruntime import OnnxRuntimeSession
from morphstream.session.provider import RTX
from morphstream.session.runtime_cache import RuntimeCaches, toolkit_of
from morphstream.store.store import Store
from tests.session.fake_gpu import KERNELS, FakeGpu, FakeRtx
from tests.stages import model_of

MACHINE = Machine(
    arch="x86_64",
    gpu_archs=("sm89",),
    libraries={"tensorrt_rtx": "1.7.1", "onnxruntime": "1.31.1"},
    driver="580.0",
    cuda="12.9",
)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """An engine with its EPContext model, which is run in its stead."""
    generation = tmp_path / "generation"
    generation.mkdir()
    model = model_of([helper.make_node("Neg", ["x"], ["y"])], {"x": ["N", 3]}, {"y": ["N", 3]})
    (generation / "0123_m_ctx.onnx").write_bytes(model.SerializeToString())
    (generation / "0123_m.engine").write_bytes(b"engine")
    return generation / "0123_m.engine"


def caches(engine: Path, **choices: Any) -> RuntimeCaches:
    """Return the runtime caches beside a generation."""
    return RuntimeCaches(
        folder=engine.parents[1] / "runtime_caches",
        generation=engine.parent,
        digests={path.name: digest_of_file(path) for path in engine.parent.iterdir()},
        **{"toolkit": "sm89-rtx1.7.1-cuda12.9", **choices},
    )


def opened(engine: Path, gpu: FakeGpu, **choices: Any) -> OnnxRuntimeSession:
    """Open an engine with what is kept."""
    path = engine.with_name(f"{engine.stem}_ctx.onnx")
    with ExitStack() as stack:
        cache = caches(engine, **choices).open(engine)
        assert cache is not None
        stack.enter_context(cache)
        session = OnnxRuntimeSession(path, provider=RTX, threads=1, cache=cache, runtime=gpu)
        stack.pop_all()
    return session


def files(engine: Path) -> list[str]:
    """Return the names in the folder of runtime caches."""
    return sorted(path.name for path in (engine.parents[1] / "runtime_caches").iterdir())


def test_the_next_session_compiles_nothing(engine: Path) -> None:
    gpu = FakeRtx()
    for _ in range(3):
        opened(engine, gpu).close()
    assert gpu.seen == [b"", KERNELS, KERNELS]
    assert files(engine) == [f"{digest_of_file(engine).sha256[:16]}-sm89-rtx1.7.1-cuda12.9.runtime_cache"]


def test_each_toolkit_has_its_kernels(engine: Path) -> None:
    gpu = FakeRtx()
    for toolkit in ("sm89-rtx1.7.1-cuda12.9", "sm89-rtx1.8.0-cuda12.9", "sm120-rtx1.7.1-cuda12.9"):
        opened(engine, gpu, toolkit=toolkit).close()
    assert gpu.seen == [b"", b"", b""]
    assert len(files(engine)) == 3


def test_sessions_that_are_open_at_once_neither_share_a_file_nor_cut_it(engine: Path) -> None:
    gpu, whole = FakeRtx(kernels=KERNELS * 1000), set[bytes]()

    def open_and_close(_: int) -> None:
        with closing(opened(engine, gpu)):
            whole.add(caches(engine).read(engine))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(open_and_close, range(40)))
    assert whole <= {b"", gpu.kernels}
    assert set(gpu.seen) == {b"", gpu.kernels}
    assert len(files(engine)) == 1


def test_what_a_killed_process_left_goes_when_the_next_one_keeps_its_own(engine: Path) -> None:
    program = (
        "import os, signal\nfrom pathlib import Path\nfrom tests.session.test_runtime_cache import *\n"
        f"session = opened(Path({str(engine)!r}), FakeRtx())\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == -signal.SIGKILL
    (left,) = files(engine)
    with closing(opened(engine, FakeRtx())):
        assert len(files(engine)) == 1
        assert left not in files(engine)
    assert files(engine) == [caches(engine).name_of(engine)]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-9]), id="cut"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes() + b"x"), id="longer"),
    ],
)
def test_damaged_kernels_are_compiled_again_with_a_word(
    engine: Path, damage: Callable[[Path], Any], caplog: pytest.LogCaptureFixture
) -> None:
    gpu = FakeRtx()
    opened(engine, gpu).close()
    damage(caches(engine).folder / files(engine)[0])
    for _ in range(2):
        opened(engine, gpu).close()
    assert gpu.seen == [b"", b"", KERNELS]
    (record,) = caplog.records
    assert record.getMessage().endswith("expected kept kernels, seen other bytes; they are compiled again")


@pytest.mark.parametrize("is_whole", [True, False], ids=["whole", "damaged"])
def test_published_kernels_are_used_until_there_are_own_ones(engine: Path, *, is_whole: bool) -> None:
    gpu, published = FakeRtx(), engine.parent / caches(engine).name_of(engine)
    published.write_bytes(b"published")
    known = caches(engine)
    if not is_whole:
        published.write_bytes(b"Published")
    assert known.read(engine) == (b"published" if is_whole else b"")
    opened(engine, gpu).close()
    opened(engine, gpu).close()
    assert gpu.seen[0] == gpu.seen[1] == published.read_bytes()
    assert published.read_bytes() in (b"published", b"Published")  # and are left alone


def test_kernels_of_other_engines_go_and_the_files_of_others_stay(engine: Path) -> None:
    opened(engine, FakeRtx()).close()
    folder = caches(engine).folder
    own_name = f"{'0123' * 4}-mine.runtime_cache"
    foreign = ["notes.runtime_cache", "0123-x.runtime_cache", own_name, ".session.mine"]
    for name in foreign:
        (folder / name).write_text("somebody's")
    (folder / ".folder.part").mkdir()
    engine.write_bytes(b"another engine")
    opened(engine, FakeRtx()).close()
    assert files(engine) == sorted([*foreign, ".folder.part", caches(engine).name_of(engine)])


def test_of_an_engine_the_newest_kernels_stay(engine: Path) -> None:
    gpu = FakeRtx()
    for number in range(20):
        opened(engine, gpu, toolkit=f"sm89-rtx1.7.{number}-cuda12.9").close()
    assert len(files(engine)) == 16
    assert caches(engine, toolkit="sm89-rtx1.7.19-cuda12.9").name_of(engine) in files(engine)


def test_kernels_that_are_too_large_are_not_kept(engine: Path) -> None:
    opened(engine, FakeRtx(), most_bytes=10).close()
    assert files(engine) == []


def test_where_nothing_can_be_written_the_engine_runs_and_nothing_is_kept(
    engine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caches(engine).folder.write_text("in the way")
    with caplog.at_level(logging.INFO):
        assert caches(engine).open(engine) is None
    assert "0123_m.engine: its kernels are compiled, and not kept: " in caplog.text


def test_a_session_that_can_not_be_opened_leaves_nothing(engine: Path) -> None:
    with pytest.raises(SessionError, match="expected it to run"):
        opened(engine, FakeGpu(RTX, used="another"))
    assert files(engine) == []


@pytest.mark.parametrize(
    ("key", "toolkit"),
    [
        ("sm89/rtx1.7_ort1.31", "sm89-rtx1.7.1-cuda12.9"),
        ("portable/rtx1.7_ort1.31", "sm120-rtx1.7.1-cuda12.9"),
    ],
)
def test_kernels_are_for_the_arch_that_runs_them_and_for_exact_versions(key: str, toolkit: str) -> None:
    assert toolkit_of(CacheKey.parse(key), replace(MACHINE, gpu_archs=("sm120", "sm89"))) == toolkit


@pytest.mark.parametrize("is_published", [False, True], ids=["compiled here", "published"])
def test_a_booted_store_gives_its_engines_their_kernels(
    engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_published: bool
) -> None:
    key = "sm89/rtx1.7_ort1.31"
    cache, files = tmp_path / "layout/trt_cache" / key, dict[str, EngineFile]()
    shutil.copytree(engine.parent, cache)
    names = {"0123_m.engine": "engine", "0123_m_ctx.onnx": "ep_context"}
    for name, kind in names.items():
        digest = digest_of_file(cache / name)
        files[name] = EngineFile(group="core", onnx_model="m", digest=digest, kind=kind)
    if is_published:
        kernels = cache / caches(engine).name_of(engine)
        kernels.write_bytes(b"published")
        digest = digest_of_file(kernels)
        files[kernels.name] = EngineFile(group="shared", onnx_model=None, digest=digest, kind="runtime_cache")
    manifest = EngineManifest(cache_key=CacheKey.parse(key), engine_files=files)
    (cache / "manifest.json").write_text(manifest.to_json())
    boot(tmp_path / "store", source=tmp_path / "layout", machine=MACHINE, groups=["core"])
    gpu = FakeRtx()
    monkeypatch.setattr(onnxruntime, "OnnxRuntimeSession", partial(OnnxRuntimeSession, runtime=gpu))
    for _ in range(2):
        with Engines(Store(tmp_path / "store"), MACHINE, threads=1, cuda_graph=False) as engines:
            engines("m")
    assert gpu.seen == ([b"published"] * 2 if is_published else [b"", KERNELS])

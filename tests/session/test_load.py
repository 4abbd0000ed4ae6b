"""A model's engine and emap are opened from what a store holds, or refused with what is there instead."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from onnxruntime import get_available_providers as available_providers

from morphstream.artifact.errors import NoEngineError, SessionError
from morphstream.artifact.manifest import EngineFile
from morphstream.artifact.target import CacheKey
from morphstream.session import onnxruntime, openvino
from morphstream.session.load import Engines, load_emap, open_session
from morphstream.session.provider import RTX, TENSORRT
from morphstream.session.session import Array, Session
from morphstream.store.store import Installed, Store
from stages.kit.swapper import emap
from tests.layouts import MACHINE


def test_an_engine_of_openvino_is_opened(booted: Store) -> None:
    session = open_session(booted.current(), "xseg_1", threads=1)
    assert session.input_shapes == {"crop": (-1, 256, 256, 3)}
    session.close()


def test_engines_that_threads_open_at_once_give_what_they_give_alone(booted: Store) -> None:
    crops = {"w600k_r50": (1, 112, 112, 3), "xseg_1": (1, 256, 256, 3), "det_10g": (1, 640, 640, 3)}

    def ran(open_model: Callable[[str], Session], model: str) -> dict[str, Array]:
        session = open_model(model)
        crop = np.random.default_rng(0).integers(0, 256, crops[model], np.uint8)
        outputs = session.run(dict.fromkeys(session.input_shapes, crop))
        return {name: array.copy() for name, array in outputs.items()}

    alone = {model: ran(partial(open_session, booted.current(), threads=1), model) for model in crops}
    with Engines(booted, MACHINE, threads=1, cuda_graph=False) as engines, ThreadPoolExecutor(4) as pool:
        assert engines.installed == booted.current()
        for model, outputs in zip(crops, pool.map(partial(ran, engines), crops), strict=True):
            for name, array in outputs.items():
                np.testing.assert_array_equal(array, alone[model][name])


def test_engines_for_another_machine_are_refused_when_the_store_is_opened(booted: Store) -> None:
    with pytest.raises(NoEngineError, match=r"^x86_64/ov2026\.4: expected .+aarch64"):
        Engines(booted, replace(MACHINE, arch="aarch64"), threads=1, cuda_graph=False)


def with_context(installed: Installed, cache_key: str = "sm89/rtx1.7_ort1.31") -> Installed:
    """Return what a store holds, with an EPContext model beside its engine for a GPU."""
    context = EngineFile(group="core", onnx_model="det_10g", digest=None, kind="ep_context")
    files = {**installed.manifest.engine_files, "det_10g_ctx.onnx": context}
    return replace(
        installed, manifest=replace(installed.manifest, cache_key=CacheKey.parse(cache_key), engine_files=files)
    )


def test_the_cpus_threads_are_all_that_this_process_may_use_but_for_a_small_engine(
    booted: Store, booted_for_gpu: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    monkeypatch.setattr(openvino, "OpenVINOSession", lambda *_, threads, **__: given.append(threads))
    monkeypatch.setattr(onnxruntime, "OnnxRuntimeSession", lambda *_, threads, **__: given.append(threads))
    for threads in (0, 3):
        open_session(booted.current(), "det_10g", threads=threads)
        open_session(booted.current(), "xseg_1", threads=threads)  # which is small
        open_session(with_context(booted_for_gpu.current()), "det_10g", threads=threads)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert given == [usable, 1, usable, 3, 1, 3]


@pytest.mark.parametrize(
    ("cache_key", "provider"),
    [("sm89/rtx1.7_ort1.31", RTX), ("sm89/trt10.14_ort1.24", TENSORRT)],
    ids=["TensorRT for RTX", "TensorRT"],
)
def test_an_engine_for_a_gpu_is_opened_by_its_builders_provider_or_refused_in_one_line(
    booted_for_gpu: Store, cache_key: str, provider: str
) -> None:
    if provider in available_providers():
        pytest.skip(f"has {provider}")
    with pytest.raises(SessionError, match=f"^expected ONNX Runtime with {provider}, seen ") as caught:
        open_session(with_context(booted_for_gpu.current(), cache_key), "det_10g")
    assert len(str(caught.value).splitlines()) == 1


def test_a_cuda_graph_is_handed_on(booted_for_gpu: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}
    monkeypatch.setattr(onnxruntime, "OnnxRuntimeSession", lambda path, **choices: given.update(path=path, **choices))
    installed = with_context(booted_for_gpu.current())
    open_session(installed, "det_10g", threads=2, cuda_graph=True)
    path = installed.folder / "det_10g_ctx.onnx"
    assert given == {"path": path, "provider": RTX, "threads": 2, "cuda_graph": True, "cache": None}


def test_without_onnx_runtime_an_engine_for_a_gpu_is_refused(
    booted_for_gpu: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "morphstream.session.onnxruntime", None)
    with pytest.raises(SessionError, match=r"^det_10g_ctx\.onnx: expected ONNX Runtime, seen .+; install it$"):
        open_session(with_context(booted_for_gpu.current()), "det_10g")


def test_an_engine_for_a_gpu_without_an_ep_context_model_is_refused_with_what_to_do(booted_for_gpu: Store) -> None:
    expected = "^det_10g: expected an engine with its EPContext model, seen engine of tensorrt_rtx alone; .+ cpu$"
    with pytest.raises(SessionError, match=expected):
        open_session(booted_for_gpu.current(), "det_10g")


def test_an_ep_context_model_of_a_builder_that_makes_none_is_refused(booted_for_gpu: Store) -> None:
    expected = r"^det_10g_ctx\.onnx: expected an engine of tensorrt_rtx or tensorrt, seen one of openvino; "
    with pytest.raises(SessionError, match=expected):
        open_session(with_context(booted_for_gpu.current(), "x86_64/ov2026.4"), "det_10g")


def test_onnx_runtime_is_loaded_by_engines_for_gpus_alone() -> None:
    program = "import sys, morphstream.session.load; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_model_that_is_not_held_is_refused_with_those_that_are(booted: Store) -> None:
    seen = "seen those of det_10g, hyperswap_1a_256, .* only"
    expected = f"^gfpgan: expected an engine, {seen}; run: morphstream download gfpgan$"
    with pytest.raises(NoEngineError, match=expected):
        open_session(booted.current(), "gfpgan")
    with pytest.raises(NoEngineError, match=expected):
        load_emap(booted.current(), "gfpgan")


@pytest.mark.parametrize("model", ["inswapper_128", "inswapper_128_fp16"])
def test_inswappers_emap_is_the_one_in_the_model(booted: Store, model: str) -> None:
    loaded = load_emap(booted.current(), model)
    assert loaded is not None
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, emap().astype(np.float32))


@pytest.mark.parametrize("model", ["hyperswap_1a_256", "w600k_r50"])
def test_a_model_without_an_emap_has_none(booted: Store, model: str) -> None:
    assert load_emap(booted.current(), model) is None


def _saved(path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bytes:
    np.save(path, array)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((512,), np.float32), ((512, 511), np.float32), ((512, 512), np.float64), ((512, 512), np.float16)],
    ids=["a vector", "not square", "double precision", "half precision"],
)
def test_an_emap_of_another_form_is_refused(own_store: Store, shape: tuple[int, ...], kind: type) -> None:
    installed = own_store.current()
    np.save(installed.files_of("inswapper_128")["emap"], np.zeros(shape, kind))
    with pytest.raises(SessionError, match=r": expected \(512, 512\) float32, seen \(512.*; boot again$"):
        load_emap(installed, "inswapper_128")


@pytest.mark.parametrize("size", [0, 50, 5000], ids=["empty", "a cut header", "cut"])
def test_a_broken_emap_is_refused_in_one_line(own_store: Store, size: int) -> None:
    installed = own_store.current()
    path = installed.files_of("inswapper_128")["emap"]
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(SessionError, match=f"^{path.name}: expected an array, seen .+; boot again$") as caught:
        load_emap(installed, "inswapper_128")
    assert len(str(caught.value).splitlines()) == 1


def test_an_emap_of_pickled_objects_is_refused(own_store: Store) -> None:
    installed = own_store.current()
    np.save(installed.files_of("inswapper_128")["emap"], np.array([{}], object), allow_pickle=True)
    with pytest.raises(SessionError, match="expected an array, seen "):
        load_emap(installed, "inswapper_128")

"""Builder `tensorrt`: what ONNX Runtime's TensorRT provider compiles on the GPU that runs it.

It needs a GPU of the target's arch. Kernels are timed, so two builds differ in their bytes; one recipe names both.
Source: ONNX Runtime, "TensorRT Execution Provider", version 1.24; names of its cache files in its
``tensorrt_execution_provider.cc``.
"""

import importlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from morphstream.artifact.errors import ModelError, NoEngineError
from morphstream.machine.libraries import find_libraries
from morphstream.machine.probe import Machine, probe_libraries, probe_machine
from stages.builders import Half, Options, Order
from stages.builders.ep_context import write_ep_context

OPTIONS: Options = {
    "trt_engine_cache_enable": True,
    "trt_timing_cache_enable": True,
    "trt_layer_norm_fp32_fallback": True,
    "trt_builder_optimization_level": 3,
    "trt_engine_hw_compatible": False,
}
HALF: Half = "flag"

_PROVIDER = "TensorrtExecutionProvider"
_KINDS = {".engine": "engine", ".profile": "profile", ".timing": "timing"}


def versions() -> dict[str, str | None]:
    """Return the versions of ONNX Runtime and of TensorRT (major.minor.patch); None where there is none."""
    libraries = find_libraries(["tensorrt"]) | probe_libraries()  # containers have the library without a package
    tensorrt = libraries.get("tensorrt")
    return {
        "onnxruntime": libraries.get("onnxruntime"),
        "tensorrt": ".".join(tensorrt.split(".")[:3]) if tensorrt else None,
    }


def build(order: Order, *, machine: Machine | None = None, runtime: Any = None) -> dict[str, str]:
    """Write an engine, and ``STEM_ctx.onnx``, with which ONNX Runtime opens it.

    It writes ``STEM*.profile`` too, and the arch's timing cache as it is after this build. By default it builds on this
    machine, with the installed ``onnxruntime``.
    """
    machine = machine or probe_machine()
    (arch,) = order.archs
    if arch not in machine.gpu_archs:
        seen = ", ".join(machine.gpu_archs) or f"none ({machine.no_gpu})"
        raise NoEngineError(f"{order.stem}: expected a GPU of {arch} to build on, seen {seen}; build on such a machine")
    runtime = runtime or importlib.import_module("onnxruntime")  # here, so that other builders work without it
    if _PROVIDER not in (providers := runtime.get_available_providers()):
        seen = ", ".join(providers)
        raise NoEngineError(
            f"{order.stem}: expected ONNX Runtime with {_PROVIDER}, seen {seen}; install onnxruntime-gpu"
        )
    from morphstream.session.provider import prepare_provider  # the same

    prepare_provider(_PROVIDER, runtime=runtime)  # loads the libraries of packages
    order.shared.mkdir(parents=True, exist_ok=True)
    open_session(runtime, order)
    for timing in order.shared.glob("*.timing"):
        shutil.copyfile(timing, order.folder / timing.name)
    kinds = {path.name: _KINDS[path.suffix] for path in order.folder.iterdir() if path.suffix in _KINDS}
    engines = [name for name, kind in kinds.items() if kind == "engine"]
    if len(engines) != 1:  # of several, each would be a part of the model
        seen = ", ".join(sorted(kinds)) or "no file"
        raise ModelError(f"{order.model}: expected an engine of TensorRT, seen {seen}; look at the messages above")
    context = write_ep_context(order, engines[0], source=_PROVIDER, sdk_version=versions()["tensorrt"] or "")
    return {**kinds, context: "ep_context"}


def provider_options(order: Order) -> dict[str, str | bool | int]:
    """Return the options that ONNX Runtime's TensorRT provider is opened with; paths are absolute, as it needs them."""

    def profile(shape_of: Callable[[Sequence[tuple[int, ...]]], Iterable[int]]) -> str:
        return ",".join(f"{name}:{'x'.join(map(str, shape_of(shapes)))}" for name, shapes in order.shapes.items())

    usual = (len(next(iter(order.shapes.values()))) - max(0, len(order.sizes) - 1) - 1) // 2
    return {
        **OPTIONS,
        "trt_fp16_enable": order.precision == "fp16",
        "trt_engine_cache_path": str(order.folder.resolve()),
        "trt_engine_cache_prefix": order.stem,
        "trt_timing_cache_path": str(order.shared.resolve()),
        "trt_profile_min_shapes": profile(lambda shapes: map(min, *shapes, shapes[0])),
        "trt_profile_opt_shapes": profile(lambda shapes: shapes[usual]),
        "trt_profile_max_shapes": profile(lambda shapes: map(max, *shapes, shapes[0])),
    }


def open_session(runtime: Any, order: Order) -> Any:
    """Open a session with an order's engine, built where its folder has none; every dynamic input has a profile."""
    options = runtime.SessionOptions()
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    providers = [(_PROVIDER, provider_options(order))]
    try:
        session = runtime.InferenceSession(str(order.model), options, providers=providers)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors share no other base
        reason = " ".join(str(error).split())
        raise ModelError(f"{order.model}: expected a model for TensorRT, seen {reason}; correct the surgery") from None
    if (used := session.get_providers()[0]) != _PROVIDER:
        raise ModelError(f"{order.model}: expected {_PROVIDER}, seen {used}; check that TensorRT's libraries load")
    return session

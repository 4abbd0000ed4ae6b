"""Open a model in ONNX Runtime with the provider that was asked for, never with another.

No GPU has run this yet: tests have a fake ONNX Runtime; the plug-in was loaded by hand until it asked for a driver.

Source: onnxruntime.ai, "EP Context Cache Feature Design", "TensorRT Execution Provider" and "Using a Plugin Execution
Provider Library"; NVIDIA, TensorRT-RTX-EP-ABI, "Installation".
"""

import ctypes
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from morphstream.artifact.errors import SessionError

CPU, RTX, TENSORRT = "CPUExecutionProvider", "NvTensorRTRTXExecutionProvider", "TensorrtExecutionProvider"
PROVIDERS = {"tensorrt_rtx": RTX, "tensorrt": TENSORRT}  # by builder
_CLASSES = [kind for kind in vars(states).values() if isinstance(kind, type) and issubclass(kind, Exception)]
ERRORS: tuple[type[Exception], ...] = (*_CLASSES, RuntimeError, ValueError)  # what ONNX Runtime raises
TYPES: Mapping[str, npt.DTypeLike] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}
_PLUGINS = {RTX: "onnxruntime_ep_nv_tensorrt_rtx"}  # packages that bring a provider
_PLUGIN_ERRORS: tuple[type[Exception], ...] = (*ERRORS, OSError)
_registering = Lock()  # ONNX Runtime refuses a second registration of a provider


def open_model(
    path: Path, *, provider: str, threads: int, options: Mapping[str, str] | None = None, runtime: Any = onnxruntime
) -> Any:
    """Return an ``InferenceSession`` in which one provider runs every node.

    Args:
        path: The ONNX file; for a GPU the EPContext model beside the engine.
        provider: ONNX Runtime's name of it.
        threads: Threads of one run on the CPU.
        options: The provider's own.
        runtime: The module ``onnxruntime`` or one like it.

    Raises:
        SessionError: ONNX Runtime lacks the provider, or the provider can't run the whole file.
    """
    settings = runtime.SessionOptions()
    settings.log_severity_level = 4  # errors are raised
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    settings.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    if provider != CPU:
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    devices, named = prepare_provider(provider, runtime=runtime), dict(options or {})
    try:
        if devices:
            settings.add_provider_for_devices(devices[:1], named)
        providers = None if devices else [(provider, named)]
        session = runtime.InferenceSession(path, settings, providers=providers, enable_fallback=0)
    except ERRORS as error:
        kind = "a model for ONNX Runtime" if provider == CPU else f"an engine for {provider}"
        raise SessionError(f"{path.name}: expected {kind}, seen {reason_of(error)}; boot or build it again") from None
    if (used := session.get_providers()[0]) != provider:
        remedy = "check that the provider's libraries load"
        raise SessionError(f"{path.name}: expected it to run by {provider}, seen {used}; {remedy}")
    return session


def prepare_provider(
    provider: str, *, runtime: Any = onnxruntime, load_library: Callable[..., object] = ctypes.CDLL
) -> list[Any]:
    """Register a provider with ONNX Runtime, if a package brings it; return its devices, none for a built-in one.

    Args:
        provider: ONNX Runtime's name of it.
        runtime: The module ``onnxruntime`` or one like it.
        load_library: Loads a shared library, as `ctypes.CDLL` does.

    Raises:
        SessionError: ONNX Runtime lacks the provider, or the provider finds no GPU.
    """
    available = runtime.get_available_providers()
    if provider in available:
        return []
    seen = ", ".join(available)
    if (name := _PLUGINS.get(provider)) and find_spec(name):
        try:
            with _registering:
                if not _devices(provider, runtime):
                    _register(provider, Path(import_module(name).get_library_path()), runtime, load_library)
        except _PLUGIN_ERRORS as error:
            seen = reason_of(error)
        if devices := _devices(provider, runtime):
            return devices
    remedy = "install what it needs or run: morphstream boot --target cpu"
    raise SessionError(f"expected ONNX Runtime with {provider}, seen {seen}; {remedy}")


def _register(provider: str, library: Path, runtime: Any, load_library: Callable[..., object]) -> None:
    """Register a provider's library, after the CUDA runtime that its package brings and doesn't find by itself."""
    for cudart in sorted(library.parent.glob("libcudart.so.*")):
        load_library(str(cudart), mode=ctypes.RTLD_GLOBAL)
    runtime.register_execution_provider_library(provider, str(library))


def reason_of(error: Exception) -> str:
    """Return the message of an error of ONNX Runtime, in one line."""
    return " ".join(str(error).split()) or "no reason"


def _devices(provider: str, runtime: Any) -> list[Any]:
    return [device for device in runtime.get_ep_devices() if device.ep_name == provider]

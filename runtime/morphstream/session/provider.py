"""Open a model in ONNX Runtime with the provider that was asked for, never with another.

No GPU has run this yet: tests have a fake ONNX Runtime; the plug-in was loaded by hand until it asked for a driver.

Source: onnxruntime.ai, "EP Context Cache Feature Design", "TensorRT Execution Provider" and "Using a Plugin Execution
Provider Library"; NVIDIA, TensorRT-RTX-EP-ABI, "Installation".
"""

import ctypes
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from morphstream.artifact.errors import SessionError
from morphstream.machine.libraries import TENSORRT_LIBRARIES, packaged_library
from morphstream.process import shortage_of

CPU, RTX, TENSORRT = "CPUExecutionProvider", "NvTensorRTRTXExecutionProvider", "TensorrtExecutionProvider"
PROVIDERS = {"tensorrt_rtx": RTX, "tensorrt": TENSORRT}  # by builder
_CLASSES = [kind for kind in vars(states).values() if isinstance(kind, type) and issubclass(kind, Exception)]
ERRORS: tuple[type[Exception], ...] = (*_CLASSES, RuntimeError, ValueError)  # what ONNX Runtime raises
TYPES: Mapping[str, npt.DTypeLike] = {  # named as in NumPy, but for one
    "tensor(float)": np.float32,
    **{f"tensor({name})": np.dtype(name) for name in ("float16", "uint8", "int32", "int64", "bool")},
}
_PLUGINS = {RTX: "onnxruntime_ep_nv_tensorrt_rtx"}  # packages that bring a provider
_LIBRARIES = {TENSORRT: TENSORRT_LIBRARIES}  # that packages bring where the loader doesn't look
_PLUGIN_ERRORS: tuple[type[Exception], ...] = (*ERRORS, ImportError, OSError)
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
        remedy = shortage_of(error) or "boot or build it again"
        raise SessionError(f"{path.name}: expected {kind}, seen {reason_of(error)}; {remedy}") from None
    if (used := session.get_providers()[0]) != provider:
        remedy = "check that the provider's libraries load"
        raise SessionError(f"{path.name}: expected it to run by {provider}, seen {used}; {remedy}")
    return session


def prepare_provider(
    provider: str, *, runtime: Any = onnxruntime, load_library: Callable[..., object] = ctypes.CDLL
) -> list[Any]:
    """Load what a provider needs, and register it, if a package brings it; return its devices, none for a built-in one.

    Args:
        provider: ONNX Runtime's name of it.
        runtime: The module ``onnxruntime`` or one like it.
        load_library: Loads a shared library, as `ctypes.CDLL` does.

    Raises:
        SessionError: ONNX Runtime lacks the provider, or the provider finds no GPU, or a library can't be loaded.
    """
    available = runtime.get_available_providers()
    if provider in available:
        _load_libraries(_LIBRARIES.get(provider, {}), load_library)
        return []
    seen = ", ".join(available)
    with _registering:
        devices = _devices(provider, runtime)
        if not devices and provider in _PLUGINS:
            try:
                library = Path(import_module(_PLUGINS[provider]).get_library_path())
                for cudart in sorted(library.parent.glob("libcudart.so.*")):  # which the library doesn't find by itself
                    load_library(str(cudart), mode=ctypes.RTLD_GLOBAL)
                runtime.register_execution_provider_library(provider, str(library))
            except _PLUGIN_ERRORS as error:
                seen = reason_of(error)
            devices = _devices(provider, runtime)
    if devices:
        return devices
    remedy = "install what it needs or run: morphstream boot --target cpu"
    raise SessionError(f"expected ONNX Runtime with {provider}, seen {seen}; {remedy}")


def _load_libraries(wanted: Mapping[str, str], load_library: Callable[..., object]) -> None:
    """Load libraries of packages for all; of those that none brings, the loader finds the system's."""
    for soname, package in wanted.items():
        if path := packaged_library(soname, package):
            try:
                load_library(str(path), mode=ctypes.RTLD_GLOBAL)
            except OSError as error:
                expected = f"expected {soname} of {package}, seen {reason_of(error)}"
                raise SessionError(f"{expected}; install that package again") from None


def reason_of(error: Exception) -> str:
    """Return the message of an error of ONNX Runtime, in one line."""
    return " ".join(str(error).split()) or "no reason"


def _devices(provider: str, runtime: Any) -> list[Any]:
    return [device for device in runtime.get_ep_devices() if device.ep_name == provider]

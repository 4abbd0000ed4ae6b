"""Run engines of GPUs by ONNX Runtime: the EPContext model beside an engine, never on the CPU instead.

Source: onnxruntime.ai, "EP Context Cache Feature Design", "TensorRT Execution Provider" and "Using a Plugin
Execution Provider Library"; NVIDIA, TensorRT-RTX-EP-ABI, "Installation".
"""

from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnxruntime

from morphstream.artifact.errors import ModelError, NoEngineError
from morphstream.store.machine import Machine
from morphstream.store.select import check_usable
from stages.params import TargetOptions
from stages.parity.figures import Arrays
from stages.parity.run import RUNTIME_ERRORS, run_session

PROVIDERS = {"tensorrt_rtx": "NvTensorRTRTXExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_PLUGINS = {"tensorrt_rtx": "onnxruntime_ep_nv_tensorrt_rtx"}  # packages that bring a provider


def why_not(options: TargetOptions, machine: Machine) -> str:
    """Return why a machine can't execute a target's engines; empty where it can, as any can those of CPUs."""
    target = options.target
    if target.builder not in PROVIDERS:
        return ""
    if not machine.gpu_archs:
        return f"no GPU: {machine.no_gpu}"
    arch = next((arch for arch in machine.gpu_archs if arch in options.archs), target.arch)
    try:
        check_usable(replace(target.cache_key, arch=arch), machine)
        _prepare_provider(target.builder)
    except (NoEngineError, ModelError) as error:
        return str(error)
    return ""


def run_gpu(folder: Path, builder: str, inputs: Arrays, *, rows: int) -> dict[str, npt.NDArray[Any]]:
    """Run an engine on the GPU, so many rows at once.

    Raises:
        ModelError: There is none, or ONNX Runtime can't run it with the target's provider alone.
    """
    if (path := next(folder.glob("*.onnx"), None)) is None:
        raise ModelError(f"{folder}: expected an engine's EPContext model, seen none; compile it first")
    provider = PROVIDERS[builder]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        if devices := _prepare_provider(builder):
            options.add_provider_for_devices(devices[:1], {})
            session = onnxruntime.InferenceSession(path, options, enable_fallback=0)
        else:
            session = onnxruntime.InferenceSession(path, options, providers=[provider], enable_fallback=0)
        if session.get_providers()[0] != provider:
            raise ModelError(f"{path}: expected it to run by {provider}, seen {session.get_providers()[0]}")
        return run_session(session, inputs, rows=rows)
    except RUNTIME_ERRORS as error:
        raise ModelError(f"{path}: expected an engine for {provider}, seen {error}; compile it again") from None


def _prepare_provider(builder: str) -> list[Any]:
    """Make a builder's provider known to ONNX Runtime; return its devices, none for one that is built in.

    Raises:
        ModelError: ONNX Runtime has no such provider.
    """
    provider, seen = PROVIDERS[builder], ", ".join(onnxruntime.get_available_providers())
    if provider in onnxruntime.get_available_providers():
        return []
    if (name := _PLUGINS.get(builder)) and find_spec(name):
        try:
            if not _devices(provider):
                onnxruntime.register_execution_provider_library(provider, import_module(name).get_library_path())
        except (*RUNTIME_ERRORS, OSError) as error:
            seen = str(error)
        if devices := _devices(provider):
            return devices
    raise ModelError(f"expected ONNX Runtime with {provider}, seen {seen}")


def _devices(provider: str) -> list[Any]:
    return [device for device in onnxruntime.get_ep_devices() if device.ep_name == provider]

"""Run engines of GPUs by ONNX Runtime, the one that was built, never another and never on the CPU instead.

Source: onnxruntime.ai, "EP Context Cache Feature Design", "TensorRT Execution Provider" and "Using a Plugin
Execution Provider Library"; NVIDIA, TensorRT-RTX-EP-ABI, "Installation".
"""

import shutil
import tempfile
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
from stages.builders import tensorrt
from stages.compile import order_of
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


def run_gpu(
    folder: Path, options: TargetOptions, prepared: Path, inputs: Arrays, *, rows: int
) -> dict[str, npt.NDArray[Any]]:
    """Run an engine on the GPU, so many rows at once.

    Raises:
        ModelError: There is none, or ONNX Runtime can't run it with the target's provider alone.
        OSError: A file can't be read.
    """
    provider = PROVIDERS[options.target.builder]
    try:
        if options.target.builder == "tensorrt":
            return _run_tensorrt(folder, options, prepared, inputs, rows)
        return run_session(_open_context(folder, options.target.builder), inputs, rows=rows)
    except RUNTIME_ERRORS as error:
        raise ModelError(f"{folder}: expected an engine for {provider}, seen {error}; compile it again") from None


def _open_context(folder: Path, builder: str) -> onnxruntime.InferenceSession:
    """Open the EPContext model beside an engine."""
    provider = PROVIDERS[builder]
    if (path := next(folder.glob("*.onnx"), None)) is None:
        raise ModelError(f"{folder}: expected an engine's EPContext model, seen none; compile it first")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    if devices := _prepare_provider(builder):
        options.add_provider_for_devices(devices[:1], {})
        session = onnxruntime.InferenceSession(path, options, enable_fallback=0)
    else:
        session = onnxruntime.InferenceSession(path, options, providers=[provider], enable_fallback=0)
    if session.get_providers()[0] != provider:
        raise ModelError(f"{path}: expected it to run by {provider}, seen {session.get_providers()[0]}")
    return session


def _run_tensorrt(
    folder: Path, options: TargetOptions, prepared: Path, inputs: Arrays, rows: int
) -> dict[str, npt.NDArray[Any]]:
    """Run the prepared model with a copy of the engine as the provider's cache, which it must not build again."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(shutil.copytree(folder, Path(name) / "engine"))
        order, _ = order_of(options, prepared, copy)
        outputs = run_session(tensorrt.open_session(onnxruntime, replace(order, shared=copy)), inputs, rows=rows)
        engines = {path.name: path.read_bytes() for path in folder.glob("*.engine")}
        if not engines or {path.name: path.read_bytes() for path in copy.glob("*.engine")} != engines:
            seen = "it was built again" if engines else "none"
            raise ModelError(
                f"{folder}: expected an engine that TensorRT takes as it is, seen {seen}; compile it again"
            )
    return outputs


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

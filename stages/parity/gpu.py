"""Run GPU engines with ONNX Runtime: exactly the engine that was built, with no rebuild and no fallback to the CPU.

Source: onnxruntime.ai, "EP Context Cache Feature Design" and "TensorRT Execution Provider".
"""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnxruntime

from morphstream.artifact.errors import ModelError, NoEngineError, SessionError
from morphstream.machine.probe import Machine
from morphstream.machine.select import check_usable
from morphstream.session.onnxruntime import OnnxRuntimeSession
from morphstream.session.provider import ERRORS, PROVIDERS, prepare_provider
from stages.builders import tensorrt
from stages.compile import order_of
from stages.params import TargetOptions
from stages.parity.figures import Arrays
from stages.parity.run import THREADS, in_parts, run_session


def why_not(options: TargetOptions, machine: Machine) -> str:
    """Return why a machine can't execute a target's engines; empty if it can. Every machine executes CPU engines."""
    target = options.target
    if target.builder not in PROVIDERS:
        return ""
    if not machine.gpu_archs:
        return f"no GPU: {machine.no_gpu}"
    arch = next((arch for arch in machine.gpu_archs if arch in options.archs), target.arch)
    try:
        check_usable(replace(target.cache_key, arch=arch), machine)
        prepare_provider(PROVIDERS[target.builder])
    except (NoEngineError, SessionError) as error:
        return str(error)
    return ""


def run_gpu(
    folder: Path, options: TargetOptions, prepared: Path, inputs: Arrays, *, rows: int
) -> dict[str, npt.NDArray[Any]]:
    """Run an engine on the GPU, `rows` rows at once.

    Raises:
        ModelError: There is no engine, or ONNX Runtime can't run it with only the target's provider.
        OSError: A file can't be read.
    """
    provider = PROVIDERS[options.target.builder]
    try:
        if options.target.builder == "tensorrt":
            return _run_tensorrt(folder, options, prepared, inputs, rows)
        return _run_context(folder, provider, inputs, rows)
    except SessionError as error:
        raise ModelError(f"{folder}: {error}") from None
    except ERRORS as error:
        raise ModelError(f"{folder}: expected an engine for {provider}, seen {error}; compile it again") from None


def _run_context(folder: Path, provider: str, inputs: Arrays, rows: int) -> dict[str, npt.NDArray[Any]]:
    """Run an engine through its EPContext model, as the runtime does."""
    if (path := next(folder.glob("*.onnx"), None)) is None:
        raise ModelError(f"{folder}: expected an engine's EPContext model, seen none; compile it first")
    session = OnnxRuntimeSession(path, provider=provider, threads=THREADS)

    def run(part: Arrays) -> dict[str, npt.NDArray[Any]]:
        return {name: array.copy() for name, array in session.run(part).items()}  # the next run overwrites it

    outputs = in_parts(run, inputs, rows)
    session.close()
    return outputs


def _run_tensorrt(
    folder: Path, options: TargetOptions, prepared: Path, inputs: Arrays, rows: int
) -> dict[str, npt.NDArray[Any]]:
    """Run the prepared model with a copy of the engine as the provider's cache; a rebuilt engine is refused."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(shutil.copytree(folder, Path(name) / "engine"))
        order, _ = order_of(options, prepared, copy)
        outputs = run_session(tensorrt.open_session(onnxruntime, replace(order, shared=copy)), inputs, rows=rows)
        engines = {path.name: path.read_bytes() for path in folder.glob("*.engine")}
        if not engines or {path.name: path.read_bytes() for path in copy.glob("*.engine")} != engines:
            seen = "a rebuilt one" if engines else "none"
            raise ModelError(f"{folder}: expected an engine that TensorRT can load, seen {seen}; compile it again")
    return outputs

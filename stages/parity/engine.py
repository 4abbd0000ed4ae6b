"""Run engines as the runtime does, in their target's precision: none is rebuilt, and no CPU replaces a GPU."""

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from morphstream.artifact.errors import ModelError, NoEngineError, SessionError
from morphstream.artifact.target import Target
from morphstream.machine.probe import Machine
from morphstream.machine.select import check_usable
from morphstream.session.onnxruntime import OnnxRuntimeSession
from morphstream.session.provider import PROVIDERS, prepare_provider
from morphstream.session.session import Session
from stages.params import TargetOptions
from stages.parity.figures import Arrays
from stages.parity.run import THREADS


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


def run_engine(folder: Path, target: Target, *inputs: Arrays) -> list[Arrays]:
    """Run the engine in a folder on inputs, one after the other; that of a GPU through its EPContext model."""
    kind, pattern = "an engine's EPContext model", "*.onnx"
    if target.builder == "openvino":
        kind, pattern = "an engine of OpenVINO", "*.xml"
    if (path := next(folder.glob(pattern), None)) is None:
        raise ModelError(f"{folder}: expected {kind}, seen none; compile it first")
    try:
        with closing(_open(path, target)) as session:
            return [session.run(one) for one in inputs]
    except SessionError as error:
        fault = re.sub("; boot( or build it)? again$", "", str(error))  # a remedy where engines are run, not built
        raise ModelError(f"{folder}: {fault}{'' if '; ' in fault else '; compile it again'}") from None


def _open(path: Path, target: Target) -> Session:
    if target.builder != "openvino":
        return OnnxRuntimeSession(path, provider=PROVIDERS[target.builder], threads=THREADS)
    from morphstream.session.openvino import OpenVINOSession  # here, as it takes long to load

    return OpenVINOSession(path, threads=THREADS, precision=target.precision or "fp32")

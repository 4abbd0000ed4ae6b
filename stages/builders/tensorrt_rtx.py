"""Builder `tensorrt_rtx`: an engine of TensorRT for RTX, ahead of time, on a machine with no GPU.

Networks are strongly typed: precision is the prepared model's. There is no timing cache, it would ask for a GPU.
With a dynamic batch the bytes depend on the addresses of objects in memory, so this file is also a program that
builds one engine at addresses that are the same in every process (docs/adr/0004-rtx-batch.md).
Source: NVIDIA TensorRT for RTX, "Ahead-of-Time Compilation", and its Python API of version 1.7.
"""

import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

from morphstream.artifact.errors import ModelError
from stages.builders import Half, Options, Order
from stages.builders.ep_context import write_ep_context

OPTIONS: Options = {"strongly_typed": True, "timing_cache": False, "max_threads": 1}
HALF: Half = "file"
_LIBRARY = "tensorrt_rtx_bindings"  # imported where it is used, so that other builders work without it

_PR_SET_PDEATHSIG = 1
_FAILED = 2**64 - 1
_NO_ACCESS, _PRIVATE_ANONYMOUS_NORESERVE = 0, 0x4022
_LARGEST, _PAGE = 2**44, 4096
# Addresses below all that the system places by chance: what is mapped next lies right below a ceiling.
_LIBRARIES_CEILING, _BUILD_CEILING = 0x600000000000, 0x5F0000000000
_STACK = 2**26  # of a thread; the default follows the user's limits
# A thread's own cache of freed memory would hand out memory of another thread, at a chance address.
_ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0", "PYTHONPATH": str(Path(__file__).parents[2])}


def versions() -> dict[str, str | None]:
    """Return the versions of TensorRT for RTX and of the runtime that loads its engines; None where not installed."""
    found: dict[str, str | None] = {}
    for library, packages in (
        ("tensorrt_rtx", ("tensorrt-rtx-cu12-libs", "tensorrt-rtx-cu13-libs")),
        ("onnxruntime", ("onnxruntime", "onnxruntime-gpu")),
    ):
        installed = {distribution.name for package in packages for distribution in metadata.distributions(name=package)}
        found[library] = metadata.version(sorted(installed)[0]) if installed else None
    return found


def build(order: Order) -> dict[str, str]:
    """Write ``STEM.engine``, and ``STEM_ctx.onnx``, with which ONNX Runtime opens it.

    Raises:
        ModelError: TensorRT for RTX can't take the model; names the node.
        OSError: A file can't be written.
    """
    engine = order.folder / f"{order.stem}.engine"
    request = {
        "folder": str(order.model.parent.resolve()),
        "model": order.model.name,
        "archs": order.archs,
        "shapes": order.shapes,
        "engine": str(engine.resolve()),
    }
    command = [sys.executable, "-m", __name__, json.dumps(request)]
    done = subprocess.run(
        command, env=_ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        said = done.stdout.strip().splitlines() or [f"its process ended by {done.returncode}"]
        expected = f"expected a model that TensorRT for RTX builds for {', '.join(order.archs)}"
        seen = said[-1].rpartition("[E] ")[2]
        raise ModelError(f"{order.model}: {expected}, seen {seen}; mend the surgery or leave the model out")
    context = write_ep_context(order, engine.name, sdk_version=versions()["tensorrt_rtx"] or "")
    return {engine.name: "engine", context: "ep_context"}


def main() -> None:
    """Build one engine, in a process of its own; print what went wrong, if anything did."""
    request = json.loads(sys.argv[1])
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir(request["folder"])  # the length of a path would move what comes after it in memory
    threading.stack_size(_STACK)
    _fill_above(_LIBRARIES_CEILING, libc)
    with ThreadPoolExecutor(1) as loader, ThreadPoolExecutor(1) as builder:  # each has memory of its own
        loader.submit(importlib.import_module, _LIBRARY).result()
        _fill_above(_BUILD_CEILING, libc)
        try:
            engine = builder.submit(_serialize, request).result()
        except ModelError as error:
            libc.fflush(None)  # what TensorRT said stands before
            sys.exit(str(error))
    Path(request["engine"]).write_bytes(engine)


def _fill_above(ceiling: int, libc: ctypes.CDLL) -> None:
    """Take all address space above a ceiling that the system would hand out, none of it memory."""
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    size = _LARGEST
    while size >= _PAGE:
        address = libc.mmap(None, size, _NO_ACCESS, _PRIVATE_ANONYMOUS_NORESERVE, -1, 0)
        if address != _FAILED and address >= ceiling:
            continue
        if address != _FAILED:
            libc.munmap(address, size)
        size //= 2


def _serialize(request: dict[str, Any]) -> memoryview:
    """Return the engine; raises ModelError with what TensorRT says, or empty where it said it on stderr."""
    trt = importlib.import_module(_LIBRARY)
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    builder.max_threads = OPTIONS["max_threads"]
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(request["model"]):
        error = parser.get_error(0)
        raise ModelError(f"{error.desc()} at node {error.node_name() or error.node()}")
    config = builder.create_builder_config()
    config.num_compute_capabilities = len(request["archs"])
    for place, arch in enumerate(request["archs"]):
        config.set_compute_capability(getattr(trt.ComputeCapability, arch.upper()), place)
    profile = builder.create_optimization_profile()
    for name, (least, usual, greatest) in request["shapes"].items():
        profile.set_shape(name, least, usual, greatest)
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ModelError("")
    return memoryview(engine)


if __name__ == "__main__":
    main()

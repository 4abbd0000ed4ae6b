"""Builder `tensorrt_rtx`: an engine of TensorRT for RTX, ahead of time, on a machine with no GPU.

Networks are strongly typed: precision is the prepared model's. There is no timing cache, it would ask for a GPU. Each
batch has a profile of its own, as a range of batches isn't built the same twice (docs/adr/0004-rtx-batches.md).
Source: NVIDIA TensorRT for RTX, "Ahead-of-Time Compilation", and its Python API of version 1.7; the engine's header as
a sign of what it fits: ``kTensorRTEngineHeaderSize`` in NVIDIA's TensorRT-RTX-EP-ABI.
"""

from importlib import import_module, metadata
from typing import Any

from morphstream.artifact.errors import ModelError
from stages.builders import Half, Options, Order
from stages.builders.ep_context import write_ep_context

OPTIONS: Options = {"strongly_typed": True, "timing_cache": False}
HALF: Half = "file"

_PROVIDER = "NvTensorRTRTXExecutionProvider"
_HEADER_BYTES = 64  # of an engine, by which the provider knows whether it fits a machine


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
    """Write ``STEM.engine``, and ``STEM_ctx.onnx``, with which ONNX Runtime opens it."""
    trt = import_module("tensorrt_rtx_bindings")  # here, so that other builders work without it
    errors: list[str] = []
    logger = _logger(trt, errors)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(order.model)):
        error = parser.get_error(0)
        raise _refused(order, [f"{error.desc()} at node {error.node_name() or error.node()}"])
    config = builder.create_builder_config()
    config.num_compute_capabilities = len(order.archs)
    for place, arch in enumerate(order.archs):
        config.set_compute_capability(getattr(trt.ComputeCapability, arch.upper()), place)
    for shapes in zip(*order.shapes.values(), strict=True):
        profile = builder.create_optimization_profile()
        for name, shape in zip(order.shapes, shapes, strict=True):
            profile.set_shape(name, shape, shape, shape)
        config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise _refused(order, errors)
    name = f"{order.stem}.engine"
    (order.folder / name).write_bytes(engine)
    header, version = memoryview(engine)[:_HEADER_BYTES].hex(), versions()["tensorrt_rtx"] or ""
    context = write_ep_context(order, name, source=_PROVIDER, sdk_version=version, compatibility=header)
    return {name: "engine", context: "ep_context"}


def _logger(trt: Any, errors: list[str]) -> Any:
    """Return a logger of TensorRT's that keeps errors, and nothing else."""

    class Logger(trt.ILogger):  # type: ignore[misc]  # the module is known at run time alone
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                errors.append(message)

    return Logger()


def _refused(order: Order, errors: list[str]) -> ModelError:
    expected = f"expected a model that TensorRT for RTX builds for {', '.join(order.archs)}"
    seen = " ".join(errors[-1].split()) if errors else "no engine and no reason"
    return ModelError(f"{order.model}: {expected}, seen {seen}; correct the surgery or remove the model")

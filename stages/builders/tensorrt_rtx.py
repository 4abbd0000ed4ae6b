"""Builder `tensorrt_rtx`: an engine of TensorRT for RTX, ahead of time, on a machine with no GPU.

Networks are strongly typed: precision is the prepared model's. There is no timing cache, it would ask for a GPU.
Source: NVIDIA TensorRT for RTX, "Ahead-of-Time Compilation", and its Python API of version 1.7.
"""

from importlib import metadata

from morphstream.artifact.errors import ModelError
from stages.builders import Options, Order

OPTIONS: Options = {"strongly_typed": True, "timing_cache": False}


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
    """Write ``STEM.engine``.

    Raises:
        ModelError: TensorRT for RTX can't take the model; names the node.
        OSError: The file can't be written.
    """
    import tensorrt_rtx_bindings as trt  # here, so that other builders work without it

    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(order.model)):
        error = parser.get_error(0)
        seen = f"{error.desc()} at node {error.node_name() or error.node()}"
        raise ModelError(f"{order.model}: expected a model for TensorRT for RTX, seen {seen}; prepare it again")

    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, order.arch.upper()), 0)
    profile = builder.create_optimization_profile()
    for name, (least, usual, greatest) in order.shapes.items():
        profile.set_shape(name, least, usual, greatest)
    config.add_optimization_profile(profile)

    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ModelError(f"{order.model}: expected an engine for {order.arch}, seen none; see the messages above")
    name = f"{order.stem}.engine"
    (order.folder / name).write_bytes(engine)
    return {name: "engine"}

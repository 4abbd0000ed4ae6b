"""The small ONNX file with which ONNX Runtime opens an engine in the same folder.

Its one node is ``EPContext`` of domain com.microsoft; it names the engine by a relative path, and its inputs and
outputs are the prepared model's. The model's metadata name the batches that the engine is for, and its sizes where
there are several, all in the order of its profiles. They may hold what its provider is asked about before the engine is
loaded: whether it fits the machine.
Source: ONNX Runtime, "EP context design", its ``tensorrt/onnx_ctx_model_helper.cc`` and
``onnxruntime_ep_device_ep_metadata_keys.h``; ``onnx_ctx_model_helper.cc`` in NVIDIA's TensorRT-RTX-EP-ABI.
"""

import json

import numpy as np
import onnx
from onnx import helper

from stages.builders import Order, Tensor

_IR_VERSION, _OPSET = 10, 21  # that every ONNX Runtime with these providers reads


def write_ep_context(order: Order, engine: str, *, source: str, sdk_version: str, compatibility: str = "") -> str:
    """Write ``STEM_ctx.onnx`` into the order's folder and return its name.

    Args:
        order: What was built.
        engine: Name of the engine, in the same folder.
        source: ONNX Runtime's name of the provider that opens it.
        sdk_version: Of the library that built it.
        compatibility: What the provider tells by whether the engine fits a machine; empty where it doesn't ask.
    """
    node = helper.make_node(
        "EPContext",
        [tensor.name for tensor in order.inputs],
        [tensor.name for tensor in order.outputs],
        name=order.stem,
        domain="com.microsoft",
        main_context=1,
        embed_mode=0,
        ep_cache_context=engine,
        ep_sdk_version=sdk_version,
        hardware_architecture=",".join(arch.removeprefix("sm") for arch in order.archs),
        partition_name=order.stem,
        source=source,
    )
    graph = helper.make_graph([node], order.stem, _values(order.inputs), _values(order.outputs))
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, ir_version=_IR_VERSION, opset_imports=opsets, producer_name="morphstream")
    dynamic = [tensor.name for tensor in order.inputs if tensor.shape[:1] == (-1,)]
    batches = sorted({shape[0] for name in dynamic for shape in order.shapes[name]})
    sizes = json.dumps(order.sizes) if order.sizes else ""
    metadata = {
        "batches": ",".join(map(str, batches)),
        f"ep_compatibility_info.{source}": compatibility,
        "sizes": sizes,
    }
    helper.set_model_props(model, {key: value for key, value in metadata.items() if value})
    name = f"{order.stem}_ctx.onnx"
    (order.folder / name).write_bytes(model.SerializeToString(deterministic=True))
    return name


def _values(tensors: tuple[Tensor, ...]) -> list[onnx.ValueInfoProto]:
    """Return a graph's declarations of its inputs or outputs; a dynamic axis is a batch's."""
    return [
        helper.make_tensor_value_info(
            tensor.name,
            helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)),
            ["N" if dim == -1 else dim for dim in tensor.shape],
        )
        for tensor in tensors
    ]

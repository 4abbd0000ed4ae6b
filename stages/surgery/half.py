"""Half precision inside, single precision outside."""

import onnx
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

# Sums and divisions of normalisation layers overflow or lose their digits in half precision.
_SINGLE = ["InstanceNormalization", "LayerNormalization", "ReduceL2", "ReduceSum", "ReduceMean", "Softmax"]


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with float16 weights and arithmetic, float32 inputs and outputs, norms in float32.

    Args:
        model: Not modified.
    """
    edited = onnx.ModelProto()
    edited.CopyFrom(model)
    blocked = [*DEFAULT_OP_BLOCK_LIST, *_SINGLE]
    half: onnx.ModelProto = convert_float_to_float16(edited, keep_io_types=True, op_block_list=blocked)
    once = {tuple(node.output): node for node in half.graph.node}  # a value that two norms read is cast twice
    del half.graph.node[:]
    half.graph.node.extend(once.values())
    OnnxModel.graph_topological_sort(half.graph, is_deterministic=True)  # casts stand last
    return half

"""Quantised numbers: what stays in single precision around them, and biases, which builders read as floats alone."""

from copy import deepcopy

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from morphstream.artifact.errors import ModelError
from stages.surgery.label import label_of
from stages.surgery.links import links_of
from stages.surgery.nodes import attributes_of, replace_all
from stages.surgery.weights import array_of

_QUANTISED = {
    *("ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul"),
    "QuantizeLinear",
}


def quantised(graph: onnx.GraphProto) -> set[int]:
    """Return the indices of nodes that read, make or are calculated with quantised numbers.

    A node between a DequantizeLinear and a QuantizeLinear is calculated in 8 bits if no cast is there.
    """
    links = links_of(graph)
    own = {i for i, node in enumerate(links.nodes) if node.op_type in _QUANTISED}
    return own.union(*(links.readers_of(i) for i in own))


def with_float_biases(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with floats in place of constants of 32 bits that it dequantises: quantised biases.

    Zero points other than 0, which GPUs don't calculate with, are refused.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for index, node in enumerate(model.graph.node):
        zeros = node.input[2] if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > 2 else ""
        if zeros in constants and array_of(constants[zeros]).any():
            expected = f"{label_of(node, index)}: expected zero points of 0, which every builder reads"
            raise ModelError(f"{expected}, seen others; quantise the model symmetrically, to int8")
    biases = [
        node
        for node in model.graph.node
        if node.op_type == "DequantizeLinear"
        and all(name in constants for name in node.input)
        and constants[node.input[0]].data_type == TensorProto.INT32
    ]
    if not biases:
        return model
    edited = deepcopy(model)
    replace_all(edited.graph.node, [node for node in edited.graph.node if node not in biases])
    for node in biases:
        numbers, scale = (array_of(constants[name]).astype(np.float32) for name in node.input[:2])
        if scale.ndim == 1 and scale.size > 1:
            axis = attributes_of(node).get("axis", 1) % numbers.ndim
            scale = scale.reshape([-1 if place == axis else 1 for place in range(numbers.ndim)])
        edited.graph.initializer.append(numpy_helper.from_array(numbers * scale, node.output[0]))
    return edited

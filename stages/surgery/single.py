"""Convert a file with weights, inputs or arithmetic in half precision to single precision throughout."""

from copy import deepcopy

import onnx
from onnx import TensorProto, shape_inference

from stages.surgery.nodes import replace_all
from stages.surgery.tensors import captured_names, graphs_of, tensors_of
from stages.surgery.weights import as_inputs, retype

_HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)


def to_single(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with float32 in place of half precision, and without the casts that become idle."""
    if not has_half(model.graph):
        return model
    edited = deepcopy(model)
    for tensor in tensors_of(edited.graph):
        if tensor.data_type in _HALVES:
            retype(tensor, TensorProto.FLOAT)
    for graph in graphs_of(edited.graph):
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.name in ("to", "dtype") and attribute.i in _HALVES:
                    attribute.i = TensorProto.FLOAT
        del graph.value_info[:]
        for value in (*graph.input, *graph.output):
            if value.type.tensor_type.elem_type in _HALVES:
                value.type.tensor_type.elem_type = TensorProto.FLOAT
    return _without_idle_casts(edited)


def has_half(graph: onnx.GraphProto) -> bool:
    """Return whether a graph has weights, inputs, outputs or arithmetic in half precision."""
    numbers = {tensor.data_type for tensor in tensors_of(graph)}
    for inner in graphs_of(graph):
        numbers.update(value.type.tensor_type.elem_type for value in (*inner.input, *inner.output))
        numbers.update(
            attribute.i for node in inner.node for attribute in node.attribute if attribute.name in ("to", "dtype")
        )
    return bool(numbers.intersection(_HALVES))


def _without_idle_casts(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove casts to the type that a value has already; modifies the model, and returns it.

    A cast becomes an Identity where its output's name must stay: an output of the graph, or read by a graph inside.
    """
    inferred = shape_inference.infer_shapes(as_inputs(model)).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*inferred.input, *inferred.value_info)}
    types |= {tensor.name: tensor.data_type for tensor in inferred.initializer}
    graph = model.graph
    named = {value.name for value in graph.output}.union(*map(captured_names, graph.node))
    sources: dict[str, str] = {}
    kept = []
    for node in graph.node:
        node.input[:] = [sources.get(name, name) for name in node.input]
        is_idle = node.op_type == "Cast" and node.attribute[0].i == types.get(node.input[0])
        if is_idle and node.output[0] not in named:
            sources[node.output[0]] = node.input[0]
            continue
        if is_idle:
            node.op_type = "Identity"
            del node.attribute[:]
        kept.append(node)
    replace_all(graph.node, kept)
    return model

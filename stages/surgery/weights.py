"""Copy a model without its weights, so that an edit of a graph doesn't copy half a gigabyte.

A weight is an initializer too large to be a shape, an axis or a scalar, which edits and inference read.
"""

import math
from collections.abc import Iterator, Mapping
from copy import deepcopy

import onnx
from onnx import TensorProto, helper

from stages.surgery.nodes import replace_all

_SMALL = 512  # numbers; a larger initializer is a weight

Weights = Mapping[str, TensorProto]


def set_aside(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Weights]:
    """Return a copy whose weights have a name, a type and dims but no data, and the model's own weights by name."""
    light, graph = _apart(model)
    light.graph.CopyFrom(graph)
    weights = {}
    for tensor in model.graph.initializer:
        if is_weight(tensor):
            weights[tensor.name] = tensor
            light.graph.initializer.append(TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims))
        else:
            light.graph.initializer.append(tensor)
    return light, weights


def put_back(light: onnx.ModelProto, weights: Weights) -> onnx.ModelProto:
    """Return the model with the data of those weights of `set_aside` that it still has."""
    whole = deepcopy(light)
    for tensor in whole.graph.initializer:
        if tensor.name in weights:  # an initializer that an edit added has its data
            tensor.CopyFrom(weights[tensor.name])
    return whole


def as_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose weights are inputs: checks and shape inference need no more, and copy no data."""
    light, weights = set_aside(model)
    replace_all(light.graph.initializer, [one for one in light.graph.initializer if one.name not in weights])
    named = {value.name for value in light.graph.input}
    light.graph.input.extend(
        helper.make_tensor_value_info(name, tensor.data_type, tensor.dims)
        for name, tensor in weights.items()
        if name not in named
    )
    return light


def is_weight(tensor: TensorProto) -> bool:
    """Return whether an initializer holds more numbers than any shape."""
    return bool(math.prod(tensor.dims) > _SMALL)


def pieces_of(model: onnx.ModelProto) -> Iterator[bytes]:
    """Yield a model's file in pieces, initializer by initializer: a third of the time and half the memory of one piece.

    Source: Protocol Buffers, "Encoding": fields may come in any order.
    """
    head, graph = _apart(model)
    rest = graph.SerializeToString(deterministic=True)
    sizes = [tensor.ByteSize() for tensor in model.graph.initializer]
    tags = [_tag(onnx.GraphProto.INITIALIZER_FIELD_NUMBER, size) for size in sizes]
    yield head.SerializeToString(deterministic=True)
    yield _tag(onnx.ModelProto.GRAPH_FIELD_NUMBER, len(rest) + sum(map(len, tags)) + sum(sizes))
    yield rest
    for tag, tensor in zip(tags, model.graph.initializer, strict=True):
        yield tag + tensor.SerializeToString(deterministic=True)


def _apart(model: onnx.ModelProto) -> tuple[onnx.ModelProto, onnx.GraphProto]:
    """Return copies of a model without its graph, and of the graph without its initializers."""
    head, graph = onnx.ModelProto(), onnx.GraphProto()
    for field, value in model.ListFields():
        if field.name != "graph":
            head.MergeFrom(onnx.ModelProto(**{field.name: value}))
    for field, value in model.graph.ListFields():
        if field.name != "initializer":
            graph.MergeFrom(onnx.GraphProto(**{field.name: value}))
    return head, graph


def _tag(field: int, size: int) -> bytes:
    """Return the tag and the length that precede a message inside another."""
    encoded = bytes([field << 3 | 2])
    while size > 127:
        encoded += bytes([size & 127 | 128])
        size >>= 7
    return encoded + bytes([size])

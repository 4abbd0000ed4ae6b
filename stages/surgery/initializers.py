"""Keep a graph's constants in one place, and equal ones once."""

import hashlib
from collections.abc import Callable, Hashable, Iterable
from copy import deepcopy

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from stages.surgery.nodes import rename, replace_all
from stages.surgery.tensors import graphs_of
from stages.surgery.weights import chunks_of

_HEAD = 1024  # numbers


def lift_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with initializers instead of Constant nodes."""
    outputs = {value.name for value in model.graph.output}
    if not any(_is_liftable(node, outputs) for node in model.graph.node):
        return model
    edited = deepcopy(model)
    edited.graph.initializer.extend(_tensor_of(node) for node in edited.graph.node if _is_liftable(node, outputs))
    replace_all(edited.graph.node, [node for node in edited.graph.node if not _is_liftable(node, outputs)])
    return edited


def merge_equal(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with initializers of the same type, dims and bytes merged into the first of them."""
    alike = _alike(model.graph.initializer, lambda tensor: (tensor.data_type, tuple(tensor.dims)))
    begun = [group for tensors in alike for group in _alike(tensors, _head)]  # most differ in their first numbers
    merged: dict[str, str] = {}
    for tensors in (group for one in begun for group in _alike(one, _digest)):
        merged |= {tensor.name: tensors[0].name for tensor in tensors[1:]}
    for value in model.graph.output:
        merged.pop(value.name, None)
    if not merged:
        return model
    edited = deepcopy(model)
    replace_all(edited.graph.initializer, [one for one in edited.graph.initializer if one.name not in merged])
    for graph in graphs_of(edited.graph):
        rename(graph.node, merged)
    return edited


def _is_liftable(node: onnx.NodeProto, outputs: set[str]) -> bool:
    is_dense = all(attribute.name != "sparse_value" for attribute in node.attribute)
    return node.op_type == "Constant" and is_dense and node.output[0] not in outputs


def _tensor_of(node: onnx.NodeProto) -> TensorProto:
    tensor = TensorProto()
    if node.attribute[0].HasField("t"):
        tensor.CopyFrom(node.attribute[0].t)
        tensor.name = node.output[0]
        return tensor
    from onnx.reference import ReferenceEvaluator  # here, as it takes long to load and few models need it

    (value,) = list(ReferenceEvaluator(node).run(None, {}))
    return numpy_helper.from_array(np.asarray(value), node.output[0])


def _alike(tensors: Iterable[TensorProto], key: Callable[[TensorProto], Hashable]) -> list[list[TensorProto]]:
    """Return groups of two or more tensors that have the same key, in order."""
    groups: dict[Hashable, list[TensorProto]] = {}
    for tensor in tensors:
        groups.setdefault(key(tensor), []).append(tensor)
    return [group for group in groups.values() if len(group) > 1]


def _head(tensor: TensorProto) -> bytes:
    return next(chunks_of(tensor))[:_HEAD].tobytes()


def _digest(tensor: TensorProto) -> bytes:
    sha256 = hashlib.sha256()
    for chunk in chunks_of(tensor):
        sha256.update(np.ascontiguousarray(chunk).view(np.uint8).data)
    return sha256.digest()

"""Keep only the outputs that are used, in order and under canonical names."""

from collections.abc import Mapping
from copy import deepcopy

import onnx

from stages.surgery.nodes import rename, replace_all
from stages.surgery.tensors import captured_names


def keep_outputs(model: onnx.ModelProto, names: Mapping[str, str]) -> onnx.ModelProto:
    """Return the model with some of its outputs, by their new names, and only nodes and weights that these need."""
    edited = deepcopy(model)
    graph = edited.graph
    by_name = {value.name: value for value in model.graph.output}
    replace_all(graph.output, [by_name[old] for old in names.values()])
    for value, new in zip(graph.output, names, strict=True):
        value.name = new
    renamed = {old: new for new, old in names.items()}
    rename(graph.node, renamed)
    return without_unused(edited)


def without_unused(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model without the nodes and initializers that no output needs."""
    edited = deepcopy(model)
    graph = edited.graph
    needed = {value.name for value in graph.output}
    nodes = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input, captured_names(node))
            nodes.append(node)
    replace_all(graph.node, reversed(nodes))
    replace_all(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in needed])
    return edited

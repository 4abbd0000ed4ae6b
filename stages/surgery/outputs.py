"""Keep only the outputs that are used, in order and under canonical names."""

from collections.abc import Mapping
from copy import deepcopy

import onnx

from stages.surgery.tensors import captured_names


def keep_outputs(model: onnx.ModelProto, names: Mapping[str, str]) -> onnx.ModelProto:
    """Return the model with only the named outputs, and only the nodes and weights that these need.

    Args:
        model: Not modified.
        names: The outputs to keep, by their new name.
    """
    edited = deepcopy(model)
    graph = edited.graph
    by_name = {value.name: value for value in model.graph.output}
    del graph.output[:]
    graph.output.extend(by_name[old] for old in names.values())
    for value, new in zip(graph.output, names, strict=True):
        value.name = new
    renamed = {old: new for new, old in names.items()}
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
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
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(weights)
    return edited

"""Keep, in order and under canonical names, only the outputs that are used."""

from collections.abc import Mapping

import onnx


def keep_outputs(model: onnx.ModelProto, names: Mapping[str, str]) -> onnx.ModelProto:
    """Return a model with the named outputs alone, and without the nodes and weights that only others used.

    Args:
        model: Not modified.
        names: The outputs to keep, by their new name.
    """
    edited = onnx.ModelProto()
    edited.CopyFrom(model)
    graph = edited.graph
    by_name = {value.name: value for value in graph.output}
    del graph.output[:]
    for new, old in names.items():
        value = onnx.ValueInfoProto()
        value.CopyFrom(by_name[old])
        value.name = new
        graph.output.append(value)
    renamed = {old: new for new, old in names.items()}
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    return without_unused(edited)


def without_unused(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model without the nodes and initializers that no output needs."""
    edited = onnx.ModelProto()
    edited.CopyFrom(model)
    graph = edited.graph
    needed = {value.name for value in graph.output}
    nodes = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            needed.update(name for attribute in node.attribute for name in captured(attribute))
            nodes.append(node)
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(weights)
    return edited


def captured(attribute: onnx.AttributeProto) -> set[str]:
    """Return every name that the subgraphs of an attribute read."""
    names: set[str] = set()
    for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
        for node in graph.node:
            names.update(node.input)
            for inner in node.attribute:
                names |= captured(inner)
        names.update(value.name for value in graph.output)
    return names

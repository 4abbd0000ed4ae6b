"""Replace each If by the branch that the model always takes: exporters write an If where a shape decides."""

from collections import deque
from collections.abc import Mapping, Sequence
from copy import deepcopy

import numpy as np
import onnx
from onnx import helper

from stages.surgery.initializers import lift_constants
from stages.surgery.label import label_of
from stages.surgery.nodes import rename, replace_all
from stages.surgery.shapes import fix_shapes
from stages.surgery.tensors import graphs_in, graphs_of
from stages.surgery.trace import follow, put_tensor, start


def sized(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> onnx.ModelProto:
    """Return the model with the sizes of its inputs that params.yaml states, and the branches that follow from them."""
    return take_branches(lift_constants(fix_shapes(model, shapes)))


def take_branches(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model without any If whose condition is a constant, or is computed from constants and shapes alone.

    All axes of its inputs but the first have sizes; one row decides.
    """
    if not any(node.op_type == "If" for node in model.graph.node):
        return model
    edited = deepcopy(model)
    trace, names = start(edited, 1), _names(edited.graph)
    nodes, pending = list[onnx.NodeProto](), deque(enumerate(edited.graph.node))
    while pending:
        index, node = pending.popleft()
        if node.op_type == "If" and (condition := trace.values.get(node.input[0])) is not None:
            taken = "then_branch" if np.asarray(condition).any() else "else_branch"
            branch = next(attribute.g for attribute in node.attribute if attribute.name == taken)
            inlined = _inlined(branch, list(node.output), names)
            for tensor in inlined.initializer:
                put_tensor(trace, tensor)
            edited.graph.initializer.extend(inlined.initializer)
            pending.extendleft((index, one) for one in reversed(inlined.node))
            continue
        follow(trace, node, label_of(node, index))
        nodes.append(node)
    replace_all(edited.graph.node, nodes)
    return edited


def _inlined(branch: onnx.GraphProto, outputs: list[str], names: set[str]) -> onnx.GraphProto:
    """Return a branch whose outputs have the names of its node's, and all else names that are new to the graph."""
    inlined = deepcopy(branch)
    given = [value.name for value in branch.output]
    made = {name for node in branch.node for name in node.output if name}
    direct = {old: new for old, new in zip(given, outputs, strict=True) if old in made and given.count(old) == 1}
    renamed = dict(direct)
    for old in (*sorted(made - direct.keys()), *(tensor.name for tensor in branch.initializer)):
        renamed[old] = new = f"{outputs[0]}_{old}"
        while new in names:
            renamed[old] = new = f"{new}_"
        names.add(new)
    for tensor in inlined.initializer:
        tensor.name = renamed[tensor.name]
    rename(inlined.node, renamed)
    for graph in [inner for node in inlined.node for one in graphs_in(node) for inner in graphs_of(one)]:
        rename(graph.node, renamed)
        for value in graph.output:
            value.name = renamed.get(value.name, value.name)
    for old, new in zip(given, outputs, strict=True):
        if old not in direct:
            inlined.node.append(helper.make_node("Identity", [renamed.get(old, old)], [new], new))
    return inlined


def _names(graph: onnx.GraphProto) -> set[str]:
    inner = list(graphs_of(graph))
    values = {name for one in inner for node in one.node for name in (*node.input, *node.output)}
    return values | {value.name for one in inner for value in (*one.input, *one.initializer)}

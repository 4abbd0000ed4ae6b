"""Make a model that was exported for one row calculate N rows at once, each as if it were alone.

The graph's shapes are followed twice, for one row and for many. What differs is the batch: an axis, perhaps the outer
part of one. Where a node loses it, it is added again; where that can't be, the node is named.
"""

import math
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from stages.surgery.label import label_of, one_line
from stages.surgery.nodes import attributes_of, rename, replace_all
from stages.surgery.sound import check_size
from stages.surgery.trace import BATCHED, SAME, Shape, Trace, follow, put_tensor, refused, start

BATCH = "N"
_MANY = 7919  # rows: a prime, so that it isn't mistaken for another size
_MIXING = {"Compress", "CumSum", "Einsum", "GatherND", "NonMaxSuppression", "NonZero", "ScatterND", "Unique"}
_MIXING |= {"EyeLike", "ReverseSequence", "Trilu"}
_FIRST = {  # whose axis 0 alone has rows that stay apart
    *("AveragePool", "BatchNormalization", "Col2Im", "Conv", "ConvTranspose", "DeformConv", "DepthToSpace"),
    *("GridSample", "GroupNormalization", "InstanceNormalization", "LRN", "LpPool", "MaxPool"),
    *("MeanVarianceNormalization", "SpaceToDepth", "Upsample"),
}
_ELEMENTWISE = {"Add", "Div", "Max", "Min", "Mod", "Mul", "Pow", "Sub", "Where"}
_STATIC = "quantise the model statically, or leave it in single precision"
_RECURRENT = {"GRU", "LSTM", "RNN"}
_REGROUPING = {"Reshape", "Flatten"}


@dataclass(slots=True)
class _Edit:
    """A graph under the edit: what is known of it for one row and for many, its names, and the nodes so far."""

    graph: onnx.GraphProto
    one: Trace
    many: Trace
    names: set[str]
    nodes: list[onnx.NodeProto] = field(default_factory=list)


def with_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with axis 0 of every input and output named N, and N rows calculated apart.

    All other axes of its inputs have sizes.
    """
    edited = deepcopy(model)
    graph = edited.graph
    del graph.value_info[:]
    names = {name for node in graph.node for name in node.output} | {tensor.name for tensor in graph.initializer}
    edit = _Edit(graph, start(edited, 1), start(edited, _MANY), names)
    for index, node in enumerate(graph.node):
        label = label_of(node, index)
        follow(edit.one, node, label)
        for name in filter(None, node.output):
            check_size(edit.one.types[name], label)
        edited_node = deepcopy(node)
        _prepare(edit, edited_node, label)
        _append(edit, edited_node, label)
    for value in graph.input:
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    for value in graph.output:
        _give_output(edit, value)
    replace_all(graph.node, edit.nodes)
    for node in graph.node:
        if node.op_type in SAME:  # inference elsewhere can't find it
            name = node.output[0]
            axis = _axis(edit, name, name)
            dims = [None if i == axis else size for i, size in enumerate(edit.one.shape(name))]
            kind = edit.one.types[name].tensor_type.elem_type
            graph.value_info.append(helper.make_tensor_value_info(name, kind, dims))
    return edited


def _prepare(edit: _Edit, node: onnx.NodeProto, label: str) -> None:
    """Change what hard-codes one row in a node: the shape it is given, or the rows of a constant it joins."""
    axis = _axis(edit, node.input[0], label) if node.input and node.input[0] else None
    match node.op_type:
        case "Reshape" if axis is not None:
            _reshape(edit, node, axis, label)
        case "Flatten" if axis:  # what is in front of the rows becomes the outer part: as in any other reshape
            node.op_type = "Reshape"
            del node.attribute[:]
            node.input.append(_constant(edit, f"{node.output[0]}_flat", list(edit.one.shape(node.output[0]))))
            _reshape(edit, node, axis, label)
        case "ScatterElements" | "GatherElements" if axis == 0 and edit.one.shape(node.input[0])[0] == 1:
            _repeat(edit, node, label, node.input[0])
        case "Resize" if axis == 0 and len(node.input) > 3 and node.input[3]:
            _resize(edit, node, label)
        case "Concat":
            batched = [name for name in node.input if _axis(edit, name, label) == 0 and edit.one.shape(name)[0] == 1]
            if batched:
                _repeat(edit, node, label, batched[0])


def _reshape(edit: _Edit, node: onnx.NodeProto, axis: int, label: str) -> None:
    """Keep the batch the outer part of its axis; first move it to the front where axes before it are regrouped."""
    data, before, after = node.input[0], edit.one.shape(node.input[0]), edit.one.shape(node.output[0])
    is_moved = before[:axis] != after[:axis] or len(after) <= axis
    if is_moved:
        if before[axis] != 1 or not after:
            raise refused(label, "a batch on an axis of its own", f"{list(before)} to {list(after)}")
        perm = [axis, *(other for other in range(len(before)) if other != axis)]
        node.input[0] = _insert(edit, "Transpose", [data], f"{node.output[0]}_rows", label, perm=perm)
        axis = 0
    wanted = (*after[:axis], after[axis] * _MANY, *after[axis + 1 :])
    if is_moved or _target(edit, node) != wanted:
        target = [*after[:axis], -1, *after[axis + 1 :]]
        node.input[1] = _constant(edit, f"{node.output[0]}_shape", target)


def _target(edit: _Edit, node: onnx.NodeProto) -> Shape | None:
    """Return the shape that a Reshape gives many rows; None where it can't."""
    given, data = edit.many.values.get(node.input[1]), edit.many.shape(node.input[0])
    if given is None or given.ndim != 1:
        return None
    keeps_zero = attributes_of(node).get("allowzero")
    dims = [data[i] if size == 0 and not keeps_zero and i < len(data) else int(size) for i, size in enumerate(given)]
    total, rest = math.prod(data), math.prod(size for size in dims if size != -1)
    filled = tuple(total // rest if size == -1 and rest else size for size in dims)
    return filled if math.prod(filled) == total else None


def _resize(edit: _Edit, node: onnx.NodeProto, label: str) -> None:
    """Read the size of axis 0 from the value that is resized."""
    before, after = edit.one.shape(node.input[0]), edit.one.shape(node.output[0])
    sizes = edit.many.values.get(node.input[3], np.ones(len(before)))
    if len(sizes) < len(before) or before[0] != after[0] or sizes[0] == _MANY * after[0]:
        return
    rows = _rows(edit, node.input[0], node.output[0], label)
    rest = _constant(edit, f"{node.output[0]}_sizes", list(after[1:]))
    node.input[3] = _insert(edit, "Concat", [rows, rest], f"{node.output[0]}_resized", label, axis=0)


def _repeat(edit: _Edit, node: onnx.NodeProto, label: str, batched: str) -> None:
    """Repeat a node's inputs of one row as often as a batched one has rows."""
    alone = [i for i, name in enumerate(node.input) if _axis(edit, name, label) is None]
    if not alone:
        return
    rows = _rows(edit, batched, node.output[0], label)
    ones = _constant(edit, f"{node.output[0]}_ones", [1] * (len(edit.one.shape(batched)) - 1))
    shape = _insert(edit, "Concat", [rows, ones], f"{node.output[0]}_repeats", label, axis=0)
    for i in alone:
        node.input[i] = _insert(edit, "Expand", [node.input[i], shape], f"{node.output[0]}_repeated{i}", label)


def _give_output(edit: _Edit, value: onnx.ValueInfoProto) -> None:
    """Declare an output's rows; where each of them has several, such as a detector's anchors, split them off."""
    label, name = f"output {one_line(value.name)}", value.name
    shape = edit.one.shape(name)
    if _axis(edit, name, label) != 0:
        raise refused(label, "rows on axis 0", str(list(shape)))
    _check_declared(value, edit.one, label)
    if shape[0] != 1:
        inner = _free(edit, f"{name}_flat")
        rename(edit.nodes, {name: inner})
        target = _constant(edit, f"{name}_split", [-1, *shape])
        edit.nodes.append(helper.make_node("Reshape", [inner, target], [name], target))
        shape = (1, *shape)
    kind = edit.one.types[name].tensor_type.elem_type
    value.CopyFrom(helper.make_tensor_value_info(name, kind, [BATCH, *shape[1:]]))


def _check_declared(value: onnx.ValueInfoProto, known: Trace, label: str) -> None:
    """Refuse an output that is declared as what it isn't: its contract was checked by what the file declares."""
    declared, seen = value.type.tensor_type, known.types[value.name].tensor_type
    sizes, shape = [dim.dim_value for dim in declared.shape.dim], known.shape(value.name)
    fits = all(size in (0, actual) for size, actual in zip(sizes, shape, strict=False))
    if not fits or len(sizes) not in (0, len(shape)) or declared.elem_type not in (0, seen.elem_type):
        expected = f"what the file declares, type {declared.elem_type} {sizes}"
        raise refused(label, expected, f"type {seen.elem_type} {list(shape)}", "export the model again")


def _rows(edit: _Edit, name: str, stem: str, label: str) -> str:
    """Insert what reads a value's axis 0; return the name of that, of shape (1,)."""
    shape = _insert(edit, "Shape", [name], f"{stem}_whole", label)
    return _insert(edit, "Gather", [shape, _constant(edit, f"{stem}_first", [0])], f"{stem}_batch", label, axis=0)


def _constant(edit: _Edit, name: str, numbers: list[int]) -> str:
    tensor = numpy_helper.from_array(np.array(numbers, np.int64), _free(edit, name))
    edit.graph.initializer.append(tensor)
    for trace in (edit.one, edit.many):
        put_tensor(trace, tensor)
    return tensor.name


def _insert(edit: _Edit, operator: str, inputs: list[str], output: str, label: str, **attributes: Any) -> str:
    name = _free(edit, output)
    node = helper.make_node(operator, inputs, [name], name, **attributes)
    follow(edit.one, node, label)
    _append(edit, node, label)
    return name


def _free(edit: _Edit, name: str) -> str:
    """Return a name that nothing in the graph has, and reserve it."""
    while name in edit.names:
        name += "_"
    edit.names.add(name)
    return name


def _append(edit: _Edit, node: onnx.NodeProto, label: str) -> None:
    """Add a node to the graph, having checked that it keeps rows apart."""
    follow(edit.many, node, label)
    edit.nodes.append(node)
    axes = {name: axis for name in node.input if name and (axis := _axis(edit, name, label)) is not None}
    outputs = {name: _axis(edit, name, label) for name in node.output if name}
    if not axes or node.op_type in ("Shape", "Size"):
        return
    name, axis = next(iter(axes.items()))
    for output, kept in outputs.items():
        is_same = kept is not None and edit.one.shape(output)[kept] == edit.one.shape(name)[axis]
        if kept is None or not (is_same or node.op_type in _REGROUPING):
            shapes = f"{list(edit.one.shape(name))} to {list(edit.one.shape(output))}"
            advice = _STATIC if node.op_type == "DynamicQuantizeLinear" else BATCHED
            raise refused(label, "rows that stay apart", f"{node.op_type} of {shapes}", advice)
    is_along = node.op_type != "Flatten" and node.input[0] in axes and _own_axis(edit, node) == axes[node.input[0]]
    if node.op_type in _MIXING or is_along or _mixes(edit, node, axes):
        raise refused(label, "rows that stay apart", f"{node.op_type} along the batch")


def _mixes(edit: _Edit, node: onnx.NodeProto, axes: dict[str, int]) -> bool:
    """Return whether a node calculates across the axis that its rows are on, though it keeps that axis."""
    attributes, at = attributes_of(node), axes.get(node.input[0])
    counted = [  # the number of rows itself, as a value
        name
        for name in node.input
        if name in edit.many.values and not np.array_equal(edit.many.values[name], edit.one.values[name])
    ]
    if node.op_type in _ELEMENTWISE:
        return bool(counted)
    if at is None:
        return False
    match node.op_type:
        case "MeanVarianceNormalization":
            return at in attributes.get("axes", [0, 2, 3])
        case "BatchNormalization" if attributes.get("training_mode"):
            return True
        case "Softmax" | "LogSoftmax" | "Hardmax" if edit.many.opset < 13:
            return at >= (_own_axis(edit, node) or 0)
        case "LayerNormalization" | "RMSNormalization":
            return at >= (_own_axis(edit, node) or 0)
        case "Slice":
            return at in _backwards(edit, node)
        case operator if operator in _FIRST:
            return at != 0
        case operator if operator in _RECURRENT:
            return at != (0 if attributes.get("layout") else 1)
    return False


def _backwards(edit: _Edit, node: onnx.NodeProto) -> set[int]:
    """Return the axes that a Slice may turn around."""
    rank = len(edit.one.shape(node.input[0]))
    given = [edit.many.values.get(name) if name else None for name in node.input]
    steps = given[4] if len(given) > 4 else np.ones(1)
    if steps is not None and (np.asarray(steps) > 0).all():
        return set()
    axes = given[3] if len(given) > 3 else None
    return set(range(rank)) if axes is None else {int(axis) % rank for axis in np.asarray(axes).ravel()}


def _own_axis(edit: _Edit, node: onnx.NodeProto) -> int | None:
    """Return the axis that a node works along, if it has one."""
    declared = onnx.defs.get_schema(node.op_type, edit.many.opset, "").attributes.get("axis")
    default = declared.default_value.i if declared and declared.default_value.HasField("i") else None
    axis = attributes_of(node).get("axis", default)
    return None if axis is None else axis % max(1, len(edit.one.shape(node.input[0])))


def _axis(edit: _Edit, name: str, label: str) -> int | None:
    """Return the axis of a value that the batch is on; None for a value that doesn't depend on it."""
    one, many = edit.one.shape(name), edit.many.shape(name)
    differing = [i for i, (a, b) in enumerate(zip(one, many, strict=False)) if a != b]
    if len(one) == len(many) and not differing:
        return None
    if len(one) != len(many) or len(differing) > 1 or many[differing[0]] != _MANY * one[differing[0]]:
        raise refused(label, "the batch on one axis", f"{list(one)} for one row")
    return differing[0]

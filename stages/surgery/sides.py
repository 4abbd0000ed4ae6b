"""Let a detector calculate square images of further sides: its weights fit any, and so does what isn't written out.

An exporter writes the sizes of one image into the graph: what a feature map is resized to, and how many rows it gives.
They become factors and counted axes.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from morphstream.artifact.errors import ModelError
from stages.surgery.label import label_of, one_line
from stages.surgery.nodes import attributes_of, replace_all
from stages.surgery.outputs import without_unused
from stages.surgery.trace import Trace, follow, put_tensor, refused, start

_ROWS = 2  # images: one of them couldn't be told from an axis of length 1
_ADVICE = "leave `sides` out of params.yaml, or export the model with an open height and width"


@dataclass(slots=True)
class _Edit:
    """A graph under the edit: what is known of it for one image of its own size, and for some of each other side."""

    graph: onnx.GraphProto
    prefix: str
    one: Trace
    others: list[Trace]
    nodes: list[onnx.NodeProto] = field(default_factory=list)


def with_sides(model: onnx.ModelProto, sides: Sequence[int], prefix: str) -> onnx.ModelProto:
    """Return a detector that takes images of other sizes, too: height, width and the rows of its outputs are open.

    Args:
        model: From ``(N, 3, height, width)`` to outputs ``(N, rows, width)``.
        sides: Of further square images that it is for; none to leave it as it is.
        prefix: What the names of inner values begin with, and no other's.

    Raises:
        ModelError: It can't calculate them, or an output hasn't as many rows as it should then.
    """
    if not sides:
        return model
    edited = deepcopy(model)
    others = [start(_sized(edited, side), _ROWS) for side in sides]
    edit = _Edit(edited.graph, prefix, start(edited, 1), others)
    for index, node in enumerate(edited.graph.node):
        label = label_of(node, index)
        follow(edit.one, node, label)
        if node.op_type == "Resize" and len(node.input) > 3 and node.input[3]:
            _scale(edit, node, index)
        elif node.op_type == "Reshape":
            _count(edit, node, index)
        edit.nodes.append(node)
        for trace in others:
            try:
                follow(trace, node, label)
            except ModelError as error:
                raise ModelError(f"{str(error).rpartition('; ')[0]}; {_ADVICE}") from None
    for trace, side in zip(others, sides, strict=True):
        _check_outputs(edit, trace, side)
    replace_all(edited.graph.node, deepcopy(edit.nodes))
    _open(edit)
    return without_unused(edited)


def _sized(model: onnx.ModelProto, side: int) -> onnx.ModelProto:
    """Return the inputs and initializers of a model, for a square image."""
    graph = onnx.GraphProto(input=model.graph.input, initializer=model.graph.initializer)
    for dim in graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_value = side
    return onnx.ModelProto(graph=graph, opset_import=model.opset_import)


def _scale(edit: _Edit, node: onnx.NodeProto, index: int) -> None:
    """Resize by factors where the size is a constant."""
    before, after = edit.one.shape(node.input[0]), edit.one.shape(node.output[0])
    axes = attributes_of(node).get("axes", range(len(before)))
    scales = np.array([after[axis] / before[axis] for axis in axes], np.float32)
    node.input[:] = [node.input[0], node.input[1], _constant(edit, f"scales_{index}", scales)]


def _count(edit: _Edit, node: onnx.NodeProto, index: int) -> None:
    """Count the longest axis of a shape that is a constant, and read the number of images."""
    data, other, after = node.input[0], edit.others[0], edit.one.shape(node.output[0])
    given, same = (trace.values.get(node.input[1], np.array(0)).ravel()[1:] for trace in (edit.one, other))
    is_sized = edit.one.shape(data) != (1, *other.shape(data)[1:])
    if not is_sized or not len(given) or not np.array_equal(given, same):
        return
    target = np.array(after, np.int64)
    target[after.index(max(after))] = -1
    if after[0] == 1 and other.shape(data)[0] == _ROWS:
        target[0] = 0  # as it comes
        del node.attribute[:]  # by which a 0 would mean none
    elif after[0] == 1:
        node.input[1] = _with_images(edit, target[1:], index)
        return
    node.input[1] = _constant(edit, f"shape_{index}", target)


def _with_images(edit: _Edit, rest: npt.NDArray[np.int64], index: int) -> str:
    """Insert what joins the number of images and the rest of a shape; return its name."""
    images, image = f"{edit.prefix}_images", edit.graph.input[0].name
    if images not in edit.one.types:
        _insert(edit, "Shape", [image], f"{edit.prefix}_image")
        _insert(edit, "Gather", [f"{edit.prefix}_image", _constant(edit, "first", np.array([0]))], images, axis=0)
    return _insert(
        edit, "Concat", [images, _constant(edit, f"rest_{index}", rest)], f"{edit.prefix}_shape_{index}", axis=0
    )


def _insert(edit: _Edit, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
    node = helper.make_node(operator, inputs, [output], output, **attributes)
    for trace in (edit.one, *edit.others):
        follow(trace, node, output)
    edit.nodes.append(node)
    return output


def _constant(edit: _Edit, name: str, numbers: npt.NDArray[np.generic]) -> str:
    tensor = numpy_helper.from_array(numbers, f"{edit.prefix}_{name}")
    edit.graph.initializer.append(tensor)
    for trace in (edit.one, *edit.others):
        put_tensor(trace, tensor)
    return tensor.name


def _check_outputs(edit: _Edit, trace: Trace, side: int) -> None:
    """Check that outputs have the rows of all images of a side, in proportion to its area."""
    _, _, height, width = edit.one.shape(edit.graph.input[0].name)
    for value in edit.graph.output:
        _, rows, numbers = edit.one.shape(value.name)
        wanted = (_ROWS, rows * side * side // (height * width), numbers)
        if (seen := trace.shape(value.name)) != wanted:
            label = f"output {one_line(value.name)}"
            raise refused(label, f"{list(wanted)} of {_ROWS} images of {side} pixels", str(list(seen)), _ADVICE)


def _open(edit: _Edit) -> None:
    """Leave height, width and rows open, by name, and what depends on them."""
    height, width = edit.graph.input[0].type.tensor_type.shape.dim[2:]
    height.dim_param, width.dim_param = "H", "W"
    for value in edit.graph.output:
        value.type.tensor_type.shape.dim[1].dim_param = "R"
    for value in edit.graph.value_info:
        for dim, other in zip(value.type.tensor_type.shape.dim, edit.others[0].shape(value.name), strict=True):
            if dim.dim_value != other:
                dim.Clear()

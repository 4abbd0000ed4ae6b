"""Turn the floats that a model returns into a uint8 NHWC BGR crop, or into uint8 labels."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from stages.surgery.nodes import dims_of

_Step = tuple[str, list[str], dict[str, Any]]  # operator, operands after the first, attributes

_TO_FLOAT: _Step = ("Cast", [], {"to": TensorProto.FLOAT})
_TO_LEVELS: tuple[_Step, ...] = (("Clip", ["low", "high"], {}), ("Round", [], {}))
_TO_LAST: _Step = ("Transpose", [], {"perm": [0, 2, 3, 1]})


def with_crop_output(
    model: onnx.ModelProto, name: str, crop: str, *, scale: float, shift: float, mask: str | None = None
) -> onnx.ModelProto:
    """Turn an RGB NCHW output into uint8 NHWC BGR: ``round(clip(output * scale + shift, 0, 255))``.

    Scale and shift are 255 and 0 for outputs in 0..1, and 127.5 for -1..1. A mask, another output in 0..1 of shape
    ``(N, 1, H, W)``, becomes the crop's fourth channel, 0..255.
    """
    edited, old = _without_output(model, name)
    graph = edited.graph
    batch, channels, *size = dims_of(old)
    numbers = {"scale": scale, "shift": shift, "low": 0.0, "high": 255.0}
    constants = {"bgr": np.array([2, 1, 0]), **{key: np.array(value, np.float32) for key, value in numbers.items()}}
    graph.initializer.extend(numpy_helper.from_array(array, f"{crop}_{key}") for key, array in constants.items())
    scaled: list[_Step] = [_TO_FLOAT, ("Mul", ["scale"], {}), ("Add", ["shift"], {}), *_TO_LEVELS]
    value = _append(graph, name, crop, crop, [*scaled, ("Gather", ["bgr"], {"axis": 1}), _TO_LAST])
    if mask:
        graph.output.remove(next(value for value in graph.output if value.name == mask))
        visible = _append(graph, mask, crop, f"{crop}_mask", [_TO_FLOAT, ("Mul", ["high"], {}), *_TO_LEVELS, _TO_LAST])
        graph.node.append(helper.make_node("Concat", [value, visible], [f"{crop}_both"], f"{crop}_both", axis=3))
        value, channels = f"{crop}_both", 4
    graph.node.append(helper.make_node("Cast", [value], [crop], f"{crop}_uint8", to=TensorProto.UINT8))
    graph.output.insert(0, helper.make_tensor_value_info(crop, TensorProto.UINT8, [batch, *size, channels]))
    return edited


def _append(graph: onnx.GraphProto, value: str, crop: str, prefix: str, steps: Iterable[_Step]) -> str:
    """Append a chain of nodes, whose constants are named after the crop, and return its last value."""
    for operator, operands, attributes in steps:
        output = f"{prefix}_{operator.lower()}"
        inputs = [value, *(f"{crop}_{operand}" for operand in operands)]
        graph.node.append(helper.make_node(operator, inputs, [output], output, **attributes))
        value = output
    return value


def with_label_output(model: onnx.ModelProto, name: str, labels: str) -> onnx.ModelProto:
    """Turn logits ``(N, C, H, W)`` into uint8 labels ``(N, H, W)``: the channel of the greatest."""
    edited, old = _without_output(model, name)
    batch, _, *size = dims_of(old)
    greatest = helper.make_node("ArgMax", [name], [f"{labels}_argmax"], f"{labels}_argmax", axis=1, keepdims=0)
    cast = helper.make_node("Cast", [f"{labels}_argmax"], [labels], f"{labels}_uint8", to=TensorProto.UINT8)
    edited.graph.node.extend([greatest, cast])
    edited.graph.output.insert(0, helper.make_tensor_value_info(labels, TensorProto.UINT8, [batch, *size]))
    return edited


def _without_output(model: onnx.ModelProto, name: str) -> tuple[onnx.ModelProto, onnx.ValueInfoProto]:
    edited = deepcopy(model)
    old = deepcopy(next(value for value in edited.graph.output if value.name == name))
    edited.graph.output.remove(old)
    return edited, old

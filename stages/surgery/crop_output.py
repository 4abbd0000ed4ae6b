"""Give a uint8 NHWC BGR crop, or uint8 labels, where a model gave floats."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_Step = tuple[str, list[str], dict[str, Any]]  # operator, operands after the first, attributes


def give_crop(
    model: onnx.ModelProto, name: str, crop: str, *, scale: float, shift: float, mask: str | None = None
) -> onnx.ModelProto:
    """Turn an RGB NCHW output into uint8 NHWC BGR: ``round(clip(output * scale + shift, 0, 255))``.

    Args:
        model: Not modified.
        name: The float output that is replaced, ``(N, 3, H, W)``.
        crop: Name of the new output, ``(N, H, W, 3)``.
        scale: 255 for outputs in 0..1, 127.5 for -1..1.
        shift: 0 or 127.5 likewise.
        mask: A float output in 0..1, ``(N, 1, H, W)``, that becomes the crop's fourth channel, 0..255.
    """
    edited, old = _without_output(model, name)
    batch, channels, *size = [dim.dim_value or dim.dim_param or "N" for dim in old.type.tensor_type.shape.dim]
    numbers = {"scale": scale, "shift": shift, "low": 0.0, "high": 255.0}
    constants = {"bgr": np.array([2, 1, 0]), **{key: np.array(value, np.float32) for key, value in numbers.items()}}
    for suffix, array in constants.items():
        edited.graph.initializer.append(numpy_helper.from_array(array, f"{crop}_{suffix}"))

    def append(value: str, prefix: str, steps: list[_Step]) -> str:
        for operator, operands, attributes in steps:
            output = f"{prefix}_{operator.lower()}"
            inputs = [value, *(f"{crop}_{operand}" for operand in operands)]
            edited.graph.node.append(helper.make_node(operator, inputs, [output], output, **attributes))
            value = output
        return value

    levels: list[_Step] = [("Clip", ["low", "high"], {}), ("Round", [], {})]
    to_float: _Step = ("Cast", [], {"to": TensorProto.FLOAT})
    to_last: _Step = ("Transpose", [], {"perm": [0, 2, 3, 1]})
    bgr: _Step = ("Gather", ["bgr"], {"axis": 1})
    value = append(name, crop, [to_float, ("Mul", ["scale"], {}), ("Add", ["shift"], {}), *levels, bgr, to_last])
    if mask:
        edited.graph.output.remove(next(value for value in edited.graph.output if value.name == mask))
        visible = append(mask, f"{crop}_mask", [to_float, ("Mul", ["high"], {}), *levels, to_last])
        edited.graph.node.append(helper.make_node("Concat", [value, visible], [f"{crop}_both"], f"{crop}_both", axis=3))
        value, channels = f"{crop}_both", 4
    edited.graph.node.append(helper.make_node("Cast", [value], [crop], f"{crop}_uint8", to=TensorProto.UINT8))
    shape = [batch, *size, channels]
    edited.graph.output.insert(0, helper.make_tensor_value_info(crop, TensorProto.UINT8, shape))
    return edited


def give_labels(model: onnx.ModelProto, name: str, labels: str) -> onnx.ModelProto:
    """Turn logits ``(N, C, H, W)`` into uint8 labels ``(N, H, W)``: the channel of the greatest.

    Args:
        model: Not modified.
        name: The float output that is replaced.
        labels: Name of the new output.
    """
    edited, old = _without_output(model, name)
    batch, _, *size = [dim.dim_value or dim.dim_param or "N" for dim in old.type.tensor_type.shape.dim]
    greatest = helper.make_node("ArgMax", [name], [f"{labels}_argmax"], f"{labels}_argmax", axis=1, keepdims=0)
    cast = helper.make_node("Cast", [f"{labels}_argmax"], [labels], f"{labels}_uint8", to=TensorProto.UINT8)
    edited.graph.node.extend([greatest, cast])
    edited.graph.output.insert(0, helper.make_tensor_value_info(labels, TensorProto.UINT8, [batch, *size]))
    return edited


def _without_output(model: onnx.ModelProto, name: str) -> tuple[onnx.ModelProto, onnx.ValueInfoProto]:
    edited = onnx.ModelProto()
    edited.CopyFrom(model)
    old = onnx.ValueInfoProto()
    old.CopyFrom(next(value for value in edited.graph.output if value.name == name))
    edited.graph.output.remove(old)
    return edited, old

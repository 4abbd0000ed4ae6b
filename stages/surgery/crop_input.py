"""Give a model that reads normalised floats a uint8 NHWC BGR crop as its input."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from stages.surgery.nodes import dims_of, rename, replace_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """What a model expects of its pixels: ``(pixel - mean) / std``, by channel in the model's order.

    Attributes:
        mean: One number, or one a channel, on the scale 0..255.
        std: The same.
        is_rgb: The model reads RGB; else BGR.
        is_nchw: The model reads channels first; else last.
    """

    mean: Sequence[float]
    std: Sequence[float]
    is_rgb: bool = True
    is_nchw: bool = True


def with_crop_input(model: onnx.ModelProto, name: str, crop: str, how: Normalisation) -> onnx.ModelProto:
    """Put cast, layout, channel order and normalisation in front of a float input.

    It is replaced by one of the name `crop`, uint8 ``(N, H, W, 3)``.
    """
    edited = deepcopy(model)
    graph = edited.graph
    old = next(value for value in graph.input if value.name == name)
    kind = old.type.tensor_type.elem_type
    dims = dims_of(old)
    shape = [dims[0], dims[2], dims[3], dims[1]] if how.is_nchw else dims
    pixels, nodes = crop, list[onnx.NodeProto]()
    for operator, constants, attributes in _steps(how):
        graph.initializer.extend(numpy_helper.from_array(array, f"{crop}_{key}") for key, array in constants.items())
        inputs, pixels = [pixels, *(f"{crop}_{key}" for key in constants)], f"{crop}_{operator.lower()}"
        nodes.append(helper.make_node(operator, inputs, [pixels], pixels, **attributes))
    if name == crop:
        rename(graph.node, {name: (name := f"{crop}_floats")})
    nodes.append(helper.make_node("Cast", [pixels], [name], f"{crop}_cast_in", to=kind))
    index = list(graph.input).index(old)
    graph.input.remove(old)
    graph.input.insert(index, helper.make_tensor_value_info(crop, TensorProto.UINT8, shape))
    replace_all(graph.node, [*nodes, *graph.node])
    return edited


def _steps(how: Normalisation) -> Iterator[tuple[str, Mapping[str, npt.NDArray[np.generic]], Mapping[str, Any]]]:
    """Yield the operator, the constant and the attributes of each node from the crop to normalised floats."""
    axis, per_channel = (1, (-1, 1, 1)) if how.is_nchw else (3, (-1,))
    yield "Cast", {}, {"to": TensorProto.FLOAT}
    if how.is_nchw:
        yield "Transpose", {}, {"perm": [0, 3, 1, 2]}
    if how.is_rgb:
        yield "Gather", {"rgb": np.array([2, 1, 0])}, {"axis": axis}
    if any(how.mean):
        yield "Sub", {"mean": np.array(how.mean, np.float32).reshape(per_channel)}, {}
    yield "Div", {"std": np.array(how.std, np.float32).reshape(per_channel)}, {}

"""Set the input sizes that params.yaml states and a file leaves open."""

from collections.abc import Mapping, Sequence
from copy import deepcopy

import onnx


def fix_shapes(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> onnx.ModelProto:
    """Return the model with the sizes of each input that are stated and not -1."""
    edited = deepcopy(model)
    for value in edited.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes.get(value.name, ()), strict=False):
            if size != -1:
                dim.dim_value = size
    return edited

"""Set the input sizes that params.yaml states and a file leaves open, and what follows from them."""

from collections.abc import Mapping, Sequence
from copy import deepcopy

import onnx


def fix_shapes(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> onnx.ModelProto:
    """Return the model with the sizes of each input that are stated and not -1."""
    edited = deepcopy(model)
    for value in edited.graph.input:
        shape, sizes = value.type.tensor_type.shape, shapes.get(value.name, ())
        if not value.type.tensor_type.HasField("shape"):
            shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in sizes)
        for dim, size in zip(shape.dim, sizes, strict=False):
            if size != -1:
                dim.dim_value = size
    return edited

"""Give inputs the sizes that params.yaml states, where a file leaves them open."""

from collections.abc import Mapping, Sequence

import onnx


def fix_shapes(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> onnx.ModelProto:
    """Return the model with static sizes where `shapes` has them; -1 stays as it is.

    Args:
        model: Not modified.
        shapes: By input, of the input's rank.
    """
    edited = onnx.ModelProto()
    edited.CopyFrom(model)
    for value in edited.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes.get(value.name, ()), strict=False):
            if size != -1:
                dim.dim_value = size
    return edited

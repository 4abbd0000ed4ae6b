"""Find inswapper's emap: the matrix from embedding to latent, which no node of its graph uses."""

import numpy as np
import numpy.typing as npt
import onnx

from morphstream.artifact.errors import ModelError
from stages.surgery.weights import array_of

_NAME = "buff2fs"
_SHAPE = (512, 512)


def find_emap(model: onnx.ModelProto) -> npt.NDArray[np.float32] | None:
    """Return emap as ``(512, 512)`` float32, or None for a model without one.

    It is the initializer named ``buff2fs``, else the only unused one of its shape. Its position is no criterion:
    optimisers reorder initializers.
    """
    used = {name for node in model.graph.node for name in node.input}
    unused = [tensor for tensor in model.graph.initializer if tensor.name not in used]
    named = [tensor for tensor in model.graph.initializer if tensor.name == _NAME]
    found = named or [tensor for tensor in unused if tuple(tensor.dims) == _SHAPE]
    if not found:
        return None
    shapes = [tuple(tensor.dims) for tensor in found]
    if shapes != [_SHAPE]:
        raise ModelError(
            f"emap: expected one initializer {_NAME} of shape {_SHAPE}, seen {shapes}; fetch the model again"
        )
    return array_of(found[0]).astype(np.float32)

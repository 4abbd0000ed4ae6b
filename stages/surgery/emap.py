"""Find inswapper's emap: the matrix from embedding to latent, which its file holds but no output needs."""

import io
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from morphstream.artifact.errors import ModelError
from stages.params import Model
from stages.surgery.contract import promised_outputs
from stages.surgery.tensors import captured_names
from stages.surgery.weights import array_of

Emap = npt.NDArray[np.float32]

_NAME = "buff2fs"
_SHAPE = (512, 512)
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
_LOST = (
    "onnxsim, onnxslim and every model that ONNX Runtime saved have dropped it; take the file from before such a tool, "
    f"or copy its {_NAME} back"
)


def emap_of(original: onnx.ModelProto, model: Model) -> Emap | None:
    """Return the emap of a swapper that needs one, as params.yaml says, and None of every other model.

    Raises:
        ModelError: The file has none, several that could be it, or one that maps nothing; or it has one that the model
            doesn't need.
    """
    if model.needs_emap:
        emap = find_emap(original, next(iter(promised_outputs(model))))
        if emap is None:
            unless = f"or say `emap: false` of {model.name} in params.yaml if its source is the embedding itself"
            expected = f"expected {_NAME} of shape {_SHAPE}, which no output needs, seen none"
            raise ModelError(f"{model.file}: emap: {expected}: {_LOST}, {unless}")
        return emap
    if model.role == "swapper" and any(tensor.name == _NAME for tensor in _constants(original.graph)):
        expected = f"expected no {_NAME}, as params.yaml says `emap: false`, seen one"
        raise ModelError(f"{model.file}: emap: {expected}; say `emap: true` of {model.name} there")
    return None


def file_of(emap: Emap | None) -> dict[str, bytes]:
    """Return the file that an emap is written to, by name; none for a model without one."""
    if emap is None:
        return {}
    buffer = io.BytesIO()
    np.save(buffer, emap)
    return {"emap.npy": buffer.getvalue()}


def find_emap(model: onnx.ModelProto, output: str = "output") -> Emap | None:
    """Return emap as ``(512, 512)`` float32, or None for a model without one.

    It is the constant named ``buff2fs`` that the swapped crop doesn't need, else the only one of its shape that no node
    reads. Its position is no criterion: tools reorder constants, rename them, or store them in a Constant node.

    Args:
        model: The original.
        output: Its output for swapped crops; another is the only one.
    """
    needed, read = _needed(model.graph, output), _read(model.graph.node)
    constants = list(_constants(model.graph))
    named = [tensor for tensor in constants if tensor.name == _NAME and _NAME not in needed]
    unread = [tensor for tensor in constants if tensor.name not in read]
    found = named or [one for one in unread if tuple(one.dims) == _SHAPE and one.data_type in _FLOATS]
    if not found:
        return None
    shapes = [tuple(tensor.dims) for tensor in found]
    if shapes != [_SHAPE] or found[0].data_type not in _FLOATS:
        seen = ", ".join(f"{one.name} of {TensorProto.DataType.Name(one.data_type)} {[*one.dims]}" for one in found)
        raise ModelError(f"emap: expected one {_NAME} of numbers {[*_SHAPE]}, seen {seen}; fetch the model again")
    emap: Emap = array_of(found[0]).astype(np.float32)
    if not np.isfinite(emap).all() or not emap.any(0).all() or not emap.any(1).all():
        seen = "NaN or infinity" if not np.isfinite(emap).all() else "rows or columns of zeros"
        raise ModelError(f"emap: expected {found[0].name} to map every number, seen {seen}; fetch the model again")
    return emap


def _constants(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """Yield initializers, and tensors of Constant nodes by the name of the node's output."""
    yield from graph.initializer
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            tensor = node.attribute[0].t
            if tuple(tensor.dims) == _SHAPE or node.output[0] == _NAME:
                named = TensorProto()
                named.CopyFrom(tensor)
                named.name = node.output[0]
                yield named


def _needed(graph: onnx.GraphProto, output: str) -> set[str]:
    """Return every value that an output is made of; nodes are in order."""
    outputs = [value.name for value in graph.output]
    needed = {output} if output in outputs else set(outputs[:1])
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed |= _read([node])
    return needed


def _read(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    """Return every value that nodes and the graphs inside them read."""
    return {name for node in nodes for name in (*node.input, *captured_names(node))}

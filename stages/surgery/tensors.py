"""The graphs inside a graph, and its constants with the bytes that each declares."""

import math
from collections.abc import Iterator

import onnx
from onnx import TensorProto, external_data_helper, helper

from morphstream.artifact.errors import ModelError
from stages.surgery.label import one_line

RANK = 16  # twice the rank that builders accept
MODEL_BYTES = (1 << 31) - 1  # of a model, as of every message of Protocol Buffers
_NARROW = {"UINT4", "INT4", "FLOAT4E2M1", "UINT2", "INT2"}  # several numbers in a byte: no prepared model has them
KINDS = {number: name for name, number in TensorProto.DataType.items() if name not in _NARROW | {"UNDEFINED", "STRING"}}


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph, then the graphs inside it."""
    yield graph
    for node in graph.node:
        for inner in graphs_in(node):
            yield from graphs_of(inner)


def graphs_in(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Return the graphs that are attributes of a node."""
    return [
        graph
        for attribute in node.attribute
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else []))
    ]


def captured_names(node: onnx.NodeProto) -> set[str]:
    """Return every name that the graphs inside a node read."""
    inside = [inner for graph in graphs_in(node) for inner in graphs_of(graph)]
    names = {name for graph in inside for other in graph.node for name in other.input}
    return names | {value.name for graph in inside for value in graph.output}


def tensors_of(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """Yield the initializers of a graph and the constants of its nodes, with those of graphs inside."""
    for inner in graphs_of(graph):
        yield from inner.initializer
        sparse = list(inner.sparse_initializer)
        for node in inner.node:
            for attribute in node.attribute:
                yield from attribute.tensors
                sparse += attribute.sparse_tensors
                sparse += [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
                if attribute.HasField("t"):
                    yield attribute.t
        for tensor in sparse:
            yield from (tensor.values, tensor.indices)


def bytes_of(tensor: TensorProto) -> int:
    """Return the size in bytes that a tensor's type and dims declare."""
    if tensor.data_type not in KINDS:
        raise refused_tensor(tensor, "numbers of whole bytes", f"type {tensor.data_type}")
    if len(tensor.dims) > RANK or any(dim < 0 for dim in tensor.dims):
        raise refused_tensor(tensor, f"at most {RANK} dims of 0 or more", str(list(tensor.dims)[:RANK]))
    width: int = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    size: int = math.prod(tensor.dims) * width
    return size


def check_tensor(tensor: TensorProto) -> None:
    """Check that a tensor holds as many numbers as its dims declare; of external data, that was checked."""
    size = bytes_of(tensor)
    if tensor.HasField("segment"):  # which ONNX's own library doesn't read
        raise refused_tensor(tensor, "a whole one", "a segment of one")
    if external_data_helper.uses_external_data(tensor):
        return
    seen = len(tensor.raw_data)
    if not tensor.HasField("raw_data"):
        numbers = len(getattr(tensor, helper.tensor_dtype_to_field(tensor.data_type)))
        is_complex = tensor.data_type in (TensorProto.COMPLEX64, TensorProto.COMPLEX128)
        width = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        seen = numbers * width // (2 if is_complex else 1)
    if seen != size:
        raise refused_tensor(tensor, f"{size} bytes for its dims {list(tensor.dims)[:8]}", f"{seen}")


def refused_tensor(tensor: TensorProto, expected: str, seen: str) -> ModelError:
    """Return the refusal of a tensor."""
    return ModelError(f"tensor {one_line(tensor.name)}: expected {expected}, seen {seen}; fetch the whole model again")

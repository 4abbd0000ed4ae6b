"""Weights stay in the file that they were read from: a tensor says where, and edits copy that alone.

A weight is an initializer too large to be a shape, an axis or a scalar, which edits and inference read. A stored one
has ONNX's external data, with the absolute path of its file and the type of the numbers there. The tensor's own type
may be another: then its numbers are converted as they are read, a chunk at a time. A written model has its numbers.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from morphstream.artifact.errors import ModelError
from stages.surgery.label import one_line
from stages.surgery.wire import tag_of

_SMALL = 512  # numbers; a larger initializer is a weight
_CHUNK = 1 << 20  # numbers that are read at once
_NUMBERS = ("float_data", "double_data", "int32_data", "int64_data", "uint64_data", "string_data")

Array = npt.NDArray[np.generic]


def is_weight(tensor: TensorProto) -> bool:
    """Return whether an initializer holds more numbers than any shape."""
    return bool(math.prod(tensor.dims) > _SMALL)


def is_stored(tensor: TensorProto) -> bool:
    """Return whether an initializer's numbers are in a file."""
    return bool(external_data_helper.uses_external_data(tensor))


def store(tensor: TensorProto, path: Path, offset: int) -> None:
    """Have a tensor's numbers read from a file, where they have its type; modifies the tensor."""
    _empty(tensor)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": path.absolute(), "offset": offset, "type": tensor.data_type}.items():
        tensor.external_data.add(key=key, value=str(value))


def load(tensor: TensorProto) -> None:
    """Read a tensor's numbers from their file into the tensor, which is modified."""
    numbers = array_of(tensor).tobytes()
    _empty(tensor)
    tensor.raw_data = numbers


def retype(tensor: TensorProto, kind: int) -> None:
    """Give a tensor's numbers another type; modifies the tensor."""
    if is_stored(tensor):
        tensor.data_type = kind
        return
    values = numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(kind))
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def array_of(tensor: TensorProto) -> Array:
    """Return a tensor's numbers."""
    if not is_stored(tensor):
        return numpy_helper.to_array(tensor)
    return np.concatenate([*chunks_of(tensor)]).reshape(tuple(tensor.dims))


def chunks_of(tensor: TensorProto) -> Iterator[Array]:
    """Yield a tensor's numbers in order, some at a time."""
    if not is_stored(tensor):
        yield numpy_helper.to_array(tensor).ravel()
        return
    found = {entry.key: entry.value for entry in tensor.external_data}
    stored, declared = (helper.tensor_dtype_to_np_dtype(kind) for kind in (int(found["type"]), tensor.data_type))
    rest = math.prod(tensor.dims)
    with Path(found["location"]).open("rb") as file:
        file.seek(int(found["offset"]))
        while rest:
            chunk = np.fromfile(file, stored, min(rest, _CHUNK))
            if not chunk.size:
                raise ModelError(f"{found['location']}: expected a file that stays as it is, seen its end; try again")
            rest -= chunk.size
            yield _half(chunk) if declared == np.float16 != stored else chunk.astype(declared, copy=False)


def as_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose weights are inputs: checks and shape inference need no more, and copy no data."""
    light, graph = _apart(model)
    light.graph.CopyFrom(graph)
    for tensor in model.graph.initializer:
        if is_weight(tensor):
            light.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        else:
            light.graph.initializer.append(tensor)
    return light


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Write a model with its weights, the same bytes every time, refusing numbers that are none.

    Source: Protocol Buffers, "Encoding": fields may come in any order.
    """
    head, graph = _apart(model)
    rest = graph.SerializeToString(deterministic=True)
    frames = [_frame(tensor) for tensor in model.graph.initializer]
    with path.open("wb") as file:
        file.write(head.SerializeToString(deterministic=True))
        file.write(tag_of(onnx.ModelProto.GRAPH_FIELD_NUMBER, len(rest) + sum(size for _, size in frames)))
        file.write(rest)
        for tensor, (frame, _) in zip(model.graph.initializer, frames, strict=True):
            file.write(frame)
            for chunk in chunks_of(tensor):
                _check_finite(tensor, chunk)
                if is_stored(tensor):
                    file.write(np.ascontiguousarray(chunk).view(np.uint8).data)


def _frame(tensor: TensorProto) -> tuple[bytes, int]:
    """Return an initializer's field up to numbers that are in a file, and the field's whole size."""
    written, rest = TensorProto(), 0
    written.CopyFrom(tensor)
    if is_stored(tensor):
        _empty(written)
        rest = math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    message = written.SerializeToString(deterministic=True)
    if is_stored(tensor):
        message += tag_of(TensorProto.RAW_DATA_FIELD_NUMBER, rest)
    tag = tag_of(onnx.GraphProto.INITIALIZER_FIELD_NUMBER, len(message) + rest)
    return tag + message, len(tag) + len(message) + rest


def _empty(tensor: TensorProto) -> None:
    """Remove a tensor's numbers, wherever they are; modifies the tensor."""
    for field in ("raw_data", "external_data", "data_location", *_NUMBERS):
        tensor.ClearField(field)


def _half(chunk: Array) -> Array:
    """Convert to half precision as ONNX Runtime's converter does: no number becomes infinite, and none becomes 0."""
    half = np.clip(chunk.astype(np.float32, copy=False), -65504, 65504).astype(np.float16)
    lost = (half == 0) & (chunk != 0)
    half[lost] = np.copysign(np.float16(2**-24), chunk[lost])
    return half


def _check_finite(tensor: TensorProto, chunk: Array) -> None:
    """Refuse NaN, and infinity but for a single number, such as what a mask is filled with."""
    if chunk.dtype.kind != "f" or np.isfinite(chunk).all():
        return
    odd = chunk[~np.isfinite(chunk)][0]
    if np.isnan(odd) or math.prod(tensor.dims) > 1:
        name, advice = one_line(tensor.name), "export a checkpoint without such ones"
        raise ModelError(f"tensor {name}: expected finite numbers, seen {odd}; {advice}")


def _apart(model: onnx.ModelProto) -> tuple[onnx.ModelProto, onnx.GraphProto]:
    """Return copies of a model without its graph, and of the graph without its initializers."""
    head, graph = onnx.ModelProto(), onnx.GraphProto()
    for field, value in model.ListFields():
        if field.name != "graph":
            head.MergeFrom(onnx.ModelProto(**{field.name: value}))
    for field, value in model.graph.ListFields():
        if field.name != "initializer":
            graph.MergeFrom(onnx.GraphProto(**{field.name: value}))
    return head, graph

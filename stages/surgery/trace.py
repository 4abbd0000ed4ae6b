"""Infer the shapes of a graph's values node by node for one batch size, with the values computed from shapes."""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, TypeProto, helper, numpy_helper, shape_inference

from morphstream.artifact.errors import ModelError
from stages.surgery.label import error_line, label_of, one_line
from stages.surgery.nodes import attributes_of
from stages.surgery.versions import opset_of
from stages.surgery.weights import is_weight

Shape = tuple[int, ...]
_ARITHMETIC = {  # operators that exporters compute shapes with
    *("Add", "Ceil", "Div", "Equal", "Floor", "Less", "Max", "Min", "Mod", "Mul", "Neg", "Not", "ReduceProd", "Sub"),
    *("Cast", "Constant", "ConstantOfShape", "Expand", "Identity", "Range", "Reshape", "Tile", "Transpose", "Where"),
    *("Concat", "Gather", "Slice", "Split", "Squeeze", "Unsqueeze"),
}
BATCHED = "export the model with a dynamic batch"
_DECIDED = "export the model with inputs of fixed size and without what depends on their values: loops, choices, NMS"
_AGAIN = "export the model again, with a later opset and inputs of the sizes that params name"

SAME = {"GroupNormalization", "MeanVarianceNormalization"}  # the output has the first input's type and shape


@dataclass(slots=True)
class Trace:
    """What is known of a graph's values at one batch size.

    Attributes:
        opset: Of the model.
        types: The type of each value, with a shape that has no open axis.
        values: The numbers of each small constant, and of every value computed from constants and shapes alone.
    """

    opset: int
    types: dict[str, TypeProto] = field(default_factory=dict)
    values: dict[str, npt.NDArray[np.generic]] = field(default_factory=dict)

    def shape(self, name: str) -> Shape:
        """Return a value's shape."""
        return tuple(dim.dim_value for dim in self.types[name].tensor_type.shape.dim)


def start(model: onnx.ModelProto, batch: int) -> Trace:
    """Return what is known before the first node, with a batch size for axis 0 of every input."""
    trace = Trace(opset_of(model))
    for tensor in model.graph.initializer:
        put_tensor(trace, tensor)
    for value in model.graph.input:
        if value.name not in trace.types:
            dims = value.type.tensor_type.shape.dim
            if not dims or dims[0].dim_value > 1 or not all(dim.dim_value > 0 for dim in dims[1:]):
                seen = [dim.dim_value or dim.dim_param for dim in dims]
                raise refused(f"input {one_line(value.name)}", "a batch of 1 or N, then sizes", str(seen))
            trace.types[value.name] = deepcopy(value.type)
            trace.types[value.name].tensor_type.shape.dim[0].dim_value = batch
    return trace


def follow_all(model: onnx.ModelProto) -> Trace:
    """Return what is known of all values of a model, for one row."""
    trace = start(model, 1)
    for index, node in enumerate(model.graph.node):
        follow(trace, node, label_of(node, index))
    return trace


def put_tensor(trace: Trace, tensor: TensorProto) -> None:
    """Add an initializer to what is known."""
    trace.types[tensor.name] = helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
    if not is_weight(tensor):
        trace.values[tensor.name] = numpy_helper.to_array(tensor)


def follow(trace: Trace, node: onnx.NodeProto, label: str) -> None:
    """Add a node's outputs to what is known."""
    inputs = [name for name in node.input if name]
    if any(attribute.HasField("g") for attribute in node.attribute):
        raise refused(label, "nodes that are always run, once", node.op_type, _DECIDED)
    if node.op_type in ("Shape", "Size"):
        _put(trace, node.output[0], _shape_value(node, trace.shape(node.input[0])))
        return
    known = {name: trace.values[name] for name in inputs if name in trace.values}
    try:
        found = shape_inference.infer_node_outputs(
            onnx.defs.get_schema(node.op_type, trace.opset, ""),
            node,
            {name: trace.types[name] for name in inputs},
            {name: numpy_helper.from_array(np.asarray(value), name) for name, value in known.items()},
            opset_imports=[helper.make_opsetid("", trace.opset)],
        )
    except (shape_inference.InferenceError, onnx.checker.ValidationError, ValueError) as error:
        seen = f"{_shapes(trace, inputs)}: {error_line(error)}"
        raise refused(label, "shapes and types that fit", seen, _AGAIN) from None
    if node.op_type in SAME:  # ONNX defines these as functions, and infers nothing
        found = {**found, node.output[0]: trace.types[node.input[0]]}
    for name in filter(None, node.output):
        kind = found.get(name, TypeProto()).tensor_type
        if not kind.HasField("shape") or not all(dim.HasField("dim_value") for dim in kind.shape.dim):
            seen = f"{node.op_type} of {_shapes(trace, inputs)}"
            raise refused(label, "shapes that follow from the inputs'", seen, _DECIDED)
        trace.types[name] = found[name]
    is_small = all(np.prod(trace.shape(name), dtype=float) <= 512 for name in filter(None, node.output))
    if node.op_type in _ARITHMETIC and len(known) == len(set(inputs)) and is_small:
        for name, value in zip(node.output, _calculated(trace, node, known, label), strict=False):
            _put(trace, name, value)


def _calculated(
    trace: Trace, node: onnx.NodeProto, known: dict[str, npt.NDArray[np.generic]], label: str
) -> list[npt.NDArray[np.generic]]:
    from onnx.reference import ReferenceEvaluator  # here, as it takes long to load and few models need it

    try:
        inputs, outputs = ([onnx.ValueInfoProto(name=name) for name in names] for names in (known, node.output))
        alone = helper.make_graph([node], "alone", inputs, outputs)
        return list(ReferenceEvaluator(alone, {"": trace.opset}).run(None, known))
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:  # NumPy raises these
        raise refused(label, "a shape that can be calculated", error_line(error), _AGAIN) from None


def _put(trace: Trace, name: str, value: npt.NDArray[np.generic]) -> None:
    array = np.asarray(value)
    trace.values[name] = array
    trace.types[name] = helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def _shape_value(node: onnx.NodeProto, shape: Shape) -> npt.NDArray[np.generic]:
    if node.op_type == "Size":
        return np.array(np.prod(shape, dtype=np.int64))
    cut = attributes_of(node)
    return np.array(shape[cut.get("start", 0) : cut.get("end")], np.int64)


def _shapes(trace: Trace, names: Iterable[str]) -> str:
    return ", ".join(str(list(trace.shape(name))) for name in names)


def refused(label: str, expected: str, seen: str, advice: str = BATCHED) -> ModelError:
    """Return the refusal of a node, an input or an output, with what to do."""
    return ModelError(f"{label}: expected {expected}, seen {one_line(seen)}; {advice}")

"""Check that surgery and builders can process a model: its nodes, their order, their operators, its sizes."""

import math
from collections import Counter
from collections.abc import Collection

import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from morphstream.artifact.errors import ModelError
from stages.surgery.label import error_line, label_of, one_line
from stages.surgery.tensors import KINDS, RANK, check_tensor, graphs_in, graphs_of, tensors_of
from stages.surgery.versions import opset_of
from stages.surgery.weights import as_inputs

_NODES = 100_000  # ten times more than any real model
_RANGE = 1 << 20  # numbers of a Range with constant inputs
_DEPTH = 4  # of graphs within graphs
VALUE_BYTES = 1 << 31  # at batch 1
_STANDARD = ("", "ai.onnx")


def check_sound(model: onnx.ModelProto) -> None:
    """Check a model without functions, whose external weights have been found."""
    _check_graph(model.graph, opset_of(model), set(), 0)
    graphs = enumerate(graphs_of(model.graph))
    for (_, name), count in Counter((i, tensor.name) for i, graph in graphs for tensor in graph.initializer).items():
        if count > 1:
            raise ModelError(f"tensor {one_line(name)}: expected one of that name, seen {count}; fetch the model again")
    made = {name for node in model.graph.node for name in node.output}
    for value in model.graph.output:
        if value.name not in made:
            name = one_line(value.name)
            raise ModelError(f"output {name}: expected a node that makes it, seen none; export the model without it")
    for tensor in tensors_of(model.graph):
        check_tensor(tensor)
    _check_ranges(model.graph)
    light = as_inputs(model)
    ends = [end.type for end in (*light.graph.input, *light.graph.output)]
    tensors = [kind.tensor_type for kind in ends if kind.WhichOneof("value") in (None, "tensor_type")]
    open_ends = [kind for kind in tensors if not kind.HasField("shape")]
    for kind in open_ends:  # which runtimes infer, but onnx refuses
        kind.shape.SetInParent()
        kind.elem_type = kind.elem_type or TensorProto.FLOAT
    try:
        onnx.checker.check_model(light)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"expected a valid ONNX model, seen {error_line(error)}; fetch it again") from None
    for kind in open_ends:
        kind.ClearField("shape")
    _check_sizes(light)


def _check_graph(graph: onnx.GraphProto, opset: int, outer: Collection[str], depth: int) -> None:
    if len(graph.node) > _NODES:
        raise ModelError(f"expected at most {_NODES} nodes, seen {len(graph.node)}; fetch the model again")
    known = {*outer, "", *(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer)}
    for index, node in enumerate(graph.node):
        label = label_of(node, index)
        _check_node(node, label, opset)
        for name in node.input:
            if name not in known:
                is_later = any(name in other.output for other in graph.node)
                seen = "a later node makes" if is_later else "nothing makes"
                raise ModelError(
                    f"{label}: expected inputs that earlier nodes make, seen {one_line(name)}, which {seen}; "
                    "fetch the model again"
                )
        for inner in graphs_in(node):
            if depth == _DEPTH:
                raise ModelError(f"{label}: expected at most {_DEPTH} graphs within each other, seen more")
            _check_graph(inner, opset, known, depth + 1)
        for name in filter(None, node.output):
            if name in known:
                raise ModelError(f"{label}: expected a new output, seen {one_line(name)} again; fetch the model again")
            known.add(name)


def _check_node(node: onnx.NodeProto, label: str, opset: int) -> None:
    if node.domain not in _STANDARD or not onnx.defs.has(node.op_type, opset, ""):
        where = f"in opset {opset}" if node.domain in _STANDARD else f"of domain {one_line(node.domain)}"
        is_fused = node.domain.startswith("com.microsoft")
        basic = "save the model with ONNX Runtime's basic optimisation, which keeps standard operators"
        raise ModelError(
            f"{label}: expected an operator of ONNX itself, seen {one_line(node.op_type)} {where}; "
            f"{basic if is_fused else 'export the model with standard operators'}"
        )
    for attribute in node.attribute:
        if attribute.ref_attr_name:  # functions are inlined before
            name = one_line(attribute.ref_attr_name)
            raise ModelError(f"{label}: expected attributes with values, seen {name} of a function; fetch it again")
    if node.op_type == "Constant" and not len(node.attribute) == len(node.output) == 1:
        seen = f"{len(node.attribute)} attributes and {len(node.output)} outputs"
        raise ModelError(f"{label}: expected a constant with one value, seen {seen}; fetch the model again")


def _check_ranges(graph: onnx.GraphProto) -> None:
    """Refuse a large Range of constants, which shape inference would compute number by number."""
    constants = {tensor.name: tensor for tensor in graph.initializer if math.prod(tensor.dims) == 1}
    for index, node in enumerate(graph.node):
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    constants[node.output[0]] = attribute.t
                elif attribute.name == "value_int":
                    constants[node.output[0]] = helper.make_tensor("", TensorProto.INT64, [], [attribute.i])
        if node.op_type == "Range" and all(name in constants for name in node.input):
            start, limit, delta = (float(numpy_helper.to_array(constants[name]).item()) for name in node.input)
            if not delta or not (limit - start) / delta <= _RANGE:
                raise ModelError(
                    f"{label_of(node, index)}: expected at most {_RANGE} numbers, seen a range to {limit:g}; "
                    "fetch the model again"
                )


def _check_sizes(light: onnx.ModelProto) -> None:
    """Refuse a value larger than any real one, before a runtime allocates its memory; modifies the model."""
    del light.graph.value_info[:]
    for value in light.graph.output:  # inference would keep a declared shape
        value.type.tensor_type.ClearField("shape")
    try:
        inferred = shape_inference.infer_shapes(light, data_prop=True)
    except (shape_inference.InferenceError, RuntimeError) as error:
        raise ModelError(f"expected shapes that fit together, seen {error_line(error)}; fetch it again") from None
    makers = {name: label_of(node, i) for i, node in enumerate(inferred.graph.node) for name in node.output}
    for value in (*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input):
        check_size(value.type, makers.get(value.name, f"input {one_line(value.name)}"))


def check_size(kind: onnx.TypeProto, label: str) -> None:
    """Check that a value, at batch 1, isn't larger than any real one."""
    tensor = kind.tensor_type
    dims = [dim.dim_value if dim.dim_value > 0 else 1 for dim in tensor.shape.dim]
    width = 1 if tensor.elem_type not in KINDS else helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize
    if len(dims) > RANK or math.prod(dims) > VALUE_BYTES // width:
        raise ModelError(
            f"{label}: expected at most {VALUE_BYTES} bytes, seen a shape of {dims[:RANK]}; fetch the model again"
        )

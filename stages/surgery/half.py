"""Convert a model to half precision, but keep inputs, outputs and normalisation in single precision."""

from copy import deepcopy

import onnx
from onnx import TensorProto, shape_inference
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from stages.surgery.initializers import lift_constants
from stages.surgery.nodes import rename, replace_all
from stages.surgery.norms import OPERATORS, normalisations
from stages.surgery.outputs import without_unused
from stages.surgery.positions import positions
from stages.surgery.quantised import quantised
from stages.surgery.versions import opset_of
from stages.surgery.weights import is_stored

_LEFT_OUT = 13  # the first opset in which a Resize may lack its second and third input


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with float16 weights and arithmetic, float32 inputs and outputs.

    In float32 are norms, the numbers of places, such as indices of the greatest, and what is quantised.
    """
    edited = deepcopy(lift_constants(model))
    for i, node in enumerate(edited.graph.node):
        node.name = f"{node.op_type}_{i}"  # the conversion needs unique names, which a file may lack
    _rename(edited.graph)
    _without_empty(edited)
    operators = [*DEFAULT_OP_BLOCK_LIST, *OPERATORS]
    places = normalisations(edited.graph) | positions(edited.graph) | quantised(edited.graph)
    single = {edited.graph.node[i].name for i in places}
    single |= {node.name for node in edited.graph.node if node.op_type in operators}
    _part(edited.graph, single)
    half = _converted(edited, operators, single)
    once = {tuple(node.output): node for node in half.graph.node}  # it casts a value twice that two norms read
    replace_all(half.graph.node, once.values())
    _join(half.graph, single)
    OnnxModel.graph_topological_sort(half.graph, is_deterministic=True)  # the conversion appends casts at the end
    return without_unused(half)


def _converted(model: onnx.ModelProto, operators: list[str], single: set[str]) -> onnx.ModelProto:
    """Convert all but some nodes.

    The conversion needs the numbers of what it converts, so stored weights are kept from it.
    """
    sized = shape_inference.infer_shapes(model)
    order = {tensor.name: tensor for tensor in model.graph.initializer}
    replace_all(sized.graph.initializer, [tensor for tensor in sized.graph.initializer if not is_stored(tensor)])
    half: onnx.ModelProto = convert_float_to_float16(
        sized, keep_io_types=True, disable_shape_infer=True, op_block_list=operators, node_block_list=sorted(single)
    )
    order |= {tensor.name: tensor for tensor in half.graph.initializer}
    halved = {name for node in half.graph.node if node.name not in single for name in node.input}
    for tensor in order.values():
        if is_stored(tensor) and tensor.data_type == TensorProto.FLOAT and tensor.name in halved:
            tensor.data_type = TensorProto.FLOAT16
    replace_all(half.graph.initializer, list(order.values()))
    return half


def _without_empty(model: onnx.ModelProto) -> None:
    """Leave out the empty constants that a Resize has in place of an input; modifies the model.

    The conversion puts casts behind them, and what follows a cast is no longer known to be empty.
    """
    if opset_of(model) < _LEFT_OUT:
        return
    empty = {tensor.name for tensor in model.graph.initializer if 0 in tensor.dims}
    for node in model.graph.node:
        if node.op_type == "Resize":
            node.input[:] = ["" if name in empty else name for name in node.input]


def _rename(graph: onnx.GraphProto) -> None:
    """Rename the values that an earlier conversion named as this one will; modifies the graph."""
    ends = {value.name for value in (*graph.input, *graph.output)}
    renamed = {
        name: f"{name}_before" for node in graph.node for name in node.output if "_cast" in name and name not in ends
    }
    for value in graph.value_info:
        value.name = renamed.get(value.name, value.name)
    rename(graph.node, renamed)


def _join(graph: onnx.GraphProto, single: set[str]) -> None:
    """Connect nodes in single precision directly, without casts to half precision and back; modifies the graph."""
    makers = {name: node for node in graph.node for name in node.output}

    def is_cast(node: onnx.NodeProto | None, kind: int) -> bool:
        return node is not None and node.op_type == "Cast" and node.attribute[0].i == kind

    sources: dict[str, str] = {}
    for node in graph.node:
        before = makers.get(node.input[0]) if is_cast(node, TensorProto.FLOAT) else None
        if before is not None and is_cast(before, TensorProto.FLOAT16):
            maker = makers.get(before.input[0])
            if maker is not None and maker.name in single:
                sources[node.output[0]] = before.input[0]
    for node in graph.node:
        node.input[:] = [sources.get(name, name) for name in node.input]


def _part(graph: onnx.GraphProto, single: set[str]) -> None:
    """Copy constants that nodes in single precision share with others, so that these copies keep their digits."""
    constants = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    others = {name for node in graph.node if node.name not in single for name in node.input}
    parted: set[str] = set()
    for node in graph.node:
        if node.name in single:
            shared = constants.keys() & others & set(node.input)
            node.input[:] = [f"{name}_single" if name in shared else name for name in node.input]
            parted |= shared
    for name in sorted(parted):
        copy = graph.initializer.add()
        copy.CopyFrom(constants[name])
        copy.name = f"{name}_single"

"""Make nodes that a model was exported with for training calculate as they do after it."""

from copy import deepcopy

import onnx
from onnx import numpy_helper

from morphstream.artifact.errors import ModelError
from stages.surgery.label import label_of
from stages.surgery.nodes import attributes_of
from stages.surgery.tensors import graphs_of
from stages.surgery.versions import opset_of

_BY_OUTPUTS, _BY_MODE = 7, 14  # opsets from which training is a matter of more outputs, and of an attribute


def to_inference(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with its Dropout and BatchNormalization nodes out of training mode."""
    opset, constants = opset_of(model), _constants(model.graph)
    places = [place for graph in graphs_of(model.graph) for place in enumerate(graph.node)]
    if not any(_trains(index, node, opset, constants) for index, node in places):
        return model
    edited = deepcopy(model)
    read = {name for graph in graphs_of(edited.graph) for node in graph.node for name in node.input}
    read |= {value.name for graph in graphs_of(edited.graph) for value in graph.output}
    for graph in graphs_of(edited.graph):
        for index, node in enumerate(graph.node):
            if _trains(index, node, opset, constants):
                if read.intersection(node.output[1:]):
                    raise _refused(node, index, "whose further outputs are read")
                _still(node, opset)
    return edited


def _trains(index: int, node: onnx.NodeProto, opset: int, constants: dict[str, onnx.TensorProto]) -> bool:
    attributes = attributes_of(node) if node.op_type in ("Dropout", "BatchNormalization") else {}
    match node.op_type:
        case "Dropout" | "BatchNormalization" if opset < _BY_OUTPUTS:
            return not attributes.get("is_test")
        case "BatchNormalization":
            return bool(attributes.get("training_mode")) if opset >= _BY_MODE else len(node.output) > 1
        case "Dropout" if len(node.input) > 2 and node.input[2]:
            if node.input[2] not in constants:
                raise _refused(node, index, "by a value that is no constant")
            return bool(numpy_helper.to_array(constants[node.input[2]]).any())
    return False


def _still(node: onnx.NodeProto, opset: int) -> None:
    """Take a node out of training mode; modifies the node."""
    del node.output[1:]
    if node.op_type == "Dropout":
        del node.input[1:]
    kept = [attribute for attribute in node.attribute if attribute.name not in ("training_mode", "is_test")]
    del node.attribute[:]
    node.attribute.extend(kept)
    if opset < _BY_OUTPUTS:
        node.attribute.append(onnx.helper.make_attribute("is_test", 1))


def _constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    found = {tensor.name: tensor for inner in graphs_of(graph) for tensor in inner.initializer}
    for node in (node for inner in graphs_of(graph) for node in inner.node if node.op_type == "Constant"):
        for attribute in node.attribute:
            found[node.output[0]] = attribute.t
    return found


def _refused(node: onnx.NodeProto, index: int, how: str) -> ModelError:
    expected = f"{label_of(node, index)}: expected a node for inference"
    return ModelError(f"{expected}, seen {node.op_type} in training mode {how}; export the model after model.eval()")

"""The opset and IR version of a model: ones that ONNX knows, then ones that every runtime here reads.

ONNX Runtime 1.31 reads opset 26 and IR 13, and 1.24, which classic TensorRT has, opset 25; OpenVINO 2026.4 and TensorRT
for RTX 1.7 read what these do. Edits write operators as they are from opset 11 on.
"""

from copy import deepcopy

import onnx
from onnx import version_converter

from morphstream.artifact.errors import ModelError
from stages.surgery.label import error_line
from stages.surgery.nodes import replace_all
from stages.surgery.weights import as_inputs, is_weight

OPSET, IR_VERSION = 25, 13  # the newest that every runtime here reads
_FIRST_OPSET = 11

_OWN = ("", "ai.onnx")


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators in a model."""
    return next((int(opset.version) for opset in model.opset_import if opset.domain in _OWN), 1)


def check_versions(model: onnx.ModelProto) -> None:
    """Check that a model has one opset, and an IR version, that the installed ONNX knows."""
    opsets = [opset.version for opset in model.opset_import if opset.domain in _OWN]
    newest = onnx.defs.onnx_opset_version()
    if len(opsets) != 1 or not 1 <= opsets[0] <= newest:
        raise ModelError(f"expected one opset of ONNX from 1 to {newest}, seen {opsets[:4]}; export with opset {OPSET}")
    if not 1 <= model.ir_version <= onnx.IR_VERSION:
        seen = f"seen {model.ir_version}; export with IR version {IR_VERSION} or older"
        raise ModelError(f"expected an IR version of ONNX from 1 to {onnx.IR_VERSION}, {seen}")


def to_readable(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model in an opset and an IR version that edits write and runtimes read."""
    opset = opset_of(model)
    if (wanted := min(max(opset, _FIRST_OPSET), OPSET)) != opset:
        model = _converted(model, opset, wanted)
    if model.ir_version <= IR_VERSION:
        return model
    edited = deepcopy(model)
    edited.ir_version = IR_VERSION
    return edited


def _converted(model: onnx.ModelProto, opset: int, wanted: int) -> onnx.ModelProto:
    """Return the model in another opset; its weights, which the conversion reads none of, are kept as they are."""
    try:
        converted = version_converter.convert_version(as_inputs(model), wanted)
    except (RuntimeError, version_converter.ConvertError) as error:
        reason = error_line(error).rpartition("failed: ")[2]
        expected = f"expected a model of opset {_FIRST_OPSET} to {OPSET}"
        raise ModelError(f"{expected}, seen opset {opset}, and {reason}; export it with one of these") from None
    weights = {tensor.name: tensor for tensor in model.graph.initializer if is_weight(tensor)}
    graph = converted.graph
    replace_all(graph.input, [value for value in graph.input if value.name not in weights])
    graph.initializer.extend(weights.values())
    return converted

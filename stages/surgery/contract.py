"""The contract of each role, its inputs and outputs, and the check that an ONNX file keeps it."""

from collections.abc import Mapping, Sequence

import onnx
from onnx import TensorProto

from morphstream.artifact.errors import ModelError
from stages.params import Model
from stages.surgery.branches import sized
from stages.surgery.outputs import keep_outputs
from stages.surgery.trace import follow_all

Shape = tuple[int, ...]  # -1 is a dynamic axis
STRIDES = (8, 16, 32)
LABELS = 19  # of a parser
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


def check_contract(proto: onnx.ModelProto, model: Model) -> None:
    """Check names, ranks, shapes and types of a model's inputs and outputs."""
    inputs = {value.name: value for value in proto.graph.input}
    if fixed := [tensor.name for tensor in proto.graph.initializer if tensor.name in model.inputs]:
        seen = "an initializer of that name; remove it from the file"
        raise ModelError(f"{model.file}: input {fixed[0]}: expected no value of its own, seen {seen}")
    if inputs.keys() != model.inputs.keys():  # exports differ in order
        raise _broken(model, "inputs", list(model.inputs), list(inputs))
    for name, shape in model.inputs.items():
        _check_value(model, f"input {name}", inputs[name], shape)
    if model.role == "detector":
        _check_detector(sized_outputs(proto, model), model)
        return
    outputs, promised = [value.name for value in proto.graph.output], promised_outputs(model)
    for name in promised:
        if name not in outputs and not len(outputs) == len(promised) == 1:  # the only one may have any name
            raise _broken(model, "outputs", list(promised), outputs)
    for value, (name, shape) in zip(sized_outputs(proto, model), promised.items(), strict=True):
        _check_value(model, f"output {name}", value, shape)


def sized_outputs(proto: onnx.ModelProto, model: Model) -> Sequence[onnx.ValueInfoProto]:
    """Return the outputs in a model's contract, in its order; a detector's are all.

    Shapes that the file leaves open are inferred from those of the inputs.
    """
    outputs = {value.name: value for value in proto.graph.output}
    known = 1  # the first axis that must have a size
    if model.role == "detector":
        known = -1
    else:
        outputs = {name: outputs.get(name, proto.graph.output[0]) for name in promised_outputs(model)}
    values = list(outputs.values())
    is_tensor = all(value.type.WhichOneof("value") in (None, "tensor_type") for value in values)
    if not is_tensor or all(len(shape := shape_of(value)) > 0 and -1 not in shape[known:] for value in values):
        return values
    light = sized(keep_outputs(proto, {value.name: value.name for value in values}), model.inputs)
    trace = follow_all(light)
    return [onnx.ValueInfoProto(name=value.name, type=trace.types[value.name]) for value in values]


def detector_outputs(outputs: Sequence[onnx.ValueInfoProto]) -> dict[str, str]:
    """Return the detector's nine outputs by role, such as ``{"score_8": "448"}``.

    The length of an output's last axis identifies its role (1 score, 4 box, 10 points); the three of a role are in the
    order of the strides. Exports differ in names, in order and in a batch axis.
    """
    roles = {1: "score", 4: "bbox", 10: "kps"}
    found: dict[str, str] = {}
    for width, role in roles.items():
        names = [value.name for value in outputs if shape_of(value)[-1:] == (width,)]
        if len(names) == len(STRIDES):
            found |= {f"{role}_{stride}": name for stride, name in zip(STRIDES, names, strict=True)}
    return found


def anchors_of(height: int, width: int, stride: int) -> int:
    """Return how many anchors of a stride a detector has."""
    return 2 * (height // stride) * (width // stride)


def promised_outputs(model: Model) -> Mapping[str, Shape]:
    """Return the outputs in the contract of every role but the detector's, by name."""
    batch, *rest = max(model.inputs.values(), key=len)  # of the pixels
    match model.role:
        case "embedder":
            return {"683": (batch, 512)}
        case "swapper" if rest[-1] == 256:  # hyperswap
            return {"output": (batch, *rest), "mask": (batch, 1, *rest[1:])}
        case "swapper" | "restorer":
            return {"output": (batch, *rest)}
        case "occluder":
            return {"output": (batch, *rest[:2], 1)}
        case "parser":
            return {"output": (batch, LABELS, *rest[1:])}
        case "person_detector":
            return {"output0": (batch, 84, 8400)}
        case "landmarker" if len(rest) == 2:
            return {"output": (batch, 68, 2)}
        case "landmarker":
            return {"landmarks_xyscore": (batch, 68, 3)}
        case _:
            raise _broken(model, "role", "a role with a contract", model.role)


def main_output(proto: onnx.ModelProto, model: Model) -> str:
    """Return the name of the first output in the contract of every role but the detector's."""
    name, outputs = next(iter(promised_outputs(model))), [value.name for value in proto.graph.output]
    return name if name in outputs else outputs[0]


def shape_of(value: onnx.ValueInfoProto) -> Shape:
    """Return a value's shape, -1 where an axis is dynamic or unknown."""
    dims = value.type.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in dims)


def _check_detector(outputs: Sequence[onnx.ValueInfoProto], model: Model) -> None:
    roles = detector_outputs(outputs)
    if not len(roles) == len(outputs) == 3 * len(STRIDES):
        widths = [shape_of(value) for value in outputs]
        raise _broken(model, "outputs", "3 of width 1 (scores), 3 of 4 (boxes), 3 of 10 (points)", widths)
    height, width = next(iter(model.inputs.values()))[2:]
    by_name = {value.name: value for value in outputs}
    for role, name in roles.items():
        rows = anchors_of(height, width, int(role.split("_")[1]))
        shape = shape_of(by_name[name])
        if len(shape) not in (2, 3) or shape[-2] not in (-1, rows):
            raise _broken(model, f"output {name}", f"{rows} rows, 2-D or 3-D", shape)


def _check_value(model: Model, what: str, value: onnx.ValueInfoProto, expected: Shape) -> None:
    shape, kind = shape_of(value), value.type.tensor_type.elem_type
    if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
        shape = expected  # the file leaves it open
    fits = all(-1 in (a, b) or a == b for a, b in zip(shape, expected, strict=False))
    if len(shape) != len(expected) or not fits:
        raise _broken(model, what, f"shape {expected}", shape)
    if kind not in _FLOATS:
        names = {number: name for name, number in TensorProto.DataType.items()}
        raise _broken(model, what, "float32 or float16", names.get(kind, kind))  # a damaged file may have any number


def _broken(model: Model, what: str, expected: object, seen: object) -> ModelError:
    remedy = f"fetch the {model.role} that params name, or export it so"
    return ModelError(f"{model.file}: {what}: expected {expected}, seen {seen}; {remedy}")

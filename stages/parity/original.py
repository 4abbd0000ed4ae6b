"""The original, by which all else is checked: the file itself is run, not what surgery read of it."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx

from stages.params import Model
from stages.parity.figures import Arrays
from stages.parity.run import run_original
from stages.surgery.inference import to_inference
from stages.surgery.plan import Plan, plan_of
from stages.surgery.read import read_exported
from stages.surgery.versions import IR_VERSION, OPSET, opset_of, to_readable
from stages.surgery.weights import write_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """What an original gives.

    Attributes:
        plan: How its model is prepared.
        is_half: It has numbers in half precision, so that it rounds too.
        outputs: Of the plan, by name.
    """

    plan: Plan
    is_half: bool
    outputs: Arrays


def run_file(model: Model, path: Path, inputs: Arrays) -> Original:
    """Run the file of a model; one in training mode, or too new for ONNX Runtime, as it was read."""
    exported = read_exported(path)
    is_run = to_inference(exported) is exported and opset_of(exported) <= OPSET and exported.ir_version <= IR_VERSION
    is_half = _has_half(exported.graph)
    readable = to_readable(to_inference(exported))
    plan = plan_of(readable, model)
    if is_run:
        return Original(plan=plan, is_half=is_half, outputs=run_original(path, plan, inputs))
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        write_model(readable, copy)
        return Original(plan=plan, is_half=is_half, outputs=run_original(copy, plan, inputs))


def _has_half(graph: onnx.GraphProto) -> bool:
    constants = [attribute.t for node in graph.node if node.op_type == "Constant" for attribute in node.attribute]
    return any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in (*graph.initializer, *constants))

"""The original, by which all else is checked: the file itself is run, not what surgery read of it."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from stages.params import Model
from stages.parity.figures import Arrays
from stages.parity.run import run_original
from stages.surgery.contract import shape_of
from stages.surgery.emap import emap_of, file_of
from stages.surgery.inference import to_inference
from stages.surgery.plan import Plan, plan_of
from stages.surgery.quantised import quantised
from stages.surgery.read import read_exported
from stages.surgery.single import has_half
from stages.surgery.versions import IR_VERSION, OPSET, opset_of, to_readable
from stages.surgery.weights import write_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """What an original gives.

    Attributes:
        plan: How its model is prepared.
        is_half: It has numbers in half precision, so that it rounds too.
        is_quantised: It calculates with quantised numbers, which each runtime rounds in its own way.
        is_sized: It takes images of one size alone.
        outputs: Of the plan, by name.
        emap: The file of its emap, if it has one.
    """

    plan: Plan
    is_half: bool
    is_quantised: bool
    is_sized: bool
    outputs: Arrays
    emap: Collection[bytes]


def run_file(model: Model, path: Path, inputs: Arrays) -> Original:
    """Run the file of a model; one in training mode, or too new for ONNX Runtime, as it was read."""
    exported = read_exported(path)
    inferring = to_inference(exported)
    readable = to_readable(inferring)
    plan = plan_of(readable, model)
    if inferring is exported and opset_of(exported) <= OPSET and exported.ir_version <= IR_VERSION:
        outputs = run_original(path, plan, inputs)
    else:
        with TemporaryDirectory() as folder:
            copy = Path(folder) / path.name
            write_model(readable, copy)
            outputs = run_original(copy, plan, inputs)
    graph = exported.graph
    return Original(
        plan=plan,
        is_half=has_half(graph),
        is_quantised=bool(quantised(graph)),
        is_sized=any(-1 not in shape_of(value)[1:] for value in graph.input if value.name == plan.pixels),
        outputs=outputs,
        emap=file_of(emap_of(readable, model)).values(),
    )

"""Compare a model's prepared files and engines with the original and with each other, each run once."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from onnx import TensorProto

from morphstream.artifact.errors import ModelError
from stages.params import Model, TargetOptions, Tolerance
from stages.parity.engine import run_engine
from stages.parity.figures import SINGLE, Arrays, Figures, compare_outputs
from stages.parity.inputs import ROWS, sample_inputs
from stages.parity.run import run_onnx, run_original
from stages.surgery.join_outputs import part_outputs
from stages.surgery.plan import Plan, plan_of
from stages.surgery.read import read_model
from stages.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How far one thing is from another.

    Attributes:
        subject: ``prepared``, ``fp16`` or a target.
        reference: ``original``, or the ``prepared`` model of the subject's precision.
        tolerance: How far it may be.
        stated: What has that tolerance in params.yaml, such as ``models.det_10g``; empty for single precision's.
        figures: How far it is, by output.
    """

    subject: str
    reference: str
    tolerance: Tolerance
    stated: str
    figures: Mapping[str, Figures]


def compare(model: Model, targets: Mapping[str, TargetOptions], workspace: Workspace) -> Iterator[Comparison]:
    """Run original, prepared models and engines on the same inputs, each once, and compare their outputs.

    The targets are those that this machine executes. A target's engines have the target's own tolerance where it has
    one. Otherwise what is half, the file or an engine, and what runs on a GPU have the model's tolerance; all else that
    of single precision.
    """
    source, prepared = workspace.build / model.file, workspace.prepared / model.name
    original = read_model(source)
    plan = plan_of(original, model)
    original_is_half = any(tensor.data_type == TensorProto.FLOAT16 for tensor in original.graph.initializer)
    del original  # frees its weights
    single, of_model = (SINGLE, ""), (model.tolerance, f"models.{model.name}")
    to_original = of_model if original_is_half else single
    inputs = sample_inputs(json.loads((prepared / "contract.json").read_text("utf-8")))
    outputs: dict[str, Arrays] = {"original": run_original(source, plan, inputs)}
    sizes = {name: array.size for name, array in outputs["original"].items()}
    for precision in dict.fromkeys(("fp32", model.precision)):
        outputs[precision] = _parted(run_onnx(prepared / f"{precision}.onnx", inputs, rows=ROWS), plan, sizes)

    def compared(subject: str, seen: Arrays, to: str, bound: tuple[Tolerance, str]) -> Comparison:
        try:
            figures = compare_outputs(_parted(seen, plan, sizes), outputs[to], plan)
        except ModelError as error:
            raise ModelError(f"{subject}: {error}") from None
        reference, (tolerance, stated) = to if to == "original" else "prepared", bound
        return Comparison(subject=subject, reference=reference, tolerance=tolerance, stated=stated, figures=figures)

    yield compared("prepared", outputs["fp32"], "original", to_original)
    if model.precision == "fp16":
        yield compared("fp16", outputs["fp16"], "fp32", of_model)
    for name, options in targets.items():
        seen = run_engine(workspace.engines / name / model.name, options.target, inputs)
        own = (options.tolerance, f"targets.{name}") if options.tolerance else None
        is_cpu = options.target.builder == "openvino"
        yield compared(name, seen, "fp32" if is_cpu else model.precision, own or (single if is_cpu else of_model))
        yield compared(name, seen, "original", own or (to_original if is_cpu else of_model))


def _parted(outputs: Arrays, plan: Plan, sizes: Mapping[str, int]) -> Arrays:
    """Return a plan's outputs one by one, where the prepared model joins them."""
    return part_outputs(outputs[plan.joined], sizes) if plan.joined and plan.joined in outputs else outputs

"""Compare a model's prepared files and engines with the original and with each other, each run once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from morphstream.artifact.errors import ModelError
from morphstream.artifact.regular_file import open_regular
from stages.exclusive import engine_folder
from stages.files import read_json
from stages.params import Model, TargetOptions
from stages.parity.engine import run_engine
from stages.parity.figures import Arrays, Figures, compare_outputs, unseen
from stages.parity.inputs import sample_inputs
from stages.parity.original import Original, run_file
from stages.parity.run import run_onnx
from stages.surgery.join_outputs import part_outputs
from stages.tolerance import SINGLE, Tolerance
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
        unseen: Columns that no figure says anything of, as the reference has nothing there, by output that has any.
    """

    subject: str
    reference: str
    tolerance: Tolerance
    stated: str
    figures: Mapping[str, Figures]
    unseen: Mapping[str, int] = field(default_factory=dict)


def compare(model: Model, targets: Mapping[str, TargetOptions], workspace: Workspace) -> Iterator[Comparison]:
    """Run original, prepared models and engines on the same inputs, each once, and compare their outputs.

    The targets are those that this machine executes. A target's engines have the target's own tolerance where it has
    one. Otherwise what is half or quantised, the file or an engine, and what runs on a GPU have the model's tolerance;
    all else that of single precision.
    """
    prepared = workspace.prepared / model.name
    inputs = sample_inputs(read_json(prepared / "contract.json"))
    original = run_file(model, workspace.build / model.file, inputs)
    _check_emap(original, (prepared, *(engine_folder(workspace, options, model.name) for options in targets.values())))
    plan, nothing = original.plan, unseen(original.outputs, original.plan)
    single, of_model = (SINGLE, ""), (model.tolerance, f"models.{model.name}")
    on_cpu = of_model if original.is_quantised else single
    to_original = of_model if original.is_half else on_cpu
    outputs, rows = {"original": original.outputs}, len(next(iter(inputs.values())))
    for precision in dict.fromkeys(("fp32", model.precision)):
        seen = run_onnx(prepared / f"{precision}.onnx", inputs, rows=rows)
        outputs[precision] = _parted(seen, original)

    def compared(subject: str, seen: Arrays, to: str, bound: tuple[Tolerance, str]) -> Comparison:
        try:
            figures = compare_outputs(_parted(seen, original), outputs[to], plan)
        except ModelError as error:
            raise ModelError(f"{subject}: {error}") from None
        reference, (tolerance, stated) = to if to == "original" else "prepared", bound
        return Comparison(
            subject=subject, reference=reference, tolerance=tolerance, stated=stated, figures=figures, unseen=nothing
        )

    yield compared("prepared", outputs["fp32"], "original", to_original)
    if model.precision == "fp16":
        yield compared("fp16", outputs["fp16"], "fp32", of_model)
    for name, options in targets.items():
        seen = run_engine(engine_folder(workspace, options, model.name), options.target, inputs)
        own = (options.tolerance, f"targets.{name}") if options.tolerance else None
        is_cpu = options.target.builder == "openvino"
        yield compared(name, seen, "fp32" if is_cpu else model.precision, own or (on_cpu if is_cpu else of_model))
        yield compared(name, seen, "original", own or (to_original if is_cpu else of_model))


def _check_emap(original: Original, folders: Iterable[Path]) -> None:
    """Check that a prepared model and its engines have the original's emap, if any: it is no output.

    Every file must be a regular one: a library that opens it would wait for a pipe.
    """
    for folder in folders:
        for path in folder.glob("*"):
            open_regular(path).close()
        if [path.read_bytes() for path in folder.glob("*.npy")] != [*original.emap]:
            raise ModelError(f"{folder}: expected the emap of its original alone, seen another or none; build it again")


def _parted(outputs: Arrays, original: Original) -> Arrays:
    """Return a plan's outputs one by one, where the prepared model joins them."""
    joined = original.plan.joined
    if not joined or joined not in outputs:
        return outputs
    return part_outputs(outputs[joined], {name: array.size for name, array in original.outputs.items()})

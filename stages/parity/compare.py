"""Compare a model's prepared files and engines with the original and with each other, each run once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

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
from stages.surgery.join_outputs import counts_of, part_outputs
from stages.surgery.plan import Plan
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


@dataclass(frozen=True, slots=True)
class _Case:
    """Inputs of a size that engines are for, and what was made of them, by what made it.

    Attributes:
        inputs: By name.
        at: The size, of a further one; empty for the usual.
        outputs: The original's, where it takes that size, and the prepared models', by precision.
        unseen: As in `Comparison`.
    """

    inputs: Arrays
    at: str
    outputs: dict[str, Arrays] = field(default_factory=dict)
    unseen: dict[str, int] = field(default_factory=dict)


def compare(model: Model, targets: Mapping[str, TargetOptions], workspace: Workspace) -> Iterator[Comparison]:
    """Run original, prepared models and engines on the same inputs, each once, and compare their outputs.

    The targets are those that this machine executes. A target's engines have the target's own tolerance where it has
    one. Otherwise what is half or quantised, the file or an engine, and what runs on a GPU have the model's tolerance;
    all else that of single precision. At a further size, which most files don't take, the prepared model is the only
    reference then.
    """
    prepared = workspace.prepared / model.name
    original, cases = _references(model, workspace)
    _check_emap(original, (prepared, *(engine_folder(workspace, options, model.name) for options in targets.values())))
    compared = partial(_compared, cases, original.plan)
    single, of_model = (SINGLE, ""), (model.tolerance, f"models.{model.name}")
    on_cpu = of_model if original.is_quantised else single
    to_original = of_model if original.is_half else on_cpu
    yield from compared("prepared", [case.outputs["fp32"] for case in cases], "original", to_original)
    if model.precision == "fp16":
        yield from compared("fp16", [case.outputs["fp16"] for case in cases], "fp32", of_model)
    for name, options in targets.items():
        folder = engine_folder(workspace, options, model.name)
        seen = run_engine(folder, options.target, *(case.inputs for case in cases))
        own = (options.tolerance, f"targets.{name}") if options.tolerance else None
        is_cpu = options.target.builder == "openvino"
        yield from compared(name, seen, "fp32" if is_cpu else model.precision, own or (on_cpu if is_cpu else of_model))
        yield from compared(name, seen, "original", own or (to_original if is_cpu else of_model))


def _references(model: Model, workspace: Workspace) -> tuple[Original, list[_Case]]:
    """Run the original and the prepared models at each size."""
    prepared, file = workspace.prepared / model.name, workspace.build / model.file
    cases = _cases(read_json(prepared / "contract.json"))
    original = run_file(model, file, cases[0].inputs)
    cases[0].outputs["original"] = original.outputs
    for case in cases[1:] if not original.is_sized else ():
        with suppress(ModelError):  # what was written out in the file fits its own size alone
            case.outputs["original"] = run_file(model, file, case.inputs).outputs
    rows = len(next(iter(cases[0].inputs.values())))
    for precision in dict.fromkeys(("fp32", model.precision)):
        ran = run_onnx(prepared / f"{precision}.onnx", *(case.inputs for case in cases), rows=rows)
        for case, seen in zip(cases, ran, strict=True):
            case.outputs[precision] = _parted(seen, original.plan, case.inputs)
    for case in cases:
        case.unseen.update(unseen(next(iter(case.outputs.values())), original.plan))
    return original, cases


def _compared(
    cases: Sequence[_Case], plan: Plan, subject: str, seen: Sequence[Arrays], to: str, bound: tuple[Tolerance, str]
) -> Iterator[Comparison]:
    """Compare what a subject gave in each case with one reference, where there is that."""
    for case, arrays in zip(cases, seen, strict=True):
        if to in case.outputs:
            try:
                figures = compare_outputs(_parted(arrays, plan, case.inputs), case.outputs[to], plan)
            except ModelError as error:
                raise ModelError(f"{subject}{case.at}: {error}") from None
            reference, (tolerance, stated) = to if to == "original" else "prepared", bound
            yield Comparison(
                subject=subject,
                reference=f"{reference}{case.at}",
                tolerance=tolerance,
                stated=stated,
                figures=figures,
                unseen=case.unseen,
            )


def _cases(contract: Mapping[str, Any]) -> list[_Case]:
    """Return inputs for a prepared model with a contract.json, at each size that it is for."""
    cases = list[_Case]()
    for size in contract.get("sizes", [{}]):
        inputs = {
            name: {**value, "shape": [-1, *size.get(name, value["shape"][1:])]}
            for name, value in contract["inputs"].items()
        }
        at = " x ".join(str(length) for name in inputs for length in size[name][1::-1]) if cases else ""
        cases.append(_Case(sample_inputs({**contract, "inputs": inputs}), f", {at}" if at else ""))
    return cases


def _check_emap(original: Original, folders: Iterable[Path]) -> None:
    """Check that a prepared model and its engines have the original's emap, if any: it is no output.

    Every file must be a regular one: a library that opens it would wait for a pipe.
    """
    for folder in folders:
        for path in folder.glob("*"):
            open_regular(path).close()
        if [path.read_bytes() for path in folder.glob("*.npy")] != [*original.emap]:
            raise ModelError(f"{folder}: expected the emap of its original alone, seen another or none; build it again")


def _parted(outputs: Arrays, plan: Plan, inputs: Arrays) -> Arrays:
    """Return a plan's outputs one by one, where the prepared model joins them."""
    if not plan.joined or plan.joined not in outputs:
        return outputs
    return part_outputs(outputs[plan.joined], counts_of(*inputs[plan.crop].shape[:3]))

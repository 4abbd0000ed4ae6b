"""What is made of an exported file: prepared with the outputs that torch gave, or refused with an advice."""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import openvino

from morphstream.artifact.errors import ModelError
from stages.params import Model
from stages.parity.figures import Arrays, compare_outputs, shortfall
from stages.parity.original import run_file
from stages.parity.run import run_onnx
from stages.prepare import prepare
from stages.surgery.join_outputs import part_outputs
from stages.surgery.plan import Plan, plan_of
from stages.surgery.read import read_model
from stages.tolerance import SINGLE, Tolerance
from tests.stages import Array

_QUARTER_CELL = 1.0  # pixels; half precision may change which neighbour of a heat map's greatest is greater
LOSSY = ("float16", "int8")  # and uint8: tools after which a file's outputs are its own


def outcome(model: Model, path: Path, torch: Mapping[str, Array], folder: Path) -> str:
    """Prepare a file into a folder, and return ``yes``, or the advice of the refusal.

    Args:
        model: What the file is to be prepared as.
        path: The file; where the tool itself failed, there is a text instead.
        torch: Rows of inputs, as prepared models read them, and torch's outputs, named ``out NAME``.
        folder: A new one.

    Raises:
        AssertionError: The prepared model gives something else, or a builder's library can't read it.
    """
    if not path.is_file():
        return "the tool itself refuses the model"
    try:
        prepare(model, path, folder)
    except ModelError as error:
        return str(error).rpartition("; ")[2]
    plan = plan_of(read_model(path), model)
    names = [value for value in torch if not value.startswith("out ")]
    inputs = {plan.crop if name == plan.pixels else name: torch[name] for name in names}
    if any(word in str(path) for word in LOSSY):
        try:
            reference, bound = run_file(model, path, inputs).outputs, model.tolerance
        except ModelError:
            return "the tool wrote a file that ONNX Runtime refuses, so that `check` has nothing to compare with"
    else:
        reference, bound = pictures({name: torch[f"out {name}"] for name in sources(plan)}, plan), SINGLE
    half = replace(model.tolerance, pixels=max(model.tolerance.pixels, _QUARTER_CELL))
    for precision, tolerance in dict.fromkeys((("fp32", bound), (model.precision, half))):
        check(folder / f"{precision}.onnx", plan, inputs, reference, tolerance)
    return "yes"


def check(path: Path, plan: Plan, inputs: Arrays, reference: Arrays, tolerance: Tolerance) -> None:
    """Check that a prepared model gives the reference, all rows at once, and that the builders' libraries read it."""
    (seen,) = run_onnx(path, inputs, rows=len(next(iter(inputs.values()))))
    if plan.joined:
        seen = part_outputs(seen[plan.joined], {name: array.size for name, array in reference.items()})
    for name, figures in compare_outputs(seen, reference, plan).items():
        assert not (reason := shortfall(figures, tolerance)), f"{path}: {name}: {reason}"
    openvino.Core().read_model(path)
    read_for_rtx(path)


def read_for_rtx(path: Path) -> None:
    """Check that TensorRT for RTX reads a prepared model, where it is installed."""
    if find_spec("tensorrt_rtx_bindings") is None:
        return
    trt = import_module("tensorrt_rtx_bindings")
    logger = trt.Logger(trt.Logger.ERROR)
    network = trt.Builder(logger).create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse_from_file(str(path)), f"{path}: {parser.get_error(0).desc()}"


def sources(plan: Plan) -> list[str]:
    """Return the outputs of the file that those of the prepared model are made of."""
    return [name for output in plan.outputs.values() for name in (output.source, output.mask) if name]


def pictures(outputs: Arrays, plan: Plan) -> dict[str, Array]:
    """Turn a network's outputs into crops and labels, as its users do."""
    made: dict[str, Array] = {}
    for name, output in plan.outputs.items():
        value = np.asarray(outputs[output.source], np.float32)
        if output.form == "crop":
            planes = [value[:, ::-1] * output.scale + output.shift]
            planes += [np.asarray(outputs[output.mask], np.float32) * 255] if output.mask else []
            value = np.rint(np.clip(np.concatenate(planes, 1), 0, 255)).transpose(0, 2, 3, 1)
        made[name] = value if output.form == "numbers" else value.astype(np.uint8)
        if output.form == "labels":
            made[name] = value.argmax(1).astype(np.uint8)
    return made

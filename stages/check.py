"""check MODEL: parity of prepared model and engines with the original, on seeded inputs.

What is locked says which comparisons passed; figures, which differ in their last digits from machine to machine,
stand in ``build/measured/``. What needs a GPU is ``executed: false``, never passed.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from morphstream.artifact.errors import ModelError
from stages.files import BUILD, ENGINES, PREPARED, write_whole
from stages.params import Model, load_params
from stages.prepare import load_model
from stages.program import run_program
from stages.surgery.crop_input import Normalisation
from stages.surgery.plan import Plan, plan_of

Arrays = dict[str, npt.NDArray[np.generic]]
SINGLE = 0.99999  # least cosine in single precision
LEVELS = 1  # a uint8 crop may be off by as much: rounding
LABELS_OFF = 0.001  # as large a share of labels may differ: where two logits are all but equal
TARGET = "cpu"  # what every machine can run

CHECKED, MEASURED = BUILD / "check", BUILD / "measured" / "check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far outputs are from their reference.

    Attributes:
        cosine: Least cosine of a float output, less where lengths differ; 1 where there is none.
        max_abs_error: Greatest difference of a float output.
        levels: Greatest difference of a uint8 crop; 0 where there is none.
        labels_off: Greatest share of labels that differ, 0..1.
    """

    cosine: float
    max_abs_error: float
    levels: int
    labels_off: float


def main() -> None:
    """Check one model.

    Raises:
        ModelError: An output is farther from its reference than the model's tolerance.
        OSError: A file can't be read or written.
    """
    parser = argparse.ArgumentParser(prog="python -m stages.check", description=__doc__)
    parser.add_argument("model", help="its name in params.yaml")
    model = load_params().model(parser.parse_args().model)
    measured = compare(model, BUILD / model.file, PREPARED / model.name, ENGINES / TARGET / model.name)
    checked: dict[str, dict[str, object]] = {}
    for name, parity in measured.items():
        least = model.tolerance if name == "fp16" else SINGLE
        checked[name] = {"executed": True, "cosine_at_least": least, "levels_at_most": LEVELS, "passed": True}
        if parity.cosine < least or parity.levels > LEVELS or parity.labels_off > LABELS_OFF:
            raise ModelError(
                f"{name}: expected a cosine of {least} and {LEVELS} level at most, seen {asdict(parity)}; "
                f"mend the surgery, or change models.{model.name}.tolerance"
            )
    checked["gpu"] = {"executed": False}
    _write(CHECKED / f"{model.name}.json", checked)
    _write(MEASURED / f"{model.name}.json", {name: asdict(parity) for name, parity in measured.items()})


def compare(model: Model, source: Path, prepared: Path, engine: Path) -> dict[str, Parity]:
    """Run original, prepared model and the CPU's engine on the same inputs.

    Returns:
        Parity by what was compared: ``prepared`` with the original, ``fp16`` and ``cpu`` with ``prepared``.

    Raises:
        ModelError: A file is broken.
        OSError: A file can't be read.
    """
    original = load_model(source)
    plan = plan_of(original, model)
    inputs = seeded_inputs(prepared)
    reference = reference_outputs(original, plan, inputs)
    fp32 = _run_onnx(prepared / "fp32.onnx", inputs)
    found = {"prepared": parity_of(fp32, reference, plan)}
    if model.precision == "fp16":
        found["fp16"] = parity_of(_run_onnx(prepared / "fp16.onnx", inputs), fp32, plan)
    found[TARGET] = parity_of(_run_openvino(engine, inputs), fp32, plan)
    return found


def seeded_inputs(prepared: Path) -> Arrays:
    """Return inputs for a prepared model: smooth uint8 images, numbers, directions; the same on every run."""
    random = np.random.default_rng(20271102)
    arrays: Arrays = {}
    for name, value in json.loads((prepared / "contract.json").read_text("utf-8"))["inputs"].items():
        shape = [2 if dim == -1 else dim for dim in value["shape"]]
        if value["dtype"] == "uint8":
            coarse = random.integers(0, 256, (shape[0], shape[1] // 16, shape[2] // 16, 3))
            fine = coarse.repeat(16, 1).repeat(16, 2) + random.integers(-20, 21, shape)
            arrays[name] = np.clip(fine, 0, 255).astype(np.uint8)
        elif len(shape) == 2:
            direction = random.standard_normal(shape)
            arrays[name] = (direction / np.linalg.norm(direction, axis=1, keepdims=True)).astype(np.float32)
        else:
            arrays[name] = random.uniform(0.2, 0.8, shape).astype(np.float32)
    return arrays


def reference_outputs(original: onnx.ModelProto, plan: Plan, inputs: Arrays) -> Arrays:
    """Run the original, with what surgery put into the graph done here instead."""
    arrays = dict(inputs)
    if plan.normalisation is not None:
        arrays[plan.pixels] = normalise(arrays.pop(plan.crop), plan.normalisation)
    names = [value.name for value in original.graph.output]
    given = dict(zip(names, _session(original.SerializeToString()).run(names, arrays), strict=True))
    outputs: Arrays = {}
    for name, output in plan.outputs.items():
        value = given[output.source]
        if output.form == "crop":
            pixels = np.rint(np.clip(value * output.scale + output.shift, 0, 255)).astype(np.uint8)
            value = pixels[:, ::-1].transpose(0, 2, 3, 1)
        elif output.form == "labels":
            value = value.argmax(1).astype(np.uint8)
        outputs[name] = value
    return outputs


def normalise(crop: npt.NDArray[np.generic], how: Normalisation) -> npt.NDArray[np.float32]:
    """Do to uint8 NHWC BGR crops what a model's owner does, in float32."""
    pixels = crop[..., ::-1] if how.is_rgb else crop
    floats = (pixels.astype(np.float32) - np.array(how.mean, np.float32)) / np.array(how.std, np.float32)
    return np.ascontiguousarray(floats.transpose(0, 3, 1, 2) if how.is_nchw else floats)


def parity_of(seen: Mapping[str, npt.NDArray[np.generic]], reference: Arrays, plan: Plan) -> Parity:
    """Compare outputs with their reference."""
    cosine, error, levels, labels_off = 1.0, 0.0, 0, 0.0
    for name, output in plan.outputs.items():
        a, b = seen[name].astype(np.float64).ravel(), reference[name].astype(np.float64).ravel()
        difference = float(np.abs(a - b).max())
        if output.form == "labels":
            labels_off = max(labels_off, float((a != b).mean()))
        elif output.form == "crop":
            levels = max(levels, int(difference))
        else:
            cosine = min(cosine, _cosine(a, b))
            error = max(error, difference)
    return Parity(cosine=cosine, max_abs_error=error, levels=levels, labels_off=labels_off)


def _cosine(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Return the cosine, less where lengths differ; 0 where a number isn't finite."""
    if np.array_equal(a, b):
        return 1.0
    is_finite = bool(np.isfinite(a).all() and np.isfinite(b).all())
    return float(2 * (a @ b) / (a @ a + b @ b)) if is_finite else 0.0


def _session(model: str | bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of emap, which no node uses
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _run_onnx(path: Path, inputs: Arrays) -> Arrays:
    session = _session(str(path))
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def _run_openvino(folder: Path, inputs: Arrays) -> Arrays:
    import openvino  # here, as it takes long to load

    if (path := next(folder.glob("*.xml"), None)) is None:
        raise ModelError(f"{folder}: expected an engine of OpenVINO, seen none; compile it first")
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return {name: array for value, array in compiled(inputs).items() for name in value.names}


def _write(path: Path, document: object) -> None:
    write_whole(path, (json.dumps(document, indent=2) + "\n").encode())


if __name__ == "__main__":
    run_program(main)

"""Run originals, prepared models and CPU engines, in a stated precision and with a fixed number of threads."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from morphstream.artifact.errors import ModelError
from morphstream.session.provider import ERRORS, TYPES
from stages.parity.figures import Arrays
from stages.surgery.crop_input import Normalisation
from stages.surgery.plan import Plan

if TYPE_CHECKING:
    from morphstream.session.openvino_library import openvino

THREADS = 2  # fixed, so that figures repeat
HINTS = {"fp32": "f32", "bf16": "bf16"}  # OpenVINO's names of the precisions


def run_original(path: Path, plan: Plan, inputs: Arrays) -> Arrays:
    """Run an original row by row, and compute here what surgery put into the prepared model's graph.

    Row by row, because a batch must give the same as single rows, and the file may have no batch axis.

    Args:
        path: The ONNX file.
        plan: How it was prepared.
        inputs: Of the prepared model; not modified.

    Returns:
        The outputs of the prepared model, by name; those of form numbers have the original's shape.

    Raises:
        ModelError: ONNX Runtime can't run it.
    """
    arrays = dict(inputs)
    if plan.normalisation is not None:
        arrays[plan.pixels] = normalise(arrays.pop(plan.crop), plan.normalisation)
    given = run_onnx(path, arrays, rows=1)
    outputs = {}
    for name, output in plan.outputs.items():
        value = given[output.source]
        if output.form == "crop":
            floats = [(value.astype(np.float32) * output.scale + output.shift)[:, ::-1]]
            floats += [given[output.mask].astype(np.float32) * 255] if output.mask else []
            value = np.rint(np.clip(np.concatenate(floats, 1), 0, 255)).astype(np.uint8).transpose(0, 2, 3, 1)
        elif output.form == "labels":
            value = value.argmax(1).astype(np.uint8)
        outputs[name] = value
    return outputs


def normalise(crop: npt.NDArray[np.generic], how: Normalisation) -> npt.NDArray[np.float32]:
    """Normalise uint8 NHWC BGR crops in float32, as a model's author does."""
    pixels = crop[..., ::-1] if how.is_rgb else crop
    floats = (pixels.astype(np.float32) - np.array(how.mean, np.float32)) / np.array(how.std, np.float32)
    return np.ascontiguousarray(floats.transpose(0, 3, 1, 2) if how.is_nchw else floats)


def run_onnx(path: Path, inputs: Arrays, *, rows: int) -> dict[str, npt.NDArray[Any]]:
    """Run an ONNX file on the CPU, `rows` rows at once.

    Raises:
        ModelError: ONNX Runtime can't run it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised
    options.intra_op_num_threads = THREADS
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        return run_session(session, inputs, rows=rows)
    except ERRORS as error:
        raise ModelError(f"{path}: expected a model for ONNX Runtime, seen {error}; make it again") from None


def run_session(session: onnxruntime.InferenceSession, inputs: Arrays, *, rows: int) -> dict[str, npt.NDArray[Any]]:
    """Run a session of ONNX Runtime, `rows` rows at once; inputs are cast to the types that it declares."""
    names = [value.name for value in session.get_outputs()]
    arrays = {value.name: inputs[value.name].astype(TYPES[value.type]) for value in session.get_inputs()}
    return in_parts(lambda part: dict(zip(names, session.run(names, part), strict=True)), arrays, rows)


def run_openvino(folder: Path, inputs: Arrays, *, precision: str, rows: int) -> dict[str, npt.NDArray[Any]]:
    """Run an OpenVINO engine in a precision, `rows` rows at once.

    Raises:
        ModelError: There is no engine, or OpenVINO can't run it in that precision.
    """
    if (path := next(folder.glob("*.xml"), None)) is None:
        raise ModelError(f"{folder}: expected an engine of OpenVINO, seen none; compile it first")
    try:
        compiled = compile_openvino(path, precision)

        def run(part: Arrays) -> dict[str, npt.NDArray[Any]]:
            return {name: array for value, array in compiled(part).items() for name in value.names}

        return in_parts(run, inputs, rows)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    except RuntimeError as error:
        raise ModelError(f"{path}: expected an engine for OpenVINO, seen {error}; compile it again") from None


def compile_openvino(model: "Path | openvino.Model", precision: str) -> "openvino.CompiledModel":
    """Compile an engine for this CPU in a precision of `HINTS`, and in no other.

    The precision is only a hint for OpenVINO: asked for float16 it uses bfloat16, which its property shows afterwards.

    Raises:
        ModelError: OpenVINO uses another precision.
        RuntimeError: It can't compile the engine.
    """
    from morphstream.session.openvino_library import openvino  # here, as it takes long to load

    config = {"INFERENCE_PRECISION_HINT": HINTS[precision], "INFERENCE_NUM_THREADS": THREADS}
    compiled = openvino.Core().compile_model(model, "CPU", config)
    if (seen := compiled.get_property("INFERENCE_PRECISION_HINT").to_string()) != HINTS[precision]:
        raise ModelError(f"expected OpenVINO to calculate in {HINTS[precision]}, seen {seen}; use another CPU")
    return compiled


def in_parts(
    run: Callable[[Arrays], dict[str, npt.NDArray[Any]]], inputs: Arrays, rows: int
) -> dict[str, npt.NDArray[Any]]:
    """Run the inputs in parts of `rows` rows, and join the outputs along their first axis."""
    count = len(next(iter(inputs.values())))
    parts = [
        run({name: array[start : start + rows] for name, array in inputs.items()}) for start in range(0, count, rows)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

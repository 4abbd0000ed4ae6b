"""Run originals and prepared models on the CPU, with a fixed number of threads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from morphstream.artifact.errors import ModelError
from morphstream.session.provider import ERRORS, TYPES
from morphstream.session.session import Array
from stages.parity.figures import Arrays, check_finite
from stages.surgery.crop_input import Normalisation
from stages.surgery.plan import Plan

THREADS = 2  # fixed, so that figures repeat


def run_original(path: Path, plan: Plan, inputs: Arrays) -> Arrays:
    """Run an original row by row, and compute here what surgery put into the prepared model's graph.

    Row by row, because a batch must give the same as single rows, and the file may have no batch axis. Inputs and
    outputs are the prepared model's, by name; outputs of form numbers have the original's shape.
    """
    arrays = dict(inputs)
    if plan.normalisation is not None:
        arrays[plan.pixels] = normalise(arrays.pop(plan.crop), plan.normalisation)
    needed = [name for output in plan.outputs.values() for name in (output.source, output.mask) if name]
    (given,) = run_onnx(path, arrays, rows=1, names=needed)
    outputs = {}
    rows = len(next(iter(inputs.values())))
    for name, output in plan.outputs.items():
        value = given[output.source]
        for source in filter(None, (output.source, output.mask)):
            check_finite(f"{path}: {source}", given[source])
        if output.form == "crop":
            floats = [(value.astype(np.float32) * output.scale + output.shift)[:, ::-1]]
            floats += [given[output.mask].astype(np.float32) * 255] if output.mask else []
            value = np.rint(np.clip(np.concatenate(floats, 1), 0, 255)).astype(np.uint8).transpose(0, 2, 3, 1)
        elif output.form == "labels":
            value = value.argmax(1).astype(np.uint8)
        elif len(value) != rows:  # the file has no batch axis
            value = value.reshape(rows, -1, *value.shape[1:])
        outputs[name] = value
    return outputs


def normalise(crop: Array, how: Normalisation) -> npt.NDArray[np.float32]:
    """Normalise uint8 NHWC BGR crops in float32, as a model's author does."""
    pixels = crop[..., ::-1] if how.is_rgb else crop
    floats = (pixels.astype(np.float32) - np.array(how.mean, np.float32)) / np.array(how.std, np.float32)
    return np.ascontiguousarray(floats.transpose(0, 3, 1, 2) if how.is_nchw else floats)


def run_onnx(path: Path, *inputs: Arrays, rows: int, names: Sequence[str] = ()) -> list[Arrays]:
    """Run an ONNX file on the CPU on inputs, one after the other, and return the outputs that are named, or all.

    Of each, `rows` rows run at once. They are cast to the types that the file declares.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised
    options.intra_op_num_threads = THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # engines are built beside
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        names, found = names or [value.name for value in session.get_outputs()], list[Arrays]()
        for one in inputs:
            arrays = {value.name: one[value.name].astype(TYPES[value.type]) for value in session.get_inputs()}
            parts = [
                session.run(names, {name: array[start : start + rows] for name, array in arrays.items()})
                for start in range(0, len(next(iter(arrays.values()))), rows)
            ]
            joined = (np.concatenate(outputs) for outputs in zip(*parts, strict=True))
            found.append(dict(zip(names, joined, strict=True)))
    except ERRORS as error:
        raise ModelError(f"{path}: expected a model for ONNX Runtime, seen {error}; make it again") from None
    return found

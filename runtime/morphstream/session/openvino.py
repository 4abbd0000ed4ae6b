"""Engines of OpenVINO, on the CPU."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openvino

from morphstream.artifact.errors import SessionError
from morphstream.session.session import Array


class OpenVINOSession:
    """An intermediate representation, compiled for this machine's CPU in single precision.

    OpenVINO's own default is bfloat16 on some CPUs, which is off by 0.065 in a detector's outputs.
    """

    def __init__(self, path: Path, *, threads: int, blobs: Path | None = None) -> None:
        """Open an engine.

        Args:
            path: The ``.xml``; its weights lie beside it.
            threads: Threads to run on; 0 lets OpenVINO choose.
            blobs: Folder for what OpenVINO compiles for this CPU, to open faster next time.

        Raises:
            SessionError: OpenVINO can't open it.
        """
        self._path = path
        config: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        config |= {"INFERENCE_NUM_THREADS": threads} if threads else {}
        config |= {"CACHE_DIR": str(blobs)} if blobs else {}
        try:
            self._request = openvino.Core().compile_model(path, "CPU", config).create_infer_request()
        except RuntimeError as error:
            seen = _reason(error)
            raise SessionError(f"{path.name}: expected an engine for OpenVINO, seen {seen}; boot again") from None
        model = self._request.get_compiled_model()
        self._shapes = {name: _shape(port) for port in model.inputs for name in port.names}
        self._outputs = {name: port for port in model.outputs for name in port.names}

    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each input; -1 where an axis is dynamic."""
        return self._shapes

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return every output by name; the arrays are overwritten by the next run.

        Raises:
            SessionError: The engine failed, or an output has a number that is none.
        """
        try:
            self._request.infer(dict(inputs), share_inputs=True)
        except RuntimeError as error:
            raise SessionError(f"{self._path.name}: expected it to run, seen {_reason(error)}") from None
        outputs = {name: self._request.get_tensor(port).data for name, port in self._outputs.items()}
        for name, array in outputs.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise SessionError(f"{self._path.name}: expected numbers in {name}, seen NaN or infinity")
        return outputs

    def close(self) -> None:
        """Give back the compiled model."""
        del self._request, self._outputs


def _reason(error: RuntimeError) -> str:
    """Return the last line of OpenVINO's error; those before it name its source files."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "no reason")


def _shape(port: openvino.ConstOutput) -> tuple[int, ...]:
    return tuple(-1 if dim.is_dynamic else dim.get_length() for dim in port.get_partial_shape())

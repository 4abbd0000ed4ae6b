"""A session of an OpenVINO engine, on the CPU."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from morphstream.artifact.errors import SessionError
from morphstream.session.graphs import Config, SavedGraphs
from morphstream.session.openvino_library import openvino, reason_of
from morphstream.session.session import Array, check_numbers

_HINTS = {"fp32": "f32", "bf16": "bf16"}
_CONFIG: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY", "CACHE_MODE": "OPTIMIZE_SIZE"}  # exports no weights
_TYPES = {"fp32": openvino.Type.f32, "bf16": openvino.Type.bf16}


class OpenVINOSession:
    """An intermediate representation, compiled for one row and this machine's CPU.

    Rows run one after the other: on CPUs that takes no longer than a batch, and half as long as an engine compiled for
    any number of rows (docs/adr/0011-cpu-rows.md).
    """

    def __init__(self, path: Path, *, threads: int, precision: str = "fp32", graphs: SavedGraphs | None = None) -> None:
        """Compile an engine, or import its saved graph, and run it once.

        Args:
            path: The ``.xml``, with the ``.bin`` of its weights in the same folder.
            threads: Threads of a run; 0 lets OpenVINO choose.
            precision: The numbers to calculate with, ``fp32`` or ``bf16``. OpenVINO's own choice is bf16 on some CPUs,
                which is off by 0.065 in a detector's outputs.
            graphs: Where compiled graphs are saved; None to compile the engine and save nothing.

        Raises:
            SessionError: OpenVINO can't compile it, or not in that precision.
        """
        self._path = path
        config = _CONFIG | {"INFERENCE_PRECISION_HINT": _HINTS[precision]}
        config |= {"INFERENCE_NUM_THREADS": threads} if threads else {}
        try:
            compiled = _open(path, config, graphs)
            self._request = compiled.create_infer_request()
            used = compiled.get_property("INFERENCE_PRECISION_HINT")
        except RuntimeError as error:
            seen = reason_of(error)
            raise SessionError(f"{path.name}: expected an engine for OpenVINO, seen {seen}; boot again") from None
        if used != _TYPES[precision]:
            seen = f"{used.get_type_name()} on this CPU"
            raise SessionError(f"{path.name}: expected {precision}, seen {seen}; run: morphstream boot --target cpu")
        self._inputs = {name: port for port in compiled.inputs for name in port.names}
        self._shapes = {name: (-1, *_shape(port.partial_shape)[1:]) for name, port in self._inputs.items()}
        self._outputs = [_Output(port) for port in compiled.outputs]
        self._request.infer()  # on zeros, so that the first frame takes no longer than the next one

    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each input; -1 for its rows, and where another axis is dynamic."""
        return self._shapes

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return every output by name; the arrays are overwritten by the next run.

        Args:
            inputs: Each ``(N, ...)``, of the engine's types; not modified.

        Raises:
            SessionError: The inputs are not the engine's, it failed, or an output has NaN or infinity.
        """
        if inputs.keys() != self._shapes.keys():
            rule, seen = ", ".join(self._shapes), ", ".join(inputs)
            raise SessionError(f"{self._path.name}: expected it to run, seen inputs {seen} instead of {rule}")
        arrays = {self._inputs[name]: np.ascontiguousarray(array) for name, array in inputs.items()}
        rows = len(next(iter(arrays.values())))
        for output in self._outputs:
            output.allocate(rows)
        try:
            for row in range(rows):
                for port, array in (*arrays.items(), *((output.port, output.array) for output in self._outputs)):
                    self._request.set_tensor(port, openvino.Tensor(array[row : row + 1], shared_memory=True))
                self._request.infer()
        except RuntimeError as error:
            raise SessionError(f"{self._path.name}: expected it to run, seen {reason_of(error)}") from None
        outputs = {name: output.array[:rows] for output in self._outputs for name in output.port.names}
        check_numbers(self._path.name, outputs)
        return outputs

    def close(self) -> None:
        """Release the compiled model and its arrays."""
        del self._request, self._inputs, self._outputs


def _open(path: Path, config: Config, graphs: SavedGraphs | None) -> openvino.CompiledModel:
    """Open an engine for one row."""
    core = openvino.Core()

    def compile_engine() -> openvino.CompiledModel:
        model = core.read_model(path)
        model.reshape({port: [1, *port.partial_shape[1:]] for port in model.inputs if port.partial_shape[0].is_dynamic})
        return core.compile_model(model, "CPU", dict(config))

    return graphs.open(core, path, config, compile_engine) if graphs else compile_engine()


class _Output:
    """An output of an engine, and an array that its rows are written into, kept from run to run."""

    def __init__(self, port: openvino.ConstOutput) -> None:
        self.port = port
        self.array: Array = np.empty((0, *port.shape[1:]), port.element_type.to_dtype())

    def allocate(self, rows: int) -> None:
        """Make the array long enough for a number of rows."""
        if len(self.array) < rows:
            self.array = np.empty((rows, *self.array.shape[1:]), self.array.dtype)


def _shape(shape: openvino.PartialShape) -> tuple[int, ...]:
    return tuple(-1 if dim.is_dynamic else dim.get_length() for dim in shape)

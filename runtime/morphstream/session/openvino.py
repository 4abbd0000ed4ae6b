"""A session of an OpenVINO engine, on the CPU."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from morphstream.artifact.errors import SessionError
from morphstream.process import shortage_of
from morphstream.session.graphs import Config, SavedGraphs
from morphstream.session.openvino_library import openvino, reason_of
from morphstream.session.session import Array, check_numbers

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
        """
        self._path, kind = path, _TYPES[precision]
        config = _CONFIG | {"INFERENCE_PRECISION_HINT": kind.get_type_name(), "INFERENCE_NUM_THREADS": threads}
        try:
            compiled, self._save_graph = _open(path, config, graphs)
            self._request = compiled.create_infer_request()
            used = compiled.get_property("INFERENCE_PRECISION_HINT")
        except RuntimeError as error:
            seen, remedy = reason_of(error), shortage_of(error) or "boot again"
            raise SessionError(f"{path.name}: expected an engine for OpenVINO, seen {seen}; {remedy}") from None
        if used != kind:
            seen = f"{used.get_type_name()} on this CPU"
            raise SessionError(f"{path.name}: expected {precision}, seen {seen}; run: morphstream boot --target cpu")
        self._inputs = {name: port for port in compiled.inputs for name in port.names}
        self._shapes = {  # -1 is the greatest length of a dynamic axis
            name: (-1, *(dim.get_max_length() for dim in port.partial_shape[1:])) for name, port in self._inputs.items()
        }
        self._outputs = {port: (port.shape[1:], port.element_type.to_dtype()) for port in compiled.outputs}
        self._request.infer()  # on zeros, so that the first frame takes no longer than the next one

    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each input; -1 for its rows, and where another axis is dynamic."""
        return self._shapes

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Width and height of further images that it takes, one at a time."""
        return ()

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return every output by name, in arrays that are the caller's."""
        if inputs.keys() != self._inputs.keys():
            rule, seen = ", ".join(self._inputs), ", ".join(inputs)
            raise SessionError(f"{self._path.name}: expected it to run, seen inputs {seen} instead of {rule}")
        arrays = {self._inputs[name]: np.ascontiguousarray(array) for name, array in inputs.items()}
        rows = len(next(iter(arrays.values())))
        results: dict[openvino.ConstOutput, Array] = {
            port: np.empty((rows, *shape), dtype) for port, (shape, dtype) in self._outputs.items()
        }
        try:
            for row in range(rows):
                for port, array in (arrays | results).items():
                    self._request.set_tensor(port, openvino.Tensor(array[row : row + 1], shared_memory=True))
                self._request.infer()
        except RuntimeError as error:
            seen = "; ".join(filter(None, (reason_of(error), shortage_of(error))))
            raise SessionError(f"{self._path.name}: expected it to run, seen {seen}") from None
        outputs = {name: array for port, array in results.items() for name in port.names}
        check_numbers(self._path.name, outputs)
        return outputs

    def close(self) -> None:
        """Release the compiled model, and save its graph if that is new: now nobody waits for a frame."""
        self._save_graph()
        del self._save_graph, self._request, self._inputs, self._outputs


def _open(path: Path, config: Config, graphs: SavedGraphs | None) -> tuple[openvino.CompiledModel, Callable[[], None]]:
    """Open an engine for one row; return it and what saves its graph."""
    core = openvino.Core()

    def compile_engine() -> openvino.CompiledModel:
        model = core.read_model(path)
        model.reshape({port: [1, *port.partial_shape[1:]] for port in model.inputs if port.partial_shape[0].is_dynamic})
        return core.compile_model(model, "CPU", dict(config))

    return graphs.open(core, path, config, compile_engine) if graphs else (compile_engine(), lambda: None)

"""A session of an OpenVINO engine, on the CPU."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from morphstream.artifact.errors import SessionError
from morphstream.process import shortage_of
from morphstream.session.graphs import Config, SavedGraphs
from morphstream.session.openvino_library import openvino, reason_of
from morphstream.session.session import Array, check_numbers, further_sizes, read_sizes

_CONFIG: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY", "CACHE_MODE": "OPTIMIZE_SIZE"}  # exports no weights
_TYPES = {"fp32": openvino.Type.f32, "bf16": openvino.Type.bf16}
_AXES = 4  # of images

Size = tuple[int, int]  # width, height


@dataclass(frozen=True, slots=True)
class _Graph:
    """An engine compiled for one row of a size: its request, and its inputs and outputs.

    Attributes:
        inputs: The port of each, by name.
        outputs: The shape of a row and the type of each, by port.
        save: Saves it, if it is new.
    """

    request: openvino.InferRequest
    inputs: Mapping[str, openvino.ConstOutput]
    outputs: Mapping[openvino.ConstOutput, tuple[openvino.Shape, np.dtype[Any]]]
    save: Callable[[], None]


class OpenVINOSession:
    """An intermediate representation, compiled for one row and this machine's CPU.

    Rows run one after the other: on CPUs that takes no longer than a batch, and half as long as an engine compiled for
    any number of rows (docs/adr/0011-cpu-rows.md). A further size is compiled when it is first used.
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
        self._path, self._precision, self._kind, self._saved = path, precision, _TYPES[precision], graphs
        kind = self._kind.get_type_name()
        self._config = _CONFIG | {"INFERENCE_PRECISION_HINT": kind, "INFERENCE_NUM_THREADS": threads}
        self._usual = self._open(None)
        self._usual.request.infer()  # so that the first frame takes no longer than the next one
        self._graphs = dict[Size, _Graph]()  # of further sizes
        self._shapes = {  # -1 is the greatest length of a dynamic axis
            name: (-1, *(dim.get_max_length() for dim in port.partial_shape[1:]))
            for name, port in self._usual.inputs.items()
        }

    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each input; -1 for its rows, and where another axis is dynamic."""
        return self._shapes

    @cached_property
    def sizes(self) -> Sequence[Size]:
        """Width and height of further images that it takes, one at a time; the engine is read for it."""
        with _refusing(self._path):
            model = openvino.Core().read_model(self._path)
            text = model.get_rt_info("sizes").astype(str) if model.has_rt_info("sizes") else "[]"
            return further_sizes(read_sizes(text), next(iter(self._shapes)))

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return every output by name, in arrays that are the caller's."""
        if inputs.keys() != self._shapes.keys():
            rule, seen = ", ".join(self._shapes), ", ".join(inputs)
            raise SessionError(f"{self._path.name}: expected it to run, seen inputs {seen} instead of {rule}")
        graph = self._graph_for(inputs)
        arrays = {graph.inputs[name]: np.ascontiguousarray(array) for name, array in inputs.items()}
        rows = len(next(iter(arrays.values())))
        results: dict[openvino.ConstOutput, Array] = {
            port: np.empty((rows, *shape), dtype) for port, (shape, dtype) in graph.outputs.items()
        }
        try:
            for row in range(rows):
                for port, array in (arrays | results).items():
                    graph.request.set_tensor(port, openvino.Tensor(array[row : row + 1], shared_memory=True))
                graph.request.infer()
        except RuntimeError as error:
            seen = "; ".join(filter(None, (reason_of(error), shortage_of(error))))
            raise SessionError(f"{self._path.name}: expected it to run, seen {seen}") from None
        outputs = {name: array for port, array in results.items() for name in port.names}
        check_numbers(self._path.name, outputs)
        return outputs

    def close(self) -> None:
        """Release the compiled models, and save their graphs if these are new: now nobody waits for a frame."""
        for graph in (self._usual, *self._graphs.values()):
            graph.save()
        del self._usual, self._graphs

    def _graph_for(self, inputs: Mapping[str, Array]) -> _Graph:
        """Return the graph for the size of an image, which is compiled if that is new."""
        name, array = next(iter(inputs.items()))
        if array.ndim != _AXES or array.shape[1:] == self._shapes[name][1:]:
            return self._usual
        size = (array.shape[2], array.shape[1])
        if size not in self._graphs:
            if size not in self.sizes:
                return self._usual  # which refuses it
            self._graphs[size] = self._open(size)
        return self._graphs[size]

    def _open(self, size: Size | None) -> _Graph:
        """Compile the engine for a further size, None for its own."""
        with _refusing(self._path):
            compiled, save = _open(self._path, self._config, self._saved, size)
            request = compiled.create_infer_request()
            used = compiled.get_property("INFERENCE_PRECISION_HINT")
        if used != self._kind:
            seen = f"{used.get_type_name()} on this CPU; run: morphstream boot --target cpu"
            raise SessionError(f"{self._path.name}: expected {self._precision}, seen {seen}")
        inputs = {name: port for port in compiled.inputs for name in port.names}
        outputs = {port: (port.shape[1:], port.element_type.to_dtype()) for port in compiled.outputs}
        return _Graph(request, inputs, outputs, save)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Say in a line why an engine can't be opened."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        seen, remedy = reason_of(error), shortage_of(error) or "boot again"
        raise SessionError(f"{path.name}: expected an engine for OpenVINO, seen {seen}; {remedy}") from None


def _open(
    path: Path, config: Config, graphs: SavedGraphs | None, size: Size | None
) -> tuple[openvino.CompiledModel, Callable[[], None]]:
    """Open an engine for one row of a further size, or of its own; return it and what saves its graph."""
    core = openvino.Core()

    def compile_engine() -> openvino.CompiledModel:
        model = core.read_model(path)
        shapes = {port: [1, *port.partial_shape[1:]] for port in model.inputs if port.partial_shape[0].is_dynamic}
        if size is not None:
            width, height = size
            shapes = {port: [1, height, width, *port.partial_shape[3:]] for port in model.inputs}
        model.reshape(shapes)
        return core.compile_model(model, "CPU", dict(config))

    return graphs.open(core, path, config, compile_engine, size) if graphs else (compile_engine(), lambda: None)

"""A session of ONNX Runtime: a model on the CPU, or an engine on a GPU with the provider that was asked for alone.

Conventions:

* The first axis of every input is the batch. An EPContext model names in its metadata, as ``batches``, the sizes that
  its engine is for; without them rows run as they come, or in parts of the model's fixed batch.
* Each shape of the inputs has arrays of its own, whose addresses stay the same.

No GPU has run this yet: what it says of the providers for GPUs is read in their sources, and tests ask a fake GPU.

Source: onnxruntime.ai, "TensorRT Execution Provider"; NVIDIA, TensorRT-RTX-EP-ABI, "Provider options" and its
``tensorrt_rtx_execution_provider.cc``.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from morphstream.artifact.errors import SessionError
from morphstream.session.binding import Binding
from morphstream.session.provider import CPU, ERRORS, RTX, TENSORRT, TYPES, open_model, reason_of
from morphstream.session.session import Array, Part, check_numbers, parts

_OPTIONS = {RTX: {"nv_multi_profile_enable": "1"}}  # each batch has a profile
_GRAPHS = {RTX: {"enable_cuda_graph": "1"}, TENSORRT: {"trt_cuda_graph_enable": "True"}}  # as each spells it
_KEPT = 8  # shapes whose arrays are kept, where any may come

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Value:
    """An input or output as the model declares it; an axis with a name, or none, is dynamic."""

    dtype: np.dtype[Any]
    dims: tuple[int | str | None, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(dim if isinstance(dim, int) else -1 for dim in self.dims)

    def accepts(self, array: Array) -> bool:
        """Return whether an array has its type and shape, with any number of rows."""
        is_fit = array.ndim == len(self.dims) and array.dtype == self.dtype
        return is_fit and all(dim in (-1, seen) for dim, seen in zip(self.shape[1:], array.shape[1:], strict=True))

    def empty(self) -> Array:
        """Return an array of it without rows."""
        return np.empty((0, *(max(dim, 0) for dim in self.shape[1:])), self.dtype)


class OnnxRuntimeSession:
    """A model on the CPU, or an engine on a GPU, opened and run once in each of its batches.

    Attributes:
        batches: The numbers of rows that run at once; empty where any number does.
    """

    def __init__(
        self, path: Path, *, provider: str, threads: int, cuda_graph: bool = False, runtime: Any = onnxruntime
    ) -> None:
        """Open a model, and run each of its batches on zeros, unless it has other dynamic axes.

        The provider for TensorRT for RTX may keep to an engine's first profile: a batch that it refuses is logged, and
        its rows run in smaller ones. TensorRT's provider holds one CUDA graph a session, of the smallest batch.

        Args:
            path: The ONNX file; for a GPU the EPContext model beside the engine.
            provider: ONNX Runtime's name of the provider that runs it.
            threads: Threads of one run on the CPU.
            cuda_graph: Whether a GPU replays runs as a CUDA graph.
            runtime: The module ``onnxruntime`` or one like it.

        Raises:
            SessionError: ONNX Runtime lacks the provider, or it can't run the file, or not as a CUDA graph.
            ValueError: A CUDA graph is asked for on the CPU.
        """
        if cuda_graph and provider not in _GRAPHS:
            raise ValueError(f"cuda_graph: expected a provider of GPUs, seen {provider}; leave it out")
        self._path, self._provider, self._runtime, self._has_graph = path, provider, runtime, cuda_graph
        options = _OPTIONS.get(provider, {}) | (_GRAPHS[provider] if cuda_graph else {})
        self._opened = open_model(path, provider=provider, threads=threads, options=options, runtime=runtime)
        self._inputs, self._outputs = (self._values(of()) for of in (self._opened.get_inputs, self._opened.get_outputs))
        self._bindings: dict[tuple[tuple[int, ...], ...], Binding] = {}
        self._profiles = self._batches_of_model()
        is_dynamic = any(-1 in value.shape[1:] for value in self._inputs.values())
        if cuda_graph and (is_dynamic or not self._profiles):
            seen = ", ".join(str(value.shape) for value in self._inputs.values())
            raise SessionError(f"{path.name}: expected known shapes for a CUDA graph, seen {seen}; open it without one")
        self.batches = self._profiles[:1] if cuda_graph and provider == TENSORRT else self._profiles
        if not is_dynamic:
            self.batches = tuple(size for size in self.batches if self._warm_up(size))

    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each input; -1 where an axis is dynamic."""
        return {name: value.shape for name, value in self._inputs.items()}

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return every output by name, with a row for each of the inputs'; the arrays are overwritten by the next run.

        Args:
            inputs: Each ``(N, ...)``, of the model's types; not modified.

        Raises:
            SessionError: The inputs are not the model's, it failed, or an output has NaN or infinity.
        """
        rows = self._rows_of(inputs)
        split = parts(rows, self.batches)
        if not split:
            return {name: value.empty() for name, value in self._outputs.items()}
        outputs = self._run_part(inputs, split[0])
        if split[0].size != rows:
            outputs = self._joined(outputs, inputs, split)
        check_numbers(self._path.name, outputs)
        return outputs

    def close(self) -> None:
        """Release the model and its arrays."""
        self._bindings.clear()
        del self._opened

    def _values(self, declared: list[Any]) -> dict[str, _Value]:
        if odd := [value for value in declared if value.type not in TYPES]:
            seen = f"{odd[0].name} of {odd[0].type}"
            raise SessionError(f"{self._path.name}: expected {', '.join(TYPES)}, seen {seen}; prepare the model")
        return {value.name: _Value(np.dtype(TYPES[value.type]), tuple(value.shape or ())) for value in declared}

    def _batches_of_model(self) -> tuple[int, ...]:
        fixed = {value.shape[:1] for value in self._inputs.values()} - {(-1,)}
        if len(fixed) > 1 or () in fixed:
            seen = ", ".join(str(value.shape) for value in self._inputs.values())
            raise SessionError(f"{self._path.name}: expected inputs of one batch, seen {seen}; prepare the model")
        named = self._opened.get_modelmeta().custom_metadata_map.get("batches")
        try:
            sizes = [size for (size,) in fixed] if named is None else [int(size) for size in named.split(",")]
            parts(0, sizes)
        except ValueError:
            expected = f"{self._path.name}: expected batches such as 1,2"
            raise SessionError(f"{expected}, seen {named!r}; boot or build it again") from None
        return tuple(sorted(sizes))

    def _warm_up(self, size: int) -> bool:
        """Run zeros, and return whether the batch can be used."""
        zeros = {name: np.zeros((size, *value.shape[1:]), value.dtype) for name, value in self._inputs.items()}
        try:
            self._run_part(zeros, Part(0, size, size))
        except SessionError as error:
            if self._provider != RTX or size == self._profiles[0]:
                raise
            _log.warning("%s; rows run in batches smaller than %d", error, size)
            return False
        return True

    def _rows_of(self, inputs: Mapping[str, Array]) -> int:
        is_fit = inputs.keys() == self._inputs.keys() and all(
            self._inputs[name].accepts(inputs[name]) for name in inputs
        )
        if is_fit and len(rows := {len(array) for array in inputs.values()}) == 1:
            return rows.pop()
        expected = ", ".join(f"{name} {value.shape} {value.dtype}" for name, value in self._inputs.items())
        seen = ", ".join(f"{name} {array.shape} {array.dtype}" for name, array in inputs.items()) or "none"
        raise SessionError(f"{self._path.name}: expected it to run on {expected}, seen {seen}; give those")

    def _joined(self, first: dict[str, Array], inputs: Mapping[str, Array], split: list[Part]) -> dict[str, Array]:
        """Run all parts but the first, and return the rows of each, without those that only filled a batch."""
        rows, whole = split[-1].stop, dict[str, Array]()
        for part in split:
            outputs = self._run_part(inputs, part) if part.start else first
            if odd := [name for name, array in outputs.items() if array.shape[:1] != (part.size,)]:
                expected = f"{self._path.name}: expected {part.size} rows in {odd[0]}"
                raise SessionError(f"{expected}, seen {outputs[odd[0]].shape}; prepare the model")
            if len(split) == 1:
                return {name: array[:rows] for name, array in first.items()}
            for name, array in outputs.items():
                if name not in whole:
                    whole[name] = np.empty((rows, *array.shape[1:]), array.dtype)
                whole[name][part.start : part.stop] = array[: part.stop - part.start]
        return whole

    def _run_part(self, inputs: Mapping[str, Array], part: Part) -> dict[str, Array]:
        """Run rows, and the last of them again where they don't fill the batch."""
        shapes = {name: (part.size, *inputs[name].shape[1:]) for name in self._inputs}
        rows = part.stop - part.start
        try:
            binding = self._binding(shapes)
            for name, ours in binding.inputs.items():
                ours[:rows] = inputs[name][part.start : part.stop]
                ours[rows:] = inputs[name][part.stop - 1]
            return binding.run()
        except ERRORS as error:
            if not self._has_graph:  # a graph may be replayed, and keeps to its addresses
                self._bindings.pop(tuple(shapes.values()), None)  # it may be half bound
            raise SessionError(f"{self._path.name}: expected it to run, seen {reason_of(error)}") from None

    def _binding(self, shapes: Mapping[str, tuple[int, ...]]) -> Binding:
        """Return the arrays bound for inputs of these shapes; make them the first time."""
        key = tuple(shapes.values())
        if key not in self._bindings:
            if len(self._bindings) >= max(_KEPT, len(self.batches)):
                del self._bindings[next(iter(self._bindings))]
            size = key[0][0]
            entries = {"gpu_graph_id": str(size)} if self._has_graph else {}
            if self._provider == RTX and size in self._profiles:
                entries["nv_profile_index"] = str(self._profiles.index(size))
            self._bindings[key] = Binding(
                self._runtime,
                self._opened,
                inputs={name: np.zeros(shape, self._inputs[name].dtype) for name, shape in shapes.items()},
                outputs=self._output_arrays(shapes),
                declared={name: value.shape for name, value in self._outputs.items()},
                device="cpu" if self._provider == CPU else "cuda",
                entries=entries,
            )
        return self._bindings[key]

    def _output_arrays(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array | None]:
        """Return an array for each output; None where its shape is known only after a run.

        On the CPU that is every output: models that nobody prepared declare other shapes than their outputs have.
        """
        if self._provider == CPU:
            return dict.fromkeys(self._outputs)
        pairs = [pair for name in shapes for pair in zip(self._inputs[name].dims, shapes[name], strict=True)]
        axes = {dim: seen for dim, seen in pairs if isinstance(dim, str)}
        arrays: dict[str, Array | None] = {}
        for name, value in self._outputs.items():
            dims = [dim if isinstance(dim, int) else axes.get(dim or "", -1) for dim in value.dims]
            arrays[name] = None if -1 in dims or not dims else np.empty(dims, value.dtype)
        if self._has_graph and (unknown := [name for name, array in arrays.items() if array is None]):
            expected = f"{self._path.name}: expected known shapes for a CUDA graph"
            raise SessionError(f"{expected}, seen none of {', '.join(unknown)}; open it without one")
        return arrays

"""A session of ONNX Runtime: a model on the CPU, or an engine on a GPU with the provider that was asked for alone.

Conventions:

* The first axis of every input is the batch. An EPContext model names in its metadata, as ``batches``, the sizes that
  its engine is for; without them rows run as they come, or in parts of the model's fixed batch.
* A CUDA graph reads and writes at the addresses that it was captured with, so each batch keeps its arrays on the GPU.
  Without one ONNX Runtime copies the inputs to the GPU and the outputs from it.

No GPU has run this yet: what it says of the providers for GPUs is read in their sources, and tests ask a fake GPU.

Source: onnxruntime.ai, "TensorRT Execution Provider", "I/O Binding", and "CUDA Execution Provider" on CUDA graphs;
NVIDIA, TensorRT-RTX-EP-ABI, "Provider options" and its ``tensorrt_rtx_execution_provider.cc``.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from morphstream.artifact.errors import SessionError
from morphstream.session.provider import ERRORS, RTX, TENSORRT, TYPES, open_model, reason_of
from morphstream.session.runtime_cache import RuntimeCache
from morphstream.session.session import Array, Part, check_numbers, parts

_OPTIONS = {RTX: {"nv_multi_profile_enable": "1"}}  # each batch has a profile
_GRAPHS = {RTX: {"enable_cuda_graph": "1"}, TENSORRT: {"trt_cuda_graph_enable": "True"}}  # as each spells it
_CACHE = "nv_runtime_cache_path"
_PROFILE, _GRAPH = "nv_profile_index", "cuda_graph_annotation_id"  # of a run, in the provider for TensorRT for RTX

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Value:
    """An input or output as the model declares it; -1 where an axis is dynamic."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def accepts(self, array: Array) -> bool:
        """Return whether an array has its type and shape, with any number of rows."""
        pairs = zip(self.shape[1:], array.shape[1:], strict=False)
        is_fit = array.dtype == self.dtype and array.ndim == len(self.shape)
        return is_fit and all(expected in (-1, seen) for expected, seen in pairs)

    def zeros(self, rows: int) -> Array:
        """Return an array of it, in which other dynamic axes are empty."""
        return np.zeros((rows, *(max(dim, 0) for dim in self.shape[1:])), self.dtype)


class OnnxRuntimeSession:
    """A model on the CPU, or an engine on a GPU, opened and run once in each of its batches.

    Attributes:
        batches: The numbers of rows that run at once; empty where any number does.
    """

    def __init__(
        self,
        path: Path,
        *,
        provider: str,
        threads: int,
        cuda_graph: bool = False,
        cache: RuntimeCache | None = None,
        runtime: Any = onnxruntime,
    ) -> None:
        """Open a model, and run each of its batches on zeros, unless it has other dynamic axes.

        The provider for TensorRT for RTX may keep to an engine's first profile: a batch that it refuses is logged, and
        its rows run in smaller ones. TensorRT's provider holds one CUDA graph a session, of the smallest batch.

        Args:
            path: The ONNX file; for a GPU the EPContext model beside the engine.
            provider: ONNX Runtime's name of the provider that runs it.
            threads: Threads of one run on the CPU.
            cuda_graph: Whether a GPU replays runs as a CUDA graph.
            cache: Kernels for TensorRT for RTX, which the session closes once it is opened; None to keep none.
            runtime: The module ``onnxruntime`` or one like it.
        """
        if cuda_graph and provider not in _GRAPHS:
            raise ValueError(f"cuda_graph: expected a provider of GPUs, seen {provider}; leave it out")
        self._path, self._provider, self._runtime = path, provider, runtime
        options = _OPTIONS.get(provider, {}) | (_GRAPHS[provider] if cuda_graph else {})
        options |= {_CACHE: str(cache.folder)} if cache else {}
        self._opened = open_model(path, provider=provider, threads=threads, options=options, runtime=runtime)
        self._inputs, self._outputs = (self._values(of()) for of in (self._opened.get_inputs, self._opened.get_outputs))
        self._has_graph, self._bound = cuda_graph, dict[int, tuple[Any, dict[str, Any]]]()
        self._profiles = self._batches_of_model()
        shapes = [value.shape for value in (*self._inputs.values(), *self._outputs.values())]
        if cuda_graph and (any(-1 in shape[1:] for shape in shapes) or not self._profiles):
            seen = ", ".join(map(str, shapes))
            raise SessionError(f"{path.name}: expected known shapes for a CUDA graph, seen {seen}; open it without one")
        self.batches = self._profiles[:1] if cuda_graph and provider == TENSORRT else self._profiles
        if not any(-1 in value.shape[1:] for value in self._inputs.values()):
            self.batches = tuple(size for size in self.batches if self._warm_up(size))
        self._cache = cache

    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each input; -1 where an axis is dynamic."""
        return {name: value.shape for name, value in self._inputs.items()}

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Width and height of further images that it takes, one at a time."""
        return ()

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return every output by name, in arrays that are the caller's."""
        rows = self._rows_of(inputs)
        split = parts(rows, self.batches)
        if not split:
            return {name: value.zeros(0) for name, value in self._outputs.items()}
        ran = [self._run_part(inputs, part) for part in split]
        outputs = ran[0] if split[0].size == rows else self._joined(ran, split)
        check_numbers(self._path.name, outputs)
        return outputs

    def close(self) -> None:
        """Release the model, and what its CUDA graphs read and write; then keep the kernels that it compiled."""
        self._bound.clear()
        del self._opened
        if self._cache:
            self._cache.close()

    def _values(self, declared: list[Any]) -> dict[str, _Value]:
        values = {}
        for value in declared:
            if value.type not in TYPES:
                expected, seen = ", ".join(TYPES), f"{value.name} of {value.type}"
                raise SessionError(f"{self._path.name}: expected {expected}, seen {seen}; prepare the model")
            shape = tuple(dim if isinstance(dim, int) else -1 for dim in value.shape)
            values[value.name] = _Value(shape, np.dtype(TYPES[value.type]))
        return values

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
        try:
            self._run_part({name: value.zeros(size) for name, value in self._inputs.items()}, Part(0, size, size))
        except SessionError as error:
            if self._provider != RTX or size == self._profiles[0]:
                raise
            _log.warning("%s; rows run in batches smaller than %d", error, size)
            return False
        return True

    def _rows_of(self, inputs: Mapping[str, Array]) -> int:
        fits = inputs.keys() == self._inputs.keys() and all(self._inputs[name].accepts(inputs[name]) for name in inputs)
        if fits and len(rows := {len(array) for array in inputs.values()}) == 1:
            return rows.pop()
        expected = ", ".join(f"{name} {value.shape} {value.dtype}" for name, value in self._inputs.items())
        seen = ", ".join(f"{name} {array.shape} {array.dtype}" for name, array in inputs.items()) or "none"
        raise SessionError(f"{self._path.name}: expected it to run on {expected}, seen {seen}; give those")

    def _run_part(self, inputs: Mapping[str, Array], part: Part) -> dict[str, Array]:
        """Run rows, and the last of them again where they don't fill the batch."""
        rows = range(part.start, part.start + part.size)
        batch = {name: array.take(rows, axis=0, mode="clip") for name, array in inputs.items()}
        options = self._runtime.RunOptions()
        options.log_severity_level = 4  # errors are raised
        if self._provider == RTX and part.size in self._profiles:
            options.add_run_config_entry(_PROFILE, str(self._profiles.index(part.size)))
            if self._has_graph:
                options.add_run_config_entry(_GRAPH, str(part.size))
        try:
            run = self._run_graph if self._has_graph else partial(self._opened.run, list(self._outputs))
            return dict(zip(self._outputs, run(batch, options), strict=True))
        except ERRORS as error:
            raise SessionError(f"{self._path.name}: expected it to run, seen {reason_of(error)}") from None

    def _run_graph(self, batch: Mapping[str, Array], options: Any) -> list[Array]:
        """Run on the arrays that the batch keeps on the GPU."""
        size = len(next(iter(batch.values())))
        if size not in self._bound:
            value_of, binding = self._runtime.OrtValue.ortvalue_from_numpy, self._opened.io_binding()
            self._bound[size] = binding, {name: value_of(array, "cuda", 0) for name, array in batch.items()}
            for name, value in self._bound[size][1].items():
                binding.bind_ortvalue_input(name, value)
            for name, output in self._outputs.items():
                binding.bind_ortvalue_output(name, value_of(output.zeros(size), "cuda", 0))
        binding, values = self._bound[size]
        for name, array in batch.items():
            values[name].update_inplace(array)
        self._opened.run_with_iobinding(binding, options)
        return list(binding.copy_outputs_to_cpu())

    def _joined(self, ran: Sequence[Mapping[str, Array]], split: Sequence[Part]) -> dict[str, Array]:
        """Return the rows of all parts, without those that only filled a batch."""
        for outputs, part in zip(ran, split, strict=True):
            if odd := [name for name, array in outputs.items() if array.shape[:1] != (part.size,)]:
                expected = f"{self._path.name}: expected {part.size} rows in {odd[0]}"
                raise SessionError(f"{expected}, seen {outputs[odd[0]].shape}; prepare the model")
        rows = split[-1].stop
        return {name: np.concatenate([outputs[name] for outputs in ran])[:rows] for name in self._outputs}

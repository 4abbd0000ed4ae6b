"""A session of ONNX Runtime: a model on the CPU, or an engine on a GPU with the provider that was asked for alone.

Conventions:

* The first axis of every input is the batch. An EPContext model names in its metadata, as ``batches``, the sizes that
  its engine is for; without them rows run as they come, or in parts of the model's fixed batch.
* Where its engine takes images of several sizes, ``sizes`` names the shapes of a row at each. The first, the usual
  one, is that of all batches; at a further one rows run one by one. Profiles are in that order.
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
from morphstream.session.session import Array, Part, check_numbers, parts, read_sizes

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

    def at(self, row: tuple[int, ...]) -> "_Value":
        """Return it with rows of a shape."""
        return _Value((*self.shape[:1], *row), self.dtype)


@dataclass(frozen=True, slots=True)
class _Size:
    """A size that a model is for: the number of the profile of each batch, its inputs and its outputs."""

    profiles: Mapping[int, int]
    inputs: Mapping[str, _Value]
    outputs: Mapping[str, _Value]

    def fits(self, inputs: Mapping[str, Array]) -> bool:
        """Return whether arrays are its inputs, with any number of rows."""
        return inputs.keys() == self.inputs.keys() and all(self.inputs[name].accepts(inputs[name]) for name in inputs)


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
        self._path, self._provider, self._runtime, self._cache = path, provider, runtime, cache
        options = _OPTIONS.get(provider, {}) | (_GRAPHS[provider] if cuda_graph else {})
        options |= {_CACHE: str(cache.folder)} if cache else {}
        self._opened = open_model(path, provider=provider, threads=threads, options=options, runtime=runtime)
        self._has_graph, self._bound = cuda_graph, dict[int, tuple[Any, dict[str, Any]]]()
        self._usual, *self._further = self._sizes_of_model()
        self.batches = tuple(self._usual.profiles)
        if cuda_graph:
            self._check_known()
        if cuda_graph and provider == TENSORRT:
            self.batches, self._further = self.batches[:1], []
        if not any(-1 in value.shape[1:] for value in self._usual.inputs.values()):
            self.batches = tuple(rows for rows in self.batches if self._warm_up(self._usual, rows))
            self._further = [size for size in self._further if self._warm_up(size, 1)]

    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each input; -1 where an axis is dynamic."""
        return {name: value.shape for name, value in self._usual.inputs.items()}

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Width and height of further images that it takes, one at a time."""
        return [(value.shape[2], value.shape[1]) for size in self._further for value in size.inputs.values()]

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return every output by name, in arrays that are the caller's."""
        rows, size = self._rows_of(inputs), self._usual
        if not size.fits(inputs):
            size = next(size for size in self._further if size.fits(inputs))
        split = parts(rows, self.batches if size is self._usual else (1,))
        if not split:
            return {name: value.zeros(0) for name, value in size.outputs.items()}
        ran = [self._run_part(size, inputs, part) for part in split]
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

    def _sizes_of_model(self) -> list[_Size]:
        """Return the sizes that the model is for, the usual one first."""
        inputs, outputs = (self._values(of()) for of in (self._opened.get_inputs, self._opened.get_outputs))
        named = self._opened.get_modelmeta().custom_metadata_map
        batches = self._batches_of(inputs, named.get("batches"))
        usual = _Size({rows: place for place, rows in enumerate(batches)}, inputs, outputs)
        if "sizes" not in named:
            return [usual]
        try:
            sizes = [
                [{name: value.at(size[name]) for name, value in values.items()} for values in (inputs, outputs)]
                for size in read_sizes(named["sizes"])
            ]
            further = [_Size({1: len(batches) + place}, *size) for place, size in enumerate(sizes[1:])]
            return [_Size(usual.profiles, *sizes[0]), *further]
        except (ValueError, LookupError) as error:
            seen = f"{type(error).__name__} {error}"
            raise SessionError(f"{self._path.name}: expected sizes, seen {seen}; boot or build it again") from None

    def _batches_of(self, inputs: Mapping[str, _Value], named: str | None) -> list[int]:
        fixed = {value.shape[:1] for value in inputs.values()} - {(-1,)}
        if len(fixed) > 1 or () in fixed:
            seen = ", ".join(str(value.shape) for value in inputs.values())
            raise SessionError(f"{self._path.name}: expected inputs of one batch, seen {seen}; prepare the model")
        try:
            sizes = [size for (size,) in fixed] if named is None else [int(size) for size in named.split(",")]
            parts(0, sizes)
        except ValueError:
            expected = f"{self._path.name}: expected batches such as 1,2"
            raise SessionError(f"{expected}, seen {named!r}; boot or build it again") from None
        return sorted(sizes)

    def _check_known(self) -> None:
        shapes = [value.shape for value in (*self._usual.inputs.values(), *self._usual.outputs.values())]
        if any(-1 in shape[1:] for shape in shapes) or not self.batches:
            seen = ", ".join(map(str, shapes))
            expected = f"{self._path.name}: expected known shapes for a CUDA graph"
            raise SessionError(f"{expected}, seen {seen}; open it without one")

    def _warm_up(self, size: _Size, rows: int) -> bool:
        """Run zeros, and return whether the batch can be used at a size."""
        try:
            self._run_part(size, {name: value.zeros(rows) for name, value in size.inputs.items()}, Part(0, rows, rows))
        except SessionError as error:
            if self._provider != RTX or size.profiles[rows] == 0:
                raise
            kept = f"rows run in batches smaller than {rows}" if size is self._usual else "it isn't used at this size"
            _log.warning("%s; %s", error, kept)
            return False
        return True

    def _rows_of(self, inputs: Mapping[str, Array]) -> int:
        fits = any(size.fits(inputs) for size in (self._usual, *self._further))
        if fits and len(rows := {len(array) for array in inputs.values()}) == 1:
            return rows.pop()
        expected = ", ".join(f"{name} {value.shape} {value.dtype}" for name, value in self._usual.inputs.items())
        seen = ", ".join(f"{name} {array.shape} {array.dtype}" for name, array in inputs.items()) or "none"
        raise SessionError(f"{self._path.name}: expected it to run on {expected}, seen {seen}; give those")

    def _run_part(self, size: _Size, inputs: Mapping[str, Array], part: Part) -> dict[str, Array]:
        """Run rows, and the last of them again where they don't fill the batch."""
        rows = range(part.start, part.start + part.size)
        batch = {name: array.take(rows, axis=0, mode="clip") for name, array in inputs.items()}
        options = self._runtime.RunOptions()
        options.log_severity_level = 4  # errors are raised
        profile = size.profiles.get(part.size)
        if self._provider == RTX and profile is not None:
            options.add_run_config_entry(_PROFILE, str(profile))
            if self._has_graph:
                options.add_run_config_entry(_GRAPH, str(profile + 1))
        try:
            run = partial(self._run_graph, size) if self._has_graph else partial(self._opened.run, list(size.outputs))
            return dict(zip(size.outputs, run(batch, options), strict=True))
        except ERRORS as error:
            raise SessionError(f"{self._path.name}: expected it to run, seen {reason_of(error)}") from None

    def _run_graph(self, size: _Size, batch: Mapping[str, Array], options: Any) -> list[Array]:
        """Run on the arrays that the batch keeps on the GPU."""
        rows = len(next(iter(batch.values())))
        profile = size.profiles[rows]
        if profile not in self._bound:
            value_of, binding = self._runtime.OrtValue.ortvalue_from_numpy, self._opened.io_binding()
            self._bound[profile] = binding, {name: value_of(array, "cuda", 0) for name, array in batch.items()}
            for name, value in self._bound[profile][1].items():
                binding.bind_ortvalue_input(name, value)
            for name, output in size.outputs.items():
                binding.bind_ortvalue_output(name, value_of(output.zeros(rows), "cuda", 0))
        binding, values = self._bound[profile]
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
        return {name: np.concatenate([outputs[name] for outputs in ran])[:rows] for name in ran[0]}

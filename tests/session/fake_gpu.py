"""An ONNX Runtime that pretends to have a GPU: it runs on the CPU what it is asked to run there.

Its values keep memory of their own, as those of a GPU do, so that what is not copied is not seen.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from morphstream.session.session import Array

Entries = dict[str, str]
KERNELS = b"kernels" * 100


@dataclass
class Options:
    """Configuration of a run."""

    log_severity_level: int = 2
    entries: Entries = field(default_factory=dict)

    def add_run_config_entry(self, key: str, value: str) -> None:
        """Remember an entry."""
        self.entries[key] = value


class OrtValue:
    """Memory of a GPU."""

    @staticmethod
    def ortvalue_from_numpy(array: Array, device: str, device_id: int) -> Any:
        """Return a value that holds a copy."""
        assert (device, device_id) == ("cuda", 0)
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.array(array))


@dataclass
class Binding:
    """A binding of ONNX Runtime's, on the CPU."""

    real: Any
    addresses: list[int] = field(default_factory=list)

    def bind_ortvalue_input(self, name: str, value: Any) -> None:
        """Bind a value of the GPU."""
        self.addresses.append(value.data_ptr())
        self.real.bind_ortvalue_input(name, value)

    def bind_ortvalue_output(self, name: str, value: Any) -> None:
        """Bind a value of the GPU."""
        self.addresses.append(value.data_ptr())
        self.real.bind_ortvalue_output(name, value)

    def copy_outputs_to_cpu(self) -> list[Array]:
        """Return copies."""
        return [np.array(array) for array in self.real.copy_outputs_to_cpu()]


@dataclass
class FakeGpu:
    """The module ``onnxruntime``, its options and its sessions in one, and what each was asked.

    Attributes:
        provider: The only one it has.
        used: The one that sessions run with, where it is another.
        refused: Batches that the provider can't run.
        refused_profiles: Profiles that it can't run.
        config: Entries of the session's options.
        providers: What a session was opened with.
        runs: Batch, entries and bound addresses of each run.
        real: The session on the CPU.
    """

    provider: str
    used: str = ""
    refused: tuple[int, ...] = ()
    refused_profiles: tuple[str, ...] = ()
    config: Entries = field(default_factory=dict)
    providers: Any = None
    runs: list[tuple[int, Entries, tuple[int, ...]]] = field(default_factory=list)
    real: Any = None

    RunOptions = Options
    OrtValue = OrtValue
    ExecutionMode = onnxruntime.ExecutionMode

    def SessionOptions(self) -> "FakeGpu":  # noqa: N802
        """Return what remembers entries."""
        return self

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Remember an entry."""
        self.config[key] = value

    def get_available_providers(self) -> list[str]:
        """Return the provider and the CPU's."""
        return [self.provider, "CPUExecutionProvider"]

    def InferenceSession(self, path: Path, settings: "FakeGpu", *, providers: Any, enable_fallback: int) -> "FakeGpu":  # noqa: N802
        """Open a model on the CPU."""
        assert settings is self
        assert enable_fallback == 0
        self.providers = providers
        self.real = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return self

    def get_providers(self) -> list[str]:
        """Return what runs the model, the first first."""
        return [self.used or self.provider, "CPUExecutionProvider"]

    def get_inputs(self) -> Sequence[Any]:
        """Return the model's."""
        inputs: Sequence[Any] = self.real.get_inputs()
        return inputs

    def get_outputs(self) -> Sequence[Any]:
        """Return the model's."""
        outputs: Sequence[Any] = self.real.get_outputs()
        return outputs

    def get_modelmeta(self) -> Any:
        """Return the model's."""
        return self.real.get_modelmeta()

    def run(self, names: list[str], inputs: dict[str, Array], options: Options) -> list[Array]:
        """Run, unless the batch is refused."""
        self._begin(len(next(iter(inputs.values()))), options, ())
        outputs: list[Array] = self.real.run(names, inputs)
        return outputs

    def io_binding(self) -> Binding:
        """Return a binding."""
        return Binding(self.real.io_binding())

    def run_with_iobinding(self, binding: Binding, options: Options) -> None:
        """Run on memory of the GPU, unless the batch is refused."""
        self._begin(next(iter(binding.real._bound_inputs.values())).shape()[0], options, tuple(binding.addresses))
        self.real.run_with_iobinding(binding.real)

    def _begin(self, size: int, options: Options, addresses: tuple[int, ...]) -> None:
        if size in self.refused or options.entries.get("nv_profile_index") in self.refused_profiles:
            raise RuntimeError("failed to call\nsetInputShape()")
        self.runs.append((size, options.entries, addresses))


class _Caching:
    """A session of a provider that reads its runtime cache when it is opened, and writes it when it is gone."""

    def __init__(self, gpu: "FakeRtx", real: FakeGpu, file: Path) -> None:
        self.real, self._file = real, file
        gpu.seen.append(file.read_bytes() if file.exists() else b"")
        self._written = gpu.seen[-1] or gpu.kernels

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def __del__(self) -> None:
        with suppress(OSError):  # NVIDIA's writes a line on stderr then
            self._file.write_bytes(self._written)


@dataclass
class FakeRtx(FakeGpu):
    """ONNX Runtime with a provider that compiles kernels where it has no runtime cache.

    Attributes:
        seen: What each session found in its cache.
        kernels: What it compiles.
    """

    provider: str = "NvTensorRTRTXExecutionProvider"
    seen: list[bytes] = field(default_factory=list)
    kernels: bytes = KERNELS

    def InferenceSession(self, path: Path, settings: FakeGpu, *, providers: Any, enable_fallback: int) -> Any:  # noqa: N802
        """Open a model and its runtime cache."""
        real = FakeGpu.InferenceSession(self, path, settings, providers=providers, enable_fallback=enable_fallback)
        stem = path.name.removesuffix("_ctx.onnx")
        return _Caching(self, replace(real), Path(providers[0][1]["nv_runtime_cache_path"], stem))

"""What GPUs this machine has and how much of each is in use now, by NVML; it decides nothing, people read it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from morphstream.machine.probe import nvml_binding

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU; None stands for what its driver doesn't give, such as the use of a part of one (MIG).

    Attributes:
        index: Its number, as NVML counts.
        name: Such as ``NVIDIA L4``.
        memory_bytes: Its memory.
        used_bytes: Memory that programs have, not only this one.
        busy: Part of the last second or less in which it calculated, 0..1.

    Source: docs.nvidia.com, "NVML API Reference Guide", nvmlMemory_t and nvmlUtilization_t.
    """

    index: int
    name: str
    memory_bytes: int | None = None
    used_bytes: int | None = None
    busy: float | None = None

    def __str__(self) -> str:
        memory = "unknown memory" if self.memory_bytes is None else f"{self.memory_bytes / 2**30:.1f} GiB"
        used = "unknown" if self.used_bytes is None else f"{self.used_bytes / 2**30:.1f} GiB"
        busy = "unknown" if self.busy is None else f"{self.busy:.0%}"
        return f"{self.name}, {memory}, in use: memory {used}, time {busy}"


def read_gpus(nvml: Any = None) -> tuple[Gpu, ...]:
    """Ask the GPU driver, by the module ``pynvml`` or one like it; none where it can't be asked."""
    if nvml is None and (nvml := nvml_binding()) is None:
        return ()
    with suppress(nvml.NVMLError):
        nvml.nvmlInit()
        try:
            return tuple(_read(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
        finally:
            nvml.nvmlShutdown()
    return ()


def _read(nvml: Any, index: int) -> Gpu:
    def ask(what: Callable[[Any], T]) -> T | None:
        with suppress(nvml.NVMLError):
            return what(handle)
        return None

    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    name, memory, use = map(
        ask, (nvml.nvmlDeviceGetName, nvml.nvmlDeviceGetMemoryInfo, nvml.nvmlDeviceGetUtilizationRates)
    )
    return Gpu(
        index=index,
        name=(name.decode(errors="replace") if isinstance(name, bytes) else name) or "a GPU without a name",
        memory_bytes=memory and memory.total,
        used_bytes=memory and memory.used,
        busy=None if use is None else use.gpu / 100,
    )

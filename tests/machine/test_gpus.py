"""GPUs are named with their memory and use as a driver gives them; what one doesn't give is unknown. NVML is a fake."""

from types import SimpleNamespace

import pytest

from morphstream.machine.gpus import Gpu, read_gpus
from tests.machine.test_probe import NvmlError, ask

L4 = Gpu(index=0, name="NVIDIA L4", memory_bytes=24 << 30, used_bytes=3 << 29, busy=0.37)


def nvml_of(*names: str | bytes, fault: str = "", memory_fault: str = "", use_fault: str = "") -> SimpleNamespace:
    """Return the part of pynvml that is asked, for GPUs of these names, each as `L4` is."""
    opened: list[str] = []
    memory, use = SimpleNamespace(total=24 << 30, used=3 << 29), SimpleNamespace(gpu=37)
    return SimpleNamespace(
        opened=opened,
        NVMLError=NvmlError,
        nvmlInit=lambda: opened.append(ask("nvml", fault)),
        nvmlShutdown=opened.clear,
        nvmlDeviceGetCount=lambda: len(names),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda index: names[index],
        nvmlDeviceGetMemoryInfo=lambda _: ask(memory, memory_fault),
        nvmlDeviceGetUtilizationRates=lambda _: ask(use, use_fault),
    )


def test_each_gpu_is_read() -> None:
    nvml = nvml_of("NVIDIA L4", b"NVIDIA T4")
    first, second = read_gpus(nvml)
    assert first == L4
    assert str(first) == "NVIDIA L4, 24.0 GiB, in use: memory 1.5 GiB, time 37%"
    assert (second.index, second.name) == (1, "NVIDIA T4")
    assert not nvml.opened


def test_what_a_driver_does_not_give_is_unknown() -> None:
    (gpu,) = read_gpus(nvml_of("NVIDIA A100 MIG 1g.5gb", memory_fault="No Permission", use_fault="Not Supported"))
    assert str(gpu) == "NVIDIA A100 MIG 1g.5gb, unknown memory, in use: memory unknown, time unknown"
    (gpu,) = read_gpus(nvml_of("NVIDIA L4", use_fault="Not Supported"))
    assert (gpu.used_bytes, gpu.busy) == (3 << 29, None)


@pytest.mark.parametrize("nvml", [nvml_of(fault="Driver Not Loaded"), nvml_of()], ids=["no driver", "no GPU"])
def test_without_gpus_there_are_none(nvml: SimpleNamespace) -> None:
    assert read_gpus(nvml) == ()
    assert not nvml.opened

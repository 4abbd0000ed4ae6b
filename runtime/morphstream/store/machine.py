"""What this machine is and has; which engines follow from it is `select`'s."""

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

_ARCHS = {"amd64": "x86_64", "arm64": "aarch64"}  # as Windows and macOS say it
_CPUINFO = Path("/proc/cpuinfo")
_BFLOAT16 = {"avx512_bf16", "amx_bf16"}  # the kernel's names of the instructions, of which one is enough
_RELEASE = re.compile(r"[0-9]+(\.[0-9]+)+")  # of a version such as 1.24.4.dev1+cu12

# The packages that bring a library, the one that decides first.
_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "openvino": ("openvino",),
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime"),
    "tensorrt_rtx": ("tensorrt-rtx-cu12-libs", "tensorrt-rtx-cu13-libs"),
    "tensorrt": ("tensorrt", "tensorrt-cu12", "tensorrt-cu13"),
}
_RTX_PROVIDER = "onnxruntime-ep-nv-tensorrt-rtx-cu12"  # carries a TensorRT for RTX of its own
_RTX_LIBRARY = re.compile(rf"libtensorrt_rtx\.so\.({_RELEASE.pattern})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What decides which engines a machine can run.

    Attributes:
        arch: Of its CPU: ``x86_64``, ``aarch64``, or what else the system calls it.
        gpu_archs: Of its GPUs, such as ``sm89``, each once, in the driver's order.
        libraries: Version of each library that runs engines, in digits and dots, by library.
        driver: Version of the GPU driver; None where it can't be asked.
        no_gpu: Why there are no GPUs, in a few words; empty where there are.
        has_bfloat16: The CPU calculates in bfloat16, with instructions for it.

    Raises:
        ValueError: A version is not of that form.
    """

    arch: str
    gpu_archs: tuple[str, ...]
    libraries: Mapping[str, str]
    driver: str | None = None
    no_gpu: str = ""
    has_bfloat16: bool = False

    def __post_init__(self) -> None:
        for library, version in self.libraries.items():
            if not _RELEASE.fullmatch(version):
                raise ValueError(f"expected a version of {library} such as 1.24.4, seen {version!r}")


def probe_machine() -> Machine:
    """Ask the system, the GPU driver and the installed packages; loads none of the libraries."""
    name = platform.machine().lower()
    gpus = probe_gpus(_nvml())
    return Machine(
        arch=_ARCHS.get(name, name),
        gpu_archs=gpus.archs,
        libraries=probe_libraries(),
        driver=gpus.driver,
        no_gpu=gpus.reason,
        has_bfloat16=probe_bfloat16(),
    )


def probe_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Return whether the CPU has instructions for bfloat16, as Linux says it; False where it says nothing.

    OpenVINO takes CPUs with AVX-512 alone too, and only simulates there what the others calculate.

    Source: docs.openvino.ai, 2021.4, "Bfloat16 Inference".
    """
    try:
        lines = cpuinfo.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return not _BFLOAT16.isdisjoint(flags.split())


class Gpus(NamedTuple):
    """What the GPU driver says, in the words of `Machine`."""

    archs: tuple[str, ...]
    driver: str | None
    reason: str


def probe_gpus(nvml: Any) -> Gpus:
    """Ask the GPU driver.

    Args:
        nvml: The module ``pynvml`` or one like it; None where there is none.
    """
    if nvml is None:
        return Gpus((), None, "nvidia-ml-py is not installed")
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return Gpus((), None, str(error))
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        capabilities = [nvml.nvmlDeviceGetCudaComputeCapability(handle) for handle in handles]
        archs = dict.fromkeys(f"sm{major}{minor}" for major, minor in capabilities)
        return Gpus(tuple(archs), nvml.nvmlSystemGetDriverVersion(), "" if archs else "the driver lists none")
    except nvml.NVMLError as error:
        return Gpus((), None, str(error))
    finally:
        nvml.nvmlShutdown()


def probe_libraries() -> dict[str, str]:
    """Return the version of each library that runs engines, where it is installed."""
    found = {library: _version_of(packages) for library, packages in _PACKAGES.items()}
    found["tensorrt_rtx"] = _bundled_rtx_version() or found["tensorrt_rtx"]
    return {library: version for library, version in found.items() if version}


def _nvml() -> Any:
    try:
        import pynvml  # here, so that machines without GPUs need no binding
    except ImportError:
        return None
    return pynvml


def _version_of(packages: tuple[str, ...]) -> str | None:
    for package in packages:
        for distribution in metadata.distributions(name=package):
            if release := _RELEASE.match(distribution.version):
                return release[0]
    return None


def _bundled_rtx_version() -> str | None:
    """Read the version off the provider's file list: its own version says nothing about it."""
    for distribution in metadata.distributions(name=_RTX_PROVIDER):
        for file in distribution.files or ():
            if found := _RTX_LIBRARY.fullmatch(file.name):
                return found[1]
    return None

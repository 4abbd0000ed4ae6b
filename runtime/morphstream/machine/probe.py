"""Probe this machine; `select` chooses engines by the result, and `findings` explains what keeps them from running.

No library that runs engines is loaded: versions are those of packages, or in the names of files. A machine whose driver
shows no GPU isn't searched for libraries that only GPUs need.
"""

import platform
import re
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from morphstream.machine.libraries import DRIVER_LIBRARY, TENSORRT_LIBRARIES, find_libraries, missing_libraries

NO_BINDING = "nvidia-ml-py is not installed"  # the reason for no GPUs where the driver wasn't asked
_ARCHS = {"amd64": "x86_64", "arm64": "aarch64"}  # as Windows and macOS name them
_CPUINFO = Path("/proc/cpuinfo")
_BFLOAT16 = {"avx512_bf16", "amx_bf16"}  # the kernel's names of the instructions, of which one is enough
_RELEASE = re.compile(r"[0-9]+(\.[0-9]+)+")  # of a version such as 1.24.4.dev1+cu12

# The library that each package brings; of several that bring one, the first decides its version.
_LIBRARIES: Mapping[str, str] = {
    "openvino": "openvino",
    "onnxruntime-gpu": "onnxruntime",
    "onnxruntime": "onnxruntime",
    "tensorrt-rtx-cu12-libs": "tensorrt_rtx",
    "tensorrt-rtx-cu13-libs": "tensorrt_rtx",
    "tensorrt": "tensorrt",
    "tensorrt-cu12": "tensorrt",
    "tensorrt-cu13": "tensorrt",
}
RTX_PROVIDER = (
    "onnxruntime-ep-nv-tensorrt-rtx-cu12"  # opens engines of TensorRT for RTX; carries a TensorRT for RTX of its own
)
TENSORRT_PROVIDER = "onnxruntime-gpu"  # opens engines of TensorRT
_CUDA_PACKAGES = ("nvidia-cuda-runtime-cu12", "nvidia-cuda-runtime")  # nvidia-cuda-runtime-cu13 is empty
_CUDA_MAJOR = re.compile(r".*-cu([0-9]{2})(-libs)?")  # of what a package was built for
_DRIVER_FILES = ("dev/nvidiactl", "dev/nvidia0", "dev/dxg", "proc/driver/nvidia/version")  # dxg is WSL's


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What decides which engines a machine can run.

    Attributes:
        arch: Arch of its CPU: ``x86_64``, ``aarch64``, or the system's own name for it.
        gpu_archs: Archs of its GPUs, such as ``sm89``, each once, in the driver's order.
        libraries: Version of each library that runs engines, in digits and dots, by library.
        driver: Version of the GPU driver; None where it can't be asked.
        no_gpu: Why there are no GPUs, in a few words; empty where there are.
        has_bfloat16: The CPU has instructions for bfloat16.
        driver_cuda: Highest CUDA that the driver runs, such as ``12.9``; None where it can't be asked.
        cuda: CUDA that the libraries here bring or need, ``12.0`` where only ``12`` is known; None where nothing is.
        packages: Packages that bring the libraries, by pip's names; empty where none is known.
        driver_files: Paths that a GPU driver makes, if no GPU is seen; in a container they may be the host's.
        missing: Libraries of the driver and of the installed provider for TensorRT that can't be found, by soname.

    Raises:
        ValueError: A version is not of that form.
    """

    arch: str
    gpu_archs: tuple[str, ...]
    libraries: Mapping[str, str]
    driver: str | None = None
    no_gpu: str = ""
    has_bfloat16: bool = False
    driver_cuda: str | None = None
    cuda: str | None = None
    packages: tuple[str, ...] = ()
    driver_files: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for library, version in self.libraries.items():
            if not _RELEASE.fullmatch(version):
                raise ValueError(f"expected a version of {library} such as 1.24.4, seen {version!r}")


def probe_machine(nvml: Any = None) -> Machine:
    """Ask the system, the GPU driver and the installed packages; loads none of the libraries.

    Args:
        nvml: The module ``pynvml`` or one like it; None for the installed one.
    """
    name, gpus, packages = platform.machine().lower(), probe_gpus(nvml or nvml_binding()), _packages()
    libraries, cuda, missing = probe_libraries(packages), None, tuple[str, ...]()
    if gpus.archs:
        needed = TENSORRT_LIBRARIES if TENSORRT_PROVIDER in packages else {}
        missing = missing_libraries({DRIVER_LIBRARY: "", **needed})
        cuda = probe_cuda(packages)
        found = find_libraries({"tensorrt", "tensorrt_rtx", *([] if cuda else ["cuda"])} - libraries.keys())
        cuda = found.pop("cuda", cuda)
        libraries |= found
        if TENSORRT_PROVIDER in packages and RTX_PROVIDER not in packages:
            libraries.pop("tensorrt_rtx", None)  # engines are built with it, and this ONNX Runtime opens none of them
    return Machine(
        arch=_ARCHS.get(name, name),
        gpu_archs=gpus.archs,
        libraries=libraries,
        driver=gpus.driver,
        no_gpu=gpus.reason,
        has_bfloat16=probe_bfloat16(),
        driver_cuda=gpus.cuda,
        cuda=cuda,
        packages=tuple(packages),
        driver_files=() if gpus.archs else probe_driver_files(),
        missing=missing,
    )


def probe_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Return whether the CPU has instructions for bfloat16 by Linux's list of them; False where there is none.

    OpenVINO also accepts CPUs with AVX-512 alone, where it only simulates bfloat16.

    Source: docs.openvino.ai, 2021.4, "Bfloat16 Inference".
    """
    try:
        lines = cpuinfo.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return not _BFLOAT16.isdisjoint(flags.split())


def probe_driver_files(root: Path = Path("/")) -> tuple[str, ...]:
    """Return the paths that a GPU driver makes and that are there."""
    return tuple(f"/{path}" for path in _DRIVER_FILES if (root / path).exists())


class Gpus(NamedTuple):
    """What the GPU driver reports, in the terms of `Machine`."""

    archs: tuple[str, ...]
    driver: str | None
    reason: str
    cuda: str | None = None


def probe_gpus(nvml: Any) -> Gpus:
    """Ask the GPU driver by the module ``pynvml`` or one like it; None where there is none."""
    if nvml is None:
        return Gpus((), None, NO_BINDING)
    try:
        nvml.nvmlInit()
        try:
            handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
            capabilities = [nvml.nvmlDeviceGetCudaComputeCapability(handle) for handle in handles]
            archs = tuple(dict.fromkeys(f"sm{major}{minor}" for major, minor in capabilities))
            reason = "" if archs else "the driver lists none"
            return Gpus(archs, nvml.nvmlSystemGetDriverVersion(), reason, _driver_cuda(nvml))
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        return Gpus((), None, str(error))


def probe_libraries(packages: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the version of each library that runs engines, by that of the packages that bring it (None: installed)."""
    packages = _packages() if packages is None else packages
    found = dict[str, str]()
    for name in filter(packages.get, _LIBRARIES):
        found.setdefault(_LIBRARIES[name], packages[name])
    if RTX_PROVIDER in packages and (bundled := _bundled_version("libtensorrt_rtx")):
        found["tensorrt_rtx"] = bundled
    return found


def probe_cuda(packages: Collection[str]) -> str | None:
    """Return the CUDA that packages bring or need, in digits and dots; None where neither is known.

    Args:
        packages: The packages that bring the libraries. Built for ``cu12`` they need ``12.0``: any CUDA of a major
            version runs what was built for another.

    Source: docs.nvidia.com, "CUDA Compatibility", "Minor Version Compatibility".
    """
    if RTX_PROVIDER in packages and (bundled := _bundled_version("libcudart")):
        return bundled  # which it uses, whatever else is there
    exact, other = map(_installed().get, _CUDA_PACKAGES)
    built_for = [match[1] for package in packages if (match := _CUDA_MAJOR.fullmatch(package))]
    return exact or (f"{min(built_for)}.0" if built_for else other)


def _driver_cuda(nvml: Any) -> str | None:
    """Return the highest CUDA that runs here: the one of the library that programs load, or else of the driver.

    Source: docs.nvidia.com, "NVML API Reference Guide", "System Queries"; a number is 1000 * major + 10 * minor.
    """
    for ask in (nvml.nvmlSystemGetCudaDriverVersion_v2, nvml.nvmlSystemGetCudaDriverVersion):
        with suppress(nvml.NVMLError):
            number = ask()
            return f"{number // 1000}.{number % 1000 // 10}"
    return None


def nvml_binding() -> Any:
    """Return the module that asks the GPU driver; None where it isn't installed."""
    try:
        import pynvml  # here, so that machines without GPUs need no binding
    except ImportError:
        return None
    return pynvml


def _packages() -> dict[str, str]:
    """Return the version of each installed package that brings a library, in the order in which they decide."""
    installed = _installed()
    return {name: installed[name] for name in (*_LIBRARIES, RTX_PROVIDER) if name in installed}


def _installed() -> dict[str, str]:
    """Return the version of each installed package, by the names of their folders of metadata.

    importlib.metadata reads the same out of files, and takes as long to load as the rest of a boot of what is there.
    """
    found = dict[str, str]()
    for folder in sys.path:
        for entry in Path(folder or ".").glob("*.dist-info"):
            name, _, version = entry.stem.partition("-")
            if release := _RELEASE.match(version):
                found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), release[0])
    return found


def _bundled_version(stem: str) -> str | None:
    """Return the version of a library from the file list of the provider for RTX; the provider's own is unrelated."""
    from importlib import metadata  # here, as it takes long to load

    named = re.compile(rf"{stem}\.so\.({_RELEASE.pattern})")
    lists = (distribution.files or () for distribution in metadata.distributions(name=RTX_PROVIDER))
    libraries = (named.fullmatch(file.name) for file in chain.from_iterable(lists))
    return next((library[1] for library in libraries if library), None)

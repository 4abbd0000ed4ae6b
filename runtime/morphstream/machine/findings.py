"""Find what keeps a machine from using its GPUs or its CPU, each finding one line with its remedy.

Source:
    * docs.nvidia.com, "CUDA Compatibility", "Minor Version Compatibility", table 1: CUDA 12.x runs on drivers from 525
      on, 13.x from 580 on, whatever the minor versions; "CUDA Toolkit Release Notes", 12.x: 525.60.13 on Linux.
    * docs.nvidia.com, TensorRT, "Prerequisites": Turing (compute capability 7.5) or later.
    * nvidia.github.io/TensorRT-RTX-EP-ABI, "Runtime prerequisites": compute capability 8.0 or higher for the provider
      that opens its engines, though the library itself takes 7.5; "Installation": beside onnxruntime, without -gpu.
    * github.com/microsoft/onnxruntime/issues/10685: its two packages in one environment.
    * github.com/NVIDIA/nvidia-docker/issues/365 and 1678: versions that differ, and GPUs that a container loses.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from morphstream.artifact.target import CacheKey
from morphstream.machine.probe import NO_BINDING, RTX_PROVIDER, Machine
from morphstream.machine.select import candidates

_GPU_BUILDERS = ("tensorrt_rtx", "tensorrt")
_OLDEST_SM, _OLDEST_RTX_SM = 75, 80
_OLDEST_DRIVERS: Mapping[int, str] = {12: "525.60.13", 13: "580"}  # by the major version of CUDA
_RUNTIMES: Mapping[str, str] = {"rtx": "onnxruntime", "gpu": "onnxruntime-gpu"}  # by the extra that needs it
_NVIDIA_INDEX = "--extra-index-url https://pypi.nvidia.com"  # the public one has an empty tensorrt-cu12-libs
_TENSORRT = f"pip install {_NVIDIA_INDEX} 'tensorrt-cu12==10.*'"  # the one that ONNX Runtime 1.24 loads

# The package that pip installs for each library of a cache key, by builder; a provider carries TensorRT for RTX.
_PIP_PACKAGES: Mapping[str, Mapping[str, str]] = {
    "openvino": {"openvino": "openvino"},
    "tensorrt_rtx": {"onnxruntime": "onnxruntime"},
    "tensorrt": {"tensorrt": "tensorrt-cu12", "onnxruntime": "onnxruntime-gpu"},
}

# What a GPU driver reports when it shows no GPU though its files are there, and what to do.
_REMEDIES: Mapping[str, str] = {
    "library not found": "start the container with: docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=all",
    "permission": 'let this user open /dev/nvidia*: sudo usermod -aG video "$USER", and log in again',
    "unknown error": "the container has lost its GPUs: start it anew with: docker run --gpus all",
    "driver not loaded": "on the host run: sudo modprobe nvidia",
    "lost": "on the host run: sudo reboot",
}


class Finding(NamedTuple):
    """A fact that keeps a machine from running engines, or a warning.

    Attributes:
        text: What, what was expected, what was seen, and what to do.
        stops: The builders whose engines can't run because of it; none where it is a warning.
    """

    text: str
    stops: tuple[str, ...] = ()


def findings_of(machine: Machine) -> list[Finding]:
    """Return what keeps a machine from using its GPUs or its CPU, in the order in which to repair it."""
    checks = (_unseen_gpus, _old_driver, _old_gpus, _two_runtimes, _no_provider, _no_gpu_library, _no_cpu_library)
    return [finding for check in checks for finding in check(machine)]


def command_for(key: CacheKey, machine: Machine) -> str:
    """Return the command that installs the versions that a cache key names.

    It is empty where the machine has them, pip has none of that version, or the arch is another.
    """
    packages = _PIP_PACKAGES[key.builder]
    other = [(library, version) for library, version in key.versions if not _has(machine, library, version)]
    is_same_arch = key.arch in (machine.arch, *machine.gpu_archs, "portable")
    if not is_same_arch or any(library not in packages for library, _ in other):
        return ""
    pinned = " ".join(f"'{packages[library]}=={version}.*'" for library, version in other)
    index = f"{_NVIDIA_INDEX} " if "tensorrt-cu12" in pinned else ""
    return f"pip install {index}{pinned}" if pinned else ""


def _unseen_gpus(machine: Machine) -> Iterator[Finding]:
    """Find GPUs that the driver hides, where something else shows that there is one."""
    if machine.gpu_archs:
        return
    reason, files = machine.no_gpu.lower(), ", ".join(machine.driver_files)
    if "version mismatch" in reason:
        yield Finding(
            f"GPU: expected a driver whose library and kernel module have one version, seen {machine.no_gpu!r}; "
            "start a container anew that is older than the driver; else on the host run: sudo reboot"
        )
    elif files and machine.no_gpu == NO_BINDING:
        remedy = _installing(_extra_of(machine), machine)
        yield Finding(f"GPU: expected nvidia-ml-py, to ask its driver, seen none beside {files}; run: {remedy}")
    elif files and not any(file.startswith("/dev/") for file in machine.driver_files):
        yield Finding(
            f"GPU: expected its device files, seen the host's driver alone ({files}); "
            "start the container with: docker run --gpus all; on the host itself run: sudo nvidia-modprobe -u -c=0"
        )
    elif files:
        remedy = next((text for words, text in _REMEDIES.items() if words in reason), "see the output of: nvidia-smi")
        yield Finding(f"GPU: expected its driver to answer, seen {machine.no_gpu!r} beside {files}; {remedy}")


def _old_driver(machine: Machine) -> Iterator[Finding]:
    """Find a driver that is older than the libraries' major version of CUDA; minor ones may differ.

    The CUDA that the driver reports counts before its version: NVIDIA's package for forward compatibility raises it.
    """
    if not (machine.gpu_archs and machine.driver and machine.cuda):
        return
    major = _numbers(machine.cuda)[0]
    oldest = _OLDEST_DRIVERS.get(major)
    if machine.driver_cuda:
        seen, is_old = f"{machine.driver} for CUDA {machine.driver_cuda}", _numbers(machine.driver_cuda)[0] < major
    else:
        seen, is_old = machine.driver, oldest is not None and _numbers(machine.driver) < _numbers(oldest)
    if is_old:
        wanted = f"{oldest} or newer" if oldest else "a newer one"
        remedy = "on the host run: sudo apt-get install nvidia-driver-580 && sudo reboot"
        text = f"driver: expected {wanted}, for the libraries' CUDA {major}, seen {seen}; {remedy}"
        yield Finding(text, stops=_GPU_BUILDERS)


def _old_gpus(machine: Machine) -> Iterator[Finding]:
    """Find GPUs that are all too old for a library."""
    newest, seen = _newest_sm(machine), ", ".join(machine.gpu_archs)
    if 0 < newest < _OLDEST_SM:
        is_able = "openvino" in machine.libraries
        remedy = "the CPU is used" if is_able else "use the CPU: pip install 'morphstream[cpu]'"
        text = f"GPU: expected sm{_OLDEST_SM} or newer, seen {seen}; {remedy}"
        yield Finding(text, stops=tuple(builder for builder in _GPU_BUILDERS if builder in machine.libraries))
    elif 0 < newest < _OLDEST_RTX_SM and "tensorrt_rtx" in machine.libraries:
        text = f"TensorRT for RTX: expected a GPU of sm{_OLDEST_RTX_SM} or newer, seen {seen}"
        yield Finding(f"{text}; use TensorRT: {_installing_tensorrt(machine)}", stops=("tensorrt_rtx",))


def _two_runtimes(machine: Machine) -> Iterator[Finding]:
    """Find ONNX Runtimes that overwrite each other's files: which of them runs is chance."""
    if set(_RUNTIMES.values()) <= set(machine.packages):
        seen = "onnxruntime and onnxruntime-gpu, which overwrite each other's files"
        remedy = _installing(_extra_of(machine), machine)
        yield Finding(f"ONNX Runtime: expected one package of it, seen {seen}; run: {remedy}")


def _no_provider(machine: Machine) -> Iterator[Finding]:
    """Find a library that the installed ONNX Runtime can't use; nothing where packages aren't known."""
    if not (machine.gpu_archs and machine.packages):
        return
    seen = next((package for package in _RUNTIMES.values() if package in machine.packages), "none")
    if "tensorrt_rtx" in machine.libraries and RTX_PROVIDER not in machine.packages:
        text = f"TensorRT for RTX: expected {RTX_PROVIDER} to open its engines, seen {seen}"
        yield Finding(f"{text}; run: {_installing('rtx', machine)}", stops=("tensorrt_rtx",))
    if "tensorrt" in machine.libraries and _RUNTIMES["gpu"] not in machine.packages:
        text = f"TensorRT: expected onnxruntime-gpu to open its engines, seen {seen}"
        yield Finding(f"{text}; run: {_installing('gpu', machine)}", stops=("tensorrt",))


def _no_gpu_library(machine: Machine) -> Iterator[Finding]:
    """Find GPUs that no library runs engines on."""
    newest = _newest_sm(machine)
    if newest < _OLDEST_SM or any(builder in machine.libraries for builder in _GPU_BUILDERS):
        return
    seen, remedy = ", ".join(machine.packages or machine.libraries) or "none", _installing_tensorrt(machine)
    if newest < _OLDEST_RTX_SM or _RUNTIMES["gpu"] in machine.packages:
        yield Finding(f"GPU: expected TensorRT to run engines on it, seen {seen}; run: {remedy}")
    else:
        remedy = f"{_installing('rtx', machine)}; or, for engines of TensorRT: {remedy}"
        yield Finding(f"GPU: expected TensorRT for RTX or TensorRT to run engines on it, seen {seen}; run: {remedy}")


def _no_cpu_library(machine: Machine) -> Iterator[Finding]:
    """Find a machine without any library that runs engines."""
    if not candidates(machine):
        seen = ", ".join(machine.packages or machine.libraries) or "none"
        is_known = machine.arch in ("x86_64", "aarch64")
        remedy = "run: pip install 'morphstream[cpu]'" if is_known else "use a machine of these"
        yield Finding(f"CPU: expected openvino on x86_64 or aarch64, seen {seen} on {machine.arch}; {remedy}")


def _installing(extra: str, machine: Machine) -> str:
    """Return the command that installs an extra, and first removes an ONNX Runtime that would be in its way."""
    installed = [package for package in _RUNTIMES.values() if package in machine.packages]
    removed = f"pip uninstall -y {' '.join(installed)} && " if installed and installed != [_RUNTIMES[extra]] else ""
    return f"{removed}pip install 'morphstream[{extra}]'"


def _installing_tensorrt(machine: Machine) -> str:
    has_runtime = _RUNTIMES["gpu"] in machine.packages
    return _TENSORRT if has_runtime else f"{_installing('gpu', machine)} && {_TENSORRT}"


def _extra_of(machine: Machine) -> str:
    """Return the extra that a machine's packages are closest to."""
    is_rtx = RTX_PROVIDER in machine.packages or _RUNTIMES["gpu"] not in machine.packages
    return "rtx" if is_rtx and _RUNTIMES["rtx"] in machine.packages else "gpu"


def _has(machine: Machine, library: str, version: str) -> bool:
    return f"{machine.libraries.get(library, '')}.".startswith(f"{version}.")


def _newest_sm(machine: Machine) -> int:
    """Return the number of the newest GPU's arch; 0 where there is none."""
    return max((int(arch.removeprefix("sm")) for arch in machine.gpu_archs), default=0)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]

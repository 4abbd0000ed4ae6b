"""Find what keeps a machine from using its GPUs or its CPU, each finding one line with its remedy.

Source:
    * docs.nvidia.com, "CUDA Compatibility", "Minor Version Compatibility", table 1: CUDA 12.x runs on drivers from 525
      on, 13.x from 580 on, whatever the minor versions; "CUDA Toolkit Release Notes", 12.x: 525.60.13 on Linux.
    * docs.nvidia.com, TensorRT, "Prerequisites": Turing (compute capability 7.5) or later.
    * NVIDIA, TensorRT-RTX-EP-ABI 0.5.0, the provider that opens engines of TensorRT for RTX, which itself takes 7.5:
      ``IsComputeCapabilitySupported`` in ``tensorrt_rtx_provider_options.h``; the oldest drivers in
      ``tensorrt_rtx_provider_factory.cc``; "Installation": beside onnxruntime, without -gpu.
    * github.com/microsoft/onnxruntime/issues/10685: its two packages in one environment.
    * github.com/NVIDIA/nvidia-docker/issues/365 and 1678: versions that differ, and GPUs that a container loses.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from morphstream.artifact.target import CacheKey
from morphstream.machine.libraries import DRIVER_LIBRARY
from morphstream.machine.probe import NO_BINDING, RTX_PROVIDER, TENSORRT_PROVIDER, Machine
from morphstream.machine.select import GPU_BUILDERS, PORTABLE, SPELLINGS, candidates, missing_versions

_OLDEST_SM = 75
_RTX_SMS, _NEW_RTX_SM = (86, 89), 120  # what its provider opens engines on: these, and all from that one on
_OLDEST_RTX_DRIVER, _OLDEST_NEW_RTX_DRIVER = "555.85", "570"
_OLDEST_DRIVERS: Mapping[int, str] = {12: "525.60.13", 13: "580"}  # by the major version of CUDA
_RUNTIMES: Mapping[str, str] = {  # by the extra that needs it
    "rtx": "onnxruntime",
    "gpu": TENSORRT_PROVIDER,
    "tensorrt": TENSORRT_PROVIDER,
}
_NVIDIA_INDEX = "--extra-index-url https://pypi.nvidia.com"  # the public one has an empty tensorrt-cu12-libs

# The package that pip installs for each library of a cache key, by builder; a provider carries TensorRT for RTX.
_PIP_PACKAGES: Mapping[str, Mapping[str, str]] = {
    "openvino": {"openvino": "openvino"},
    "tensorrt_rtx": {"onnxruntime": "onnxruntime"},
    "tensorrt": {"tensorrt": "tensorrt-cu12", "onnxruntime": TENSORRT_PROVIDER},
}

_UPDATE_DRIVER = "on the host run: sudo apt-get install nvidia-driver-580 && sudo reboot"

# What a GPU driver reports when it shows no GPU though its files are there, and what to do.
_REMEDIES: Mapping[str, str] = {
    "library not found": "start the container with: docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=all",
    "permission": 'let this user open /dev/nvidia*: sudo usermod -aG video "$USER", and log in again',
    "unknown error": "the container has lost its GPUs: start it anew with: docker run --gpus all",
    "driver not loaded": "on the host run: sudo modprobe nvidia",
    "lost": "on the host run: sudo reboot",
}


class Finding(NamedTuple):
    """A fact that stops some builders' engines from running, or a warning that stops none; its text has the remedy."""

    text: str
    stops: tuple[str, ...] = ()


def findings_of(machine: Machine) -> list[Finding]:
    """Return what keeps a machine from using its GPUs or its CPU, in the order in which to repair it."""
    checks = (_hidden_gpus, _no_driver_library, _old_driver, _old_rtx_driver, _wrong_packages, _no_library)
    return [finding for check in checks for finding in check(machine)]


def command_for(key: CacheKey, machine: Machine) -> str:
    """Return the command that installs the versions that a cache key names.

    It is empty where the machine has them, pip has none of that version, or the arch is another.
    """
    packages, missing = _PIP_PACKAGES[key.builder], missing_versions(key, machine)
    if not missing or missing.keys() - packages.keys() or key.arch not in (machine.arch, *machine.gpu_archs, PORTABLE):
        return ""
    pinned = " ".join(f"'{packages[library]}=={version}.*'" for library, version in missing.items())
    return f"pip install {f'{_NVIDIA_INDEX} ' if 'tensorrt-cu12' in pinned else ''}{pinned}"


def _hidden_gpus(machine: Machine) -> Iterator[Finding]:
    """Find GPUs that the driver hides, where something else shows that there is one."""
    reason, files = machine.no_gpu.lower(), ", ".join(machine.driver_files)
    if machine.gpu_archs:
        return
    if "version mismatch" in reason:
        yield Finding(
            f"GPU: expected a driver whose library and kernel module have one version, seen {machine.no_gpu!r}; "
            "start a container anew that is older than the driver; else on the host run: sudo reboot"
        )
    elif files and machine.no_gpu == NO_BINDING:
        remedy = _installing(_extra_of(machine), machine)
        yield Finding(f"GPU: expected nvidia-ml-py, to ask its driver, seen none beside {files}; run: {remedy}")
    elif files and "/dev/" not in files:
        yield Finding(
            f"GPU: expected its device files, seen the host's driver alone ({files}); "
            "start the container with: docker run --gpus all; on the host itself run: sudo nvidia-modprobe -u -c=0"
        )
    elif files:
        remedy = next((text for words, text in _REMEDIES.items() if words in reason), "see the output of: nvidia-smi")
        yield Finding(f"GPU: expected its driver to answer, seen {machine.no_gpu!r} beside {files}; {remedy}")


def _no_driver_library(machine: Machine) -> Iterator[Finding]:
    """Find a container that may ask about its GPU, and may not calculate with it."""
    if DRIVER_LIBRARY in machine.missing:
        text = f"GPU: expected its driver's {DRIVER_LIBRARY}, seen none"
        yield Finding(f"{text}; {_REMEDIES['library not found']}", stops=tuple(GPU_BUILDERS.values()))


def _old_driver(machine: Machine) -> Iterator[Finding]:
    """Find a driver that is older than the libraries' major version of CUDA; minor ones may differ.

    The CUDA that the driver reports counts before its version: NVIDIA's package for forward compatibility raises it.
    """
    if not (machine.gpu_archs and machine.driver and machine.cuda):
        return
    major, seen = _numbers(machine.cuda)[0], machine.driver
    oldest = _OLDEST_DRIVERS.get(major)
    is_old = oldest is not None and _numbers(machine.driver) < _numbers(oldest)
    if machine.driver_cuda:
        seen, is_old = f"{seen} for CUDA {machine.driver_cuda}", _numbers(machine.driver_cuda)[0] < major
    if is_old:
        expected = f"{oldest} or newer" if oldest else "a newer one"
        text = f"driver: expected {expected}, for the libraries' CUDA {major}, seen {seen}; {_UPDATE_DRIVER}"
        yield Finding(text, stops=tuple(GPU_BUILDERS.values()))


def _old_rtx_driver(machine: Machine) -> Iterator[Finding]:
    """Find a driver that is older than the provider for TensorRT for RTX takes for a GPU."""
    sms = [sm for sm in _sms(machine) if _is_rtx(sm)]
    if sms and machine.driver and "tensorrt_rtx" in machine.libraries:
        oldest = _OLDEST_NEW_RTX_DRIVER if min(sms) >= _NEW_RTX_SM else _OLDEST_RTX_DRIVER
        if _numbers(machine.driver) < _numbers(oldest):
            expected = f"expected {oldest} or newer for TensorRT for RTX, seen {machine.driver}"
            yield Finding(f"driver: {expected}; {_UPDATE_DRIVER}", stops=("tensorrt_rtx",))


def _wrong_packages(machine: Machine) -> Iterator[Finding]:
    """Find ONNX Runtimes of which chance decides which one runs, and libraries that the installed one can't use."""
    installed = _runtimes_of(machine)
    if len(installed) > 1:
        seen = "onnxruntime and onnxruntime-gpu, which overwrite each other's files"
        remedy = _installing(_extra_of(machine), machine)
        yield Finding(f"ONNX Runtime: expected one package of it, seen {seen}; run: {remedy}")
    if not (machine.gpu_archs and machine.packages):  # these may be unknown
        return
    for builder, package, extra in (("tensorrt_rtx", RTX_PROVIDER, "rtx"), ("tensorrt", TENSORRT_PROVIDER, "gpu")):
        is_taken = builder != "tensorrt_rtx" or any(map(_is_rtx, _sms(machine)))
        if builder in machine.libraries and package not in machine.packages and is_taken:
            text = f"{SPELLINGS[builder]}: expected {package} to open its engines, seen {next(iter(installed), 'none')}"
            yield Finding(f"{text}; run: {_installing(extra, machine)}", stops=(builder,))


def _no_library(machine: Machine) -> Iterator[Finding]:
    """Find GPUs that are all too old for a library, or that none runs engines on, and a CPU that none runs them on."""
    newest, is_rtx = max(_sms(machine), default=0), any(map(_is_rtx, _sms(machine)))
    gpus, libraries = ", ".join(machine.gpu_archs), machine.libraries
    seen, missing = ", ".join(machine.packages or libraries) or "none", _missing_of_tensorrt(machine)
    stops = tuple(builder for builder in GPU_BUILDERS.values() if builder in libraries)
    if 0 < newest < _OLDEST_SM:
        remedy = "the CPU is used" if "openvino" in libraries else "use the CPU: pip install 'morphstream[cpu]'"
        yield Finding(f"GPU: expected sm{_OLDEST_SM} or newer, seen {gpus}; {remedy}", stops)
    elif newest and not is_rtx and "tensorrt_rtx" in stops:
        known = ", ".join(f"sm{sm}" for sm in _RTX_SMS)
        text = f"TensorRT for RTX: expected a GPU of {known} or from sm{_NEW_RTX_SM} on, seen {gpus}"
        yield Finding(f"{text}; use TensorRT: {_installing('tensorrt', machine)}", stops=("tensorrt_rtx",))
    elif missing and "tensorrt" in stops:
        text = f"TensorRT: expected {missing} where the loader looks, seen none"
        yield Finding(f"{text}; run: {_installing('tensorrt', machine)}", stops=("tensorrt",))
    elif newest and not stops:
        expected, remedy = "TensorRT", _installing("tensorrt", machine)
        if is_rtx and TENSORRT_PROVIDER not in machine.packages:
            expected = "TensorRT for RTX or TensorRT"
            remedy = f"{_installing('rtx', machine)}; or, for engines of TensorRT: {remedy}"
        without = f" without {missing}" if missing else ""
        yield Finding(f"GPU: expected {expected} to run engines on it, seen {seen}{without}; run: {remedy}")
    if not candidates(machine):
        is_known = machine.arch in ("x86_64", "aarch64")
        remedy = "run: pip install 'morphstream[cpu]'" if is_known else "use a machine of these"
        yield Finding(f"CPU: expected openvino on x86_64 or aarch64, seen {seen} on {machine.arch}; {remedy}")


def _installing(extra: str, machine: Machine) -> str:
    """Return the command that installs an extra, and first removes an ONNX Runtime that would be in its way."""
    installed = _runtimes_of(machine)
    removed = f"pip uninstall -y {' '.join(installed)} && " if installed and installed != [_RUNTIMES[extra]] else ""
    index = f"{_NVIDIA_INDEX} " if extra == "tensorrt" else ""
    return f"{removed}pip install {index}'morphstream[{extra}]'"


def _runtimes_of(machine: Machine) -> list[str]:
    """Return the packages of ONNX Runtime that a machine has."""
    return [package for package in dict.fromkeys(_RUNTIMES.values()) if package in machine.packages]


def _missing_of_tensorrt(machine: Machine) -> str:
    return ", ".join(name for name in machine.missing if name != DRIVER_LIBRARY)


def _extra_of(machine: Machine) -> str:
    """Return the extra that a machine's packages are closest to."""
    is_rtx = RTX_PROVIDER in machine.packages or TENSORRT_PROVIDER not in machine.packages
    return "rtx" if is_rtx and _RUNTIMES["rtx"] in machine.packages else "gpu"


def _sms(machine: Machine) -> list[int]:
    return [int(arch.removeprefix("sm")) for arch in machine.gpu_archs]


def _is_rtx(sm: int) -> bool:
    return sm in _RTX_SMS or sm >= _NEW_RTX_SM


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]

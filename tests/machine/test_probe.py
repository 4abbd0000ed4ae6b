"""A machine is what its system, its GPU driver and its packages say; nothing is loaded to know it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import pytest

from morphstream.artifact.target import ARCH
from morphstream.boot.doctor import diagnose
from morphstream.machine.probe import (
    Gpus,
    Machine,
    probe_bfloat16,
    probe_cuda,
    probe_driver_files,
    probe_gpus,
    probe_libraries,
    probe_machine,
)
from morphstream.store.store import Store

Installer = Callable[..., None]
T = TypeVar("T")


class NvmlError(Exception):
    """As pynvml's."""


def ask(value: T, fault: str = "") -> T:
    """Return a value, or fail as the driver does."""
    if fault:
        raise NvmlError(fault)
    return value


def nvml_of(
    *capabilities: tuple[int, int],
    fault: str = "",
    late_fault: str = "",
    cuda: tuple[int | None, int | None] = (12090, 12080),
) -> SimpleNamespace:
    """Return the part of pynvml that is asked, for GPUs of these compute capabilities.

    Args:
        capabilities: Of each GPU.
        fault: Why the driver can't be asked at all.
        late_fault: Why GPUs can't be asked.
        cuda: The CUDA of the library that programs load, and of the driver; None where that can't be asked.
    """
    opened: list[str] = []
    library, driver = ((number, "" if number else "Not Found") for number in cuda)
    return SimpleNamespace(
        opened=opened,
        NVMLError=NvmlError,
        nvmlInit=lambda: opened.append(ask("nvml", fault)),
        nvmlShutdown=opened.clear,
        nvmlDeviceGetCount=lambda: len(capabilities),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetCudaComputeCapability=lambda index: ask(capabilities[index], late_fault),
        nvmlSystemGetDriverVersion=lambda: "575.57",
        nvmlSystemGetCudaDriverVersion_v2=lambda: ask(*library),
        nvmlSystemGetCudaDriverVersion=lambda: ask(*driver),
    )


def test_gpus_give_their_archs_once_and_in_order() -> None:
    nvml = nvml_of((12, 0), (8, 9), (12, 0))
    assert probe_gpus(nvml) == Gpus(("sm120", "sm89"), "575.57", "", "12.9")
    assert not nvml.opened


@pytest.mark.parametrize(
    ("cuda", "expected"),
    [
        pytest.param((13000, 12080), "13.0", id="of a package for forward compatibility"),
        pytest.param((None, 12080), "12.8", id="of a driver without the library that programs load"),
        pytest.param((None, None), None, id="that nothing reports"),
    ],
)
def test_a_driver_reports_the_cuda_that_it_runs(cuda: tuple[int | None, int | None], expected: str | None) -> None:
    assert probe_gpus(nvml_of((8, 9), cuda=cuda)).cuda == expected


@pytest.mark.parametrize(
    ("nvml", "expected"),
    [
        pytest.param(None, Gpus((), None, "nvidia-ml-py is not installed"), id="no binding"),
        pytest.param(nvml_of(fault="Driver Not Loaded"), Gpus((), None, "Driver Not Loaded"), id="no driver"),
        pytest.param(nvml_of(), Gpus((), "575.57", "the driver lists none", "12.9"), id="no GPU"),
        pytest.param(nvml_of((8, 9), late_fault="GPU is lost"), Gpus((), None, "GPU is lost"), id="lost GPU"),
    ],
)
def test_without_gpus_a_reason_is_kept(nvml: SimpleNamespace | None, expected: Gpus) -> None:
    assert probe_gpus(nvml) == expected
    assert nvml is None or not nvml.opened


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installer:
    """Install a package that consists of metadata only, in front of all others."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str, version: str, *files: str) -> None:
        info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
        for file in files:  # Python 3.12 lists no others
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()

    return install


def test_a_library_is_found_under_each_name_of_its_package(install: Installer) -> None:
    install("onnxruntime-gpu", "1.24.4")
    install("tensorrt-cu12", "10.14.1.48")
    found = probe_libraries()
    assert (found["onnxruntime"], found["tensorrt"]) == ("1.24.4", "10.14.1.48")


def test_libraries_are_listed_in_one_order_and_the_first_package_decides_a_version() -> None:
    packages = {"tensorrt-cu12": "10.14.1", "onnxruntime": "1.31.1", "onnxruntime-gpu": "1.24.4", "openvino": "2026.4"}
    expected = [("openvino", "2026.4"), ("onnxruntime", "1.24.4"), ("tensorrt", "10.14.1")]
    assert list(probe_libraries(packages).items()) == expected


def test_a_version_is_cut_to_its_digits(install: Installer) -> None:
    install("onnxruntime-gpu", "1.32.0.dev20261101+cu12")
    assert probe_libraries()["onnxruntime"] == "1.32.0"


def test_the_provider_for_rtx_gives_the_versions_of_the_libraries_it_carries(install: Installer) -> None:
    library = "onnxruntime_ep_nv_tensorrt_rtx/libtensorrt_rtx.so.1.8.2"
    cudart = "onnxruntime_ep_nv_tensorrt_rtx/libcudart.so.12.9.79"
    install("onnxruntime-ep-nv-tensorrt-rtx-cu12", "0.6.0", "a/libother.so.3.0", library, cudart)
    assert probe_libraries()["tensorrt_rtx"] == "1.8.2"
    install("nvidia-cuda-runtime-cu12", "12.8.90")
    assert probe_cuda(["onnxruntime", "onnxruntime-ep-nv-tensorrt-rtx-cu12"]) == "12.9.79"


def test_a_library_comes_with_the_packages_that_bring_it(install: Installer) -> None:
    install("onnxruntime-gpu", "1.24.4")
    install("onnxruntime-ep-nv-tensorrt-rtx-cu12", "0.6.0")
    assert {"onnxruntime-gpu", "onnxruntime-ep-nv-tensorrt-rtx-cu12"} <= set(probe_machine().packages)


def test_a_tensorrt_for_rtx_that_only_builds_does_not_hide_what_tensorrt_lacks(install: Installer) -> None:
    for package, version in (("onnxruntime-gpu", "1.24.4"), ("tensorrt-cu12", "10.14.1.48.post1")):
        install(package, version)
    install("tensorrt-rtx-cu12-libs", "1.7.1.116")
    machine = probe_machine(nvml_of((8, 9)))
    assert (machine.libraries["tensorrt"], "tensorrt_rtx" in machine.libraries) == ("10.14.1.48", False)
    notes = diagnose(Store(Path("none")), machine).facts["notes"]
    assert "TensorRT: expected libcudart.so.12, " in str(notes)
    assert "morphstream[rtx]" not in str(notes)
    install("onnxruntime-ep-nv-tensorrt-rtx-cu12", "0.5.0")
    assert "tensorrt_rtx" in probe_machine(nvml_of((8, 9))).libraries


@pytest.mark.parametrize(
    ("runtime", "packages", "expected"),
    [
        pytest.param(("nvidia-cuda-runtime-cu12", "12.8.90"), ["onnxruntime"], "12.8.90", id="a runtime"),
        pytest.param(("nvidia-cuda-runtime", "13.0.96"), ["onnxruntime"], "13.0.96", id="a runtime of CUDA 13"),
        pytest.param(None, ["tensorrt-rtx-cu13-libs"], "13.0", id="the name of a package"),
        pytest.param(("nvidia-cuda-runtime", "13.0.96"), ["tensorrt-cu12"], "12.0", id="a runtime for something else"),
        pytest.param(None, ["onnxruntime", "tensorrt"], None, id="nothing"),
    ],
)
def test_packages_decide_the_cuda_that_they_need(
    install: Installer, runtime: tuple[str, str] | None, packages: list[str], expected: str | None
) -> None:
    if runtime:
        install(*runtime)
    assert probe_cuda(packages) == expected


def test_files_of_a_driver_are_found_where_they_are(tmp_path: Path) -> None:
    assert probe_driver_files(tmp_path) == ()
    for name in ("dev/nvidia0", "proc/driver/nvidia/version"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert probe_driver_files(tmp_path) == ("/dev/nvidia0", "/proc/driver/nvidia/version")


def test_a_machine_has_versions_in_digits_and_dots() -> None:
    with pytest.raises(ValueError, match=r"expected a version of openvino such as 1\.24\.4, seen '2026'"):
        Machine(arch="x86_64", gpu_archs=(), libraries={"openvino": "2026"})


@pytest.mark.parametrize(
    ("cpuinfo", "has_bfloat16"),
    [
        pytest.param("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 sse2\n", True, id="AVX-512"),
        pytest.param("processor\t: 0\nflags\t\t: fpu amx_bf16 amx_tile\n", True, id="AMX"),
        pytest.param("processor\t: 0\nflags\t\t: fpu avx512f avx512_vnni\n", False, id="AVX-512 without bfloat16"),
        pytest.param("processor\t: 0\nmodel name\t: avx512_bf16\nflags\t\t: fpu\n", False, id="in its name alone"),
        pytest.param("processor\t: 0\nFeatures\t: fp asimd bf16\n", False, id="another arch"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_a_cpu_has_bfloat16_where_linux_lists_instructions_for_it(
    tmp_path: Path, cpuinfo: str, has_bfloat16: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert probe_bfloat16(tmp_path / "cpuinfo") is has_bfloat16


def test_where_linux_lists_nothing_there_is_no_bfloat16(tmp_path: Path) -> None:
    assert probe_bfloat16(tmp_path / "cpuinfo") is False


def test_this_machine_can_be_probed() -> None:
    machine = probe_machine()
    assert ARCH.fullmatch(machine.arch)
    assert bool(machine.gpu_archs) != bool(machine.no_gpu)
    assert machine.gpu_archs or machine.cuda is None


def test_booting_loads_no_heavy_library() -> None:
    program = "import sys, morphstream.boot.doctor, morphstream.boot.boot; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"numpy", "cv2", "openvino", "onnxruntime", "pynvml"} & set(done.stdout.split())

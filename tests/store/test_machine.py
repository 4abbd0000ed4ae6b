"""A machine is what its system, its GPU driver and its packages say; nothing is loaded to know it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from morphstream.artifact.target import ARCH
from morphstream.store.machine import Gpus, Machine, probe_bfloat16, probe_gpus, probe_libraries, probe_machine

Installer = Callable[..., None]


class NvmlError(Exception):
    """As pynvml's."""


def nvml_of(*capabilities: tuple[int, int], fault: str = "", late_fault: str = "") -> SimpleNamespace:
    """Return the part of pynvml that is asked, for GPUs of these compute capabilities."""
    opened: list[str] = []

    def fail(fault: str) -> None:
        if fault:
            raise NvmlError(fault)

    def init() -> None:
        fail(fault)
        opened.append("nvml")

    def capability_of(index: int) -> tuple[int, int]:
        fail(late_fault)
        return capabilities[index]

    return SimpleNamespace(
        opened=opened,
        NVMLError=NvmlError,
        nvmlInit=init,
        nvmlShutdown=opened.clear,
        nvmlDeviceGetCount=lambda: len(capabilities),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetCudaComputeCapability=capability_of,
        nvmlSystemGetDriverVersion=lambda: "575.57",
    )


def test_gpus_give_their_archs_once_and_in_order() -> None:
    nvml = nvml_of((12, 0), (8, 9), (12, 0))
    assert probe_gpus(nvml) == Gpus(("sm120", "sm89"), "575.57", "")
    assert not nvml.opened


@pytest.mark.parametrize(
    ("nvml", "driver", "reason"),
    [
        pytest.param(None, None, "nvidia-ml-py is not installed", id="no binding"),
        pytest.param(nvml_of(fault="Driver Not Loaded"), None, "Driver Not Loaded", id="no driver"),
        pytest.param(nvml_of(), "575.57", "the driver lists none", id="no GPU"),
        pytest.param(nvml_of((8, 9), late_fault="GPU is lost"), None, "GPU is lost", id="lost GPU"),
    ],
)
def test_without_gpus_a_reason_is_kept(nvml: SimpleNamespace | None, driver: str | None, reason: str) -> None:
    assert probe_gpus(nvml) == Gpus((), driver, reason)
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

    return install


def test_a_library_is_found_under_each_name_of_its_package(install: Installer) -> None:
    install("onnxruntime-gpu", "1.24.4")
    install("tensorrt-cu12", "10.14.1.48")
    found = probe_libraries()
    assert (found["onnxruntime"], found["tensorrt"]) == ("1.24.4", "10.14.1.48")


def test_a_version_is_cut_to_its_digits(install: Installer) -> None:
    install("onnxruntime-gpu", "1.32.0.dev20261101+cu12")
    assert probe_libraries()["onnxruntime"] == "1.32.0"


def test_the_provider_for_rtx_tells_the_version_of_the_library_it_carries(install: Installer) -> None:
    library = "onnxruntime_ep_nv_tensorrt_rtx/libtensorrt_rtx.so.1.8.2"
    install("onnxruntime-ep-nv-tensorrt-rtx-cu12", "0.6.0", "a/libother.so.3.0", library)
    assert probe_libraries()["tensorrt_rtx"] == "1.8.2"


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


def test_where_linux_says_nothing_there_is_no_bfloat16(tmp_path: Path) -> None:
    assert probe_bfloat16(tmp_path / "cpuinfo") is False


def test_this_machine_can_be_probed() -> None:
    machine = probe_machine()
    assert ARCH.fullmatch(machine.arch)
    assert bool(machine.gpu_archs) != bool(machine.no_gpu)


def test_booting_loads_no_heavy_library() -> None:
    program = "import sys, morphstream.store.doctor, morphstream.store.boot; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"numpy", "cv2", "openvino", "onnxruntime", "pynvml"} & set(done.stdout.split())

"""Whatever keeps a machine from using its GPUs or CPU is found: what was expected, what was seen, and the remedy."""

from dataclasses import replace

import pytest

from morphstream.artifact.target import CacheKey
from morphstream.machine.findings import command_for, findings_of
from morphstream.machine.probe import Machine
from tests.layouts import MACHINE

GPU = ("tensorrt_rtx", "tensorrt")
RTX_PROVIDER = "onnxruntime-ep-nv-tensorrt-rtx-cu12"
WORKSTATION = Machine(
    arch="x86_64",
    gpu_archs=("sm89",),
    libraries={"openvino": "2026.4.1", "onnxruntime": "1.31.1", "tensorrt_rtx": "1.7.1"},
    driver="575.57",
    driver_cuda="12.9",
    cuda="12.0",
    packages=("openvino", "onnxruntime", RTX_PROVIDER),
)
SERVER = replace(
    WORKSTATION,
    libraries={"onnxruntime": "1.24.4", "tensorrt": "10.14.1"},
    packages=("onnxruntime-gpu", "tensorrt-cu12"),
    cuda="12.8.90",
)
BARE = replace(SERVER, libraries={}, packages=())
DEVICES = ("/dev/nvidiactl", "/dev/nvidia0", "/proc/driver/nvidia/version")


def unseen(reason: str, *files: str, packages: tuple[str, ...] = ()) -> Machine:
    return replace(MACHINE, no_gpu=reason, driver_files=files, packages=packages)


@pytest.mark.parametrize("machine", [MACHINE, WORKSTATION, SERVER], ids=["a CPU", "a workstation", "a server"])
def test_of_a_machine_that_lacks_nothing_nothing_is_found(machine: Machine) -> None:
    assert findings_of(machine) == []


@pytest.mark.parametrize(
    ("machine", "stops", "words_of_it"),
    [
        pytest.param(
            unseen("nvidia-ml-py is not installed", *DEVICES),
            (),
            ["expected nvidia-ml-py", "seen none beside /dev/nvidiactl, ", "run: pip install 'morphstream[gpu]'"],
            id="no binding",
        ),
        pytest.param(
            unseen("nvidia-ml-py is not installed", *DEVICES, packages=("onnxruntime",)),
            (),
            ["run: pip install 'morphstream[rtx]'"],
            id="no binding beside the ONNX Runtime of TensorRT for RTX",
        ),
        pytest.param(
            unseen("NVML Shared Library Not Found", "/proc/driver/nvidia/version"),
            (),
            ["expected its device files, seen the host's driver alone", "docker run --gpus all"],
            id="a container without GPUs",
        ),
        pytest.param(
            unseen("NVML Shared Library Not Found", *DEVICES),
            (),
            ["seen 'NVML Shared Library Not Found' beside", "--gpus all -e NVIDIA_DRIVER_CAPABILITIES=all"],
            id="a container without the driver's libraries",
        ),
        pytest.param(
            unseen("RM has detected an NVML/RM version mismatch."),
            (),
            ["library and kernel module have one version", "start a container anew", "sudo reboot"],
            id="a driver that was updated",
        ),
        pytest.param(unseen("Unknown Error", *DEVICES), (), ["has lost its GPUs", "--gpus all"], id="GPUs taken away"),
        pytest.param(unseen("Insufficient Permissions", *DEVICES), (), ["sudo usermod -aG video"], id="no permission"),
        pytest.param(unseen("Driver Not Loaded", *DEVICES), (), ["sudo modprobe nvidia"], id="no kernel module"),
        pytest.param(unseen("GPU is lost", *DEVICES), (), ["sudo reboot"], id="a lost GPU"),
        pytest.param(unseen("the driver lists none", *DEVICES), (), ["nvidia-smi"], id="any other reason"),
        pytest.param(
            replace(SERVER, driver="470.82", driver_cuda="11.4"),
            GPU,
            [
                "expected 525.60.13 or newer, for the libraries' CUDA 12, seen 470.82 for CUDA 11.4; ",
                "nvidia-driver-580",
            ],
            id="a driver too old for CUDA 12",
        ),
        pytest.param(
            replace(SERVER, cuda="13.0.96"), GPU, ["expected 580 or newer, "], id="a driver too old for CUDA 13"
        ),
        pytest.param(
            replace(SERVER, cuda="14.1"), GPU, ["expected a newer one, "], id="a driver too old for a later CUDA"
        ),
        pytest.param(
            replace(SERVER, driver="525.53", driver_cuda=None),
            GPU,
            ["expected 525.60.13 or newer", "seen 525.53; "],
            id="a driver too old by its own version",
        ),
        pytest.param(
            replace(SERVER, gpu_archs=("sm61", "sm70")),
            ("tensorrt",),
            ["expected sm75 or newer, seen sm61, sm70; use the CPU: pip install 'morphstream[cpu]'"],
            id="a GPU that nothing takes",
        ),
        pytest.param(
            replace(WORKSTATION, gpu_archs=("sm75",)),
            ("tensorrt_rtx",),
            [
                "expected a GPU of sm86, sm89 or from sm120 on, seen sm75; use TensorRT: pip uninstall -y onnxruntime",
                " && pip install --extra-index-url https://pypi.nvidia.com 'morphstream[tensorrt]'",
            ],
            id="a GPU too old for TensorRT for RTX",
        ),
        *(
            pytest.param(
                replace(WORKSTATION, gpu_archs=(arch,)), ("tensorrt_rtx",), [f"seen {arch}; use TensorRT: "], id=arch
            )
            for arch in ("sm80", "sm90", "sm100")  # of data centres
        ),
        pytest.param(
            replace(WORKSTATION, gpu_archs=("sm90",), packages=("openvino", "onnxruntime")),
            ("tensorrt_rtx",),
            ["seen sm90; use TensorRT: pip uninstall -y onnxruntime && "],
            id="a GPU that the provider refuses, which is missing",
        ),
        pytest.param(
            replace(WORKSTATION, driver="550.54.14"),
            ("tensorrt_rtx",),
            ["driver: expected 555.85 or newer for TensorRT for RTX, seen 550.54.14; on the host run: "],
            id="a driver too old for TensorRT for RTX",
        ),
        pytest.param(
            replace(WORKSTATION, driver="565.77", gpu_archs=("sm120",)),
            ("tensorrt_rtx",),
            ["driver: expected 570 or newer for TensorRT for RTX, seen 565.77; "],
            id="a driver too old for a new GPU",
        ),
        pytest.param(
            replace(SERVER, packages=("onnxruntime-gpu", "onnxruntime", "tensorrt-cu12")),
            (),
            ["overwrite each other", "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'morphstream[gpu]'"],
            id="two ONNX Runtimes",
        ),
        pytest.param(
            replace(WORKSTATION, packages=("onnxruntime-gpu", "onnxruntime", RTX_PROVIDER)),
            (),
            ["pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'morphstream[rtx]'"],
            id="two ONNX Runtimes beside the provider for RTX",
        ),
        pytest.param(
            replace(SERVER, packages=("onnxruntime", "tensorrt-cu12")),
            ("tensorrt",),
            [
                "expected onnxruntime-gpu to open its engines, seen onnxruntime; ",
                "pip uninstall -y onnxruntime && pip install 'morphstream[gpu]'",
            ],
            id="TensorRT without its ONNX Runtime",
        ),
        pytest.param(
            replace(WORKSTATION, packages=("onnxruntime", "tensorrt-rtx-cu12-libs")),
            ("tensorrt_rtx",),
            [f"expected {RTX_PROVIDER} to open its engines", "run: pip install 'morphstream[rtx]'"],
            id="TensorRT for RTX without its provider",
        ),
        pytest.param(
            replace(SERVER, libraries={"onnxruntime": "1.24.4", "openvino": "2026.4.1"}, packages=("onnxruntime-gpu",)),
            (),
            [
                "seen onnxruntime-gpu; run: pip install --extra-index-url https://pypi.nvidia.com ",
                " 'morphstream[tensorrt]'",
            ],
            id="ONNX Runtime without TensorRT",
        ),
        pytest.param(
            replace(
                SERVER,
                libraries={"onnxruntime": "1.24.4", "openvino": "2026.4.1"},
                packages=("onnxruntime-gpu",),
                missing=("libcudnn.so.9", "libnvinfer.so.10"),
            ),
            (),
            ["seen onnxruntime-gpu without libcudnn.so.9, libnvinfer.so.10; run: pip install --extra-index-url "],
            id="ONNX Runtime without TensorRT and cuDNN",
        ),
        pytest.param(
            replace(SERVER, missing=("libcublas.so.12", "libcudnn.so.9")),
            ("tensorrt",),
            [
                "TensorRT: expected libcublas.so.12, libcudnn.so.9 where the loader looks, seen none; run: pip",
                "https://pypi.nvidia.com 'morphstream[tensorrt]'",
            ],
            id="TensorRT without other libraries that it needs",
        ),
        pytest.param(
            replace(WORKSTATION, missing=("libcuda.so.1",)),
            GPU,
            ["expected its driver's libcuda.so.1, seen none; ", "NVIDIA_DRIVER_CAPABILITIES=all"],
            id="a container that may ask about its GPU alone",
        ),
        pytest.param(
            replace(WORKSTATION, gpu_archs=("sm61",), libraries={"openvino": "2026.4.1"}, packages=()),
            (),
            ["expected sm75 or newer, seen sm61; the CPU is used"],
            id="a GPU that nothing takes, beside a good CPU",
        ),
        pytest.param(
            replace(BARE, gpu_archs=(), arch="riscv64"), (), ["seen none on riscv64; use a machine"], id="an odd CPU"
        ),
        pytest.param(
            replace(BARE, gpu_archs=()), (), ["expected openvino", "pip install 'morphstream[cpu]'"], id="nothing"
        ),
    ],
)
def test_what_is_in_the_way_is_found_with_its_remedy(
    machine: Machine, stops: tuple[str, ...], words_of_it: list[str]
) -> None:
    (finding,) = findings_of(machine)
    assert finding.stops == stops
    for words in (": expected ", ", seen ", "; ", *words_of_it):
        assert words in finding.text


def test_a_gpu_without_libraries_is_found_before_a_cpu_without() -> None:
    gpu, cpu = findings_of(BARE)
    assert gpu.text.startswith("GPU: expected TensorRT for RTX or TensorRT to run engines on it, seen none; run: ")
    assert "pip install 'morphstream[rtx]'; or, for engines of TensorRT: pip install --extra-index-url" in gpu.text
    assert cpu.text.startswith("CPU: expected openvino")
    _, cpu = findings_of(replace(BARE, packages=("onnxruntime-gpu",), missing=("libcudnn.so.9",)))
    assert "seen onnxruntime-gpu on x86_64; run: " in cpu.text


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param(replace(SERVER, driver_cuda="12.0", cuda="12.9.79"), id="an older minor version"),
        pytest.param(replace(SERVER, driver_cuda="13.0"), id="a newer major version"),
        pytest.param(replace(SERVER, driver="535.1", driver_cuda="13.0", cuda="13.0"), id="forward compatibility"),
        pytest.param(replace(SERVER, driver="525.60.13", driver_cuda=None), id="the oldest driver"),
        pytest.param(replace(SERVER, cuda=None), id="nothing that shows what it needs"),
    ],
)
def test_a_driver_runs_the_cuda_of_its_major_version_and_all_before(machine: Machine) -> None:
    assert findings_of(machine) == []


@pytest.mark.parametrize(
    ("key", "machine", "command"),
    [
        pytest.param("x86_64/ov2026.3", MACHINE, "pip install 'openvino==2026.3.*'", id="OpenVINO"),
        pytest.param(
            "sm89/trt10.9_ort1.24",
            SERVER,
            "pip install --extra-index-url https://pypi.nvidia.com 'tensorrt-cu12==10.9.*'",
            id="TensorRT",
        ),
        pytest.param("sm89/trt10.14_ort1.22", SERVER, "pip install 'onnxruntime-gpu==1.22.*'", id="ONNX Runtime"),
        pytest.param("sm89/rtx1.7_ort1.30", WORKSTATION, "pip install 'onnxruntime==1.30.*'", id="that of RTX"),
        pytest.param("sm89/rtx1.6_ort1.31", WORKSTATION, "", id="what its provider carries"),
        pytest.param("sm86/trt10.9_ort1.24", SERVER, "", id="another arch"),
        pytest.param("sm89/trt10.14_ort1.24", SERVER, "", id="what is there"),
    ],
)
def test_pip_installs_the_versions_of_a_cache(key: str, machine: Machine, command: str) -> None:
    assert command_for(CacheKey.parse(key), machine) == command

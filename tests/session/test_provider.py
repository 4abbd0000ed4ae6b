"""A model is opened with the provider that was asked for, or refused: never with another without a word.

No test here has a GPU: fakes of ONNX Runtime and the loader show what they are asked.
"""

import ctypes
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from onnx import helper

from morphstream.artifact.errors import SessionError
from morphstream.session.provider import CPU, PROVIDERS, RTX, TENSORRT, open_model, prepare_provider
from tests.session.fake_gpu import FakeGpu
from tests.stages import model_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A small model."""
    model = model_of([helper.make_node("Neg", ["x"], ["y"])], {"x": ["N", 3]}, {"y": ["N", 3]})
    (tmp_path / "small.onnx").write_bytes(model.SerializeToString())
    return tmp_path / "small.onnx"


def test_the_threads_and_their_order_are_stated(path: Path) -> None:
    options = open_model(path, provider=CPU, threads=2).get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert options.execution_mode.name == "ORT_SEQUENTIAL"
    assert options.log_severity_level == 4


def test_another_provider_than_the_one_that_was_asked_for_is_refused(path: Path) -> None:
    runtime = FakeGpu(TENSORRT, used=CPU)
    expected = rf"^small\.onnx: expected it to run by {TENSORRT}, seen {CPU}; check that the provider's libraries load$"
    with pytest.raises(SessionError, match=expected):
        open_model(path, provider=TENSORRT, threads=1, runtime=runtime)


def test_nodes_that_a_provider_refuses_do_not_go_to_the_cpu(path: Path) -> None:
    """One that ONNX Runtime has everywhere stands for one whose library can't be loaded."""
    with pytest.raises(SessionError, match=r"^small\.onnx: expected an engine for AzureExecutionProvider, seen .*CPU"):
        open_model(path, provider="AzureExecutionProvider", threads=1)


def test_a_provider_that_is_built_in_has_no_devices_to_name() -> None:
    assert prepare_provider(CPU) == []


def test_every_builder_for_gpus_has_a_provider() -> None:
    assert PROVIDERS == {
        "tensorrt_rtx": "NvTensorRTRTXExecutionProvider",
        "tensorrt": "TensorrtExecutionProvider",
    }


def test_libraries_of_packages_are_loaded_for_all_before_the_provider_of_tensorrt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package, *files in (("nvidia-cudnn-cu12", "libcudnn.so.9"), ("tensorrt-cu12-libs", "libnvinfer.so.10")):
        info = tmp_path / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
        for file in files:
            (tmp_path / file).touch()  # Python 3.12 lists no files that aren't there
    monkeypatch.syspath_prepend(tmp_path)
    asked: list[tuple[str, int]] = []
    prepare_provider(TENSORRT, runtime=FakeGpu(TENSORRT), load_library=lambda path, mode: asked.append((path, mode)))
    names = ("libcudnn.so.9", "libnvinfer.so.10")
    assert asked == [(str(tmp_path / name), ctypes.RTLD_GLOBAL) for name in names]

    def broken(path: str, mode: int) -> None:
        raise OSError(f"{path}: file too short")

    with pytest.raises(SessionError, match=r"^expected libcudnn\.so\.9 of nvidia-cudnn-cu12, seen .+; install that"):
        prepare_provider(TENSORRT, runtime=FakeGpu(TENSORRT), load_library=broken)


@dataclass
class Plugins:
    """An ONNX Runtime that registers providers from libraries.

    Attributes:
        asked: What it and the loader were asked to load, in order, each with the loader's mode.
        gpus: How many GPUs the provider finds when it is registered.
    """

    asked: list[tuple[str, int | None]] = field(default_factory=list)
    gpus: int = 1

    def get_available_providers(self) -> list[str]:
        """Return what is built in."""
        return [CPU]

    def get_ep_devices(self) -> list[SimpleNamespace]:
        """Return the GPUs of a registered provider."""
        is_registered = any(name.endswith("rtx.so") for name, _ in self.asked)
        return [SimpleNamespace(ep_name=RTX)] * self.gpus if is_registered else []

    def register_execution_provider_library(self, name: str, library: str) -> None:
        """Remember a library."""
        assert name == RTX
        self.asked.append((Path(library).name, None))

    def load(self, path: str, mode: int) -> None:
        """Remember a library that the loader was asked for."""
        self.asked.append((Path(path).name, mode))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with the names of files in the wheel of the provider for TensorRT for RTX, version 0.5.0."""
    folder = tmp_path / "onnxruntime_ep_nv_tensorrt_rtx"
    folder.mkdir()
    library = folder / "libonnxruntime_providers_nv_tensorrt_rtx.so"
    for path in (library, folder / "libcudart.so.12.9.79", folder / "libtensorrt_rtx.so.1.7.1"):
        path.touch()
    (folder / "__init__.py").write_text(f"def get_library_path() -> str:\n    return {str(library)!r}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, folder.name, raising=False)
    return folder


def test_a_provider_s_own_cuda_runtime_is_loaded_for_all_before_it(package: Path) -> None:
    plugins = Plugins()
    for _ in range(2):  # and once
        assert [device.ep_name for device in prepare_provider(RTX, runtime=plugins, load_library=plugins.load)] == [RTX]
    library = "libonnxruntime_providers_nv_tensorrt_rtx.so"
    assert plugins.asked == [("libcudart.so.12.9.79", ctypes.RTLD_GLOBAL), (library, None)]


def test_a_provider_whose_package_brings_no_cuda_runtime_uses_the_system_s(package: Path) -> None:
    (package / "libcudart.so.12.9.79").unlink()
    plugins = Plugins()
    prepare_provider(RTX, runtime=plugins, load_library=plugins.load)
    assert plugins.asked == [("libonnxruntime_providers_nv_tensorrt_rtx.so", None)]


@pytest.mark.parametrize(
    ("gpus", "is_broken", "seen"),
    [(0, False, CPU), (1, True, "libcudart.so.12.9.79: file too short")],
    ids=["no GPU", "a broken CUDA runtime"],
)
def test_a_provider_that_can_not_run_here_is_refused_in_one_line(
    package: Path, gpus: int, is_broken: bool, seen: str
) -> None:
    def broken(path: str, mode: int) -> None:
        raise OSError(f"{Path(path).name}:\nfile too short")

    plugins = Plugins(gpus=gpus)
    with pytest.raises(SessionError, match=f"^expected ONNX Runtime with {RTX}, seen {seen}; .+ cpu$"):
        prepare_provider(RTX, runtime=plugins, load_library=broken if is_broken else plugins.load)

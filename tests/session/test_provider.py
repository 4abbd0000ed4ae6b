"""A model is opened by the provider that was asked for, or refused: never by another without a word."""

from pathlib import Path

import pytest
from onnx import helper

from morphstream.artifact.errors import SessionError
from morphstream.session.provider import CPU, PROVIDERS, TENSORRT, open_model, prepare_provider
from tests.session.gpu import Gpu
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
    runtime = Gpu(TENSORRT, used=CPU)
    expected = rf"^small\.onnx: expected it to run by {TENSORRT}, seen {CPU}; check that the provider's libraries load$"
    with pytest.raises(SessionError, match=expected):
        open_model(path, provider=TENSORRT, threads=1, runtime=runtime)


def test_a_provider_that_takes_no_node_does_not_leave_them_to_the_cpu(path: Path) -> None:
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

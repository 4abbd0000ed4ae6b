"""A model of ONNX Runtime gives each row what it gets alone, however many there are, and never runs elsewhere.

No test here has a GPU: a fake one shows what ONNX Runtime is asked, and runs that on the CPU.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from morphstream.artifact.errors import SessionError
from morphstream.session.onnxruntime import OnnxRuntimeSession
from morphstream.session.provider import CPU, RTX, TENSORRT
from morphstream.session.session import Array
from tests.session.fake_gpu import FakeGpu
from tests.stages import Dims, model_of

ROWS = np.arange(27, dtype=np.float32).reshape(9, 3)


def saved(folder: Path, model: onnx.ModelProto, batches: str = "") -> Path:
    """Write a model, and into its metadata the batches that it is for."""
    if batches:
        helper.set_model_props(model, {"batches": batches})
    path = folder / "small.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def small(
    folder: Path, *operators: str, batches: str = "", dims: Dims = ("N", 3), kind: int = TensorProto.FLOAT
) -> Path:
    """Write a model whose outputs ``y0``, ``y1``... are an operator each, of ``x``."""
    outputs = {f"y{place}": operator for place, operator in enumerate(operators)}
    nodes = [helper.make_node(operator, ["x"], [name]) for name, operator in outputs.items()]
    return saved(folder, model_of(nodes, {"x": dims}, dict.fromkeys(outputs, dims), kind=kind), batches)


def opened(path: Path, **choices: Any) -> OnnxRuntimeSession:
    return OnnxRuntimeSession(path, **{"provider": CPU, "threads": 1, **choices})


@pytest.mark.parametrize("batches", ["", "1", "4", "1,2,4", "2"], ids=lambda text: text or "any")
@pytest.mark.parametrize("gpu", [None, RTX, TENSORRT], ids=["CPU", "fake RTX", "fake TensorRT"])
def test_each_row_gets_what_it_gets_alone(tmp_path: Path, batches: str, gpu: str | None) -> None:
    choices = {"provider": gpu, "runtime": FakeGpu(gpu)} if gpu else {}
    session = opened(small(tmp_path, "Neg", "Exp", batches=batches), **choices)
    assert session.batches == tuple(int(size) for size in batches.split(",") if size)
    assert session.input_shapes == {"x": (-1, 3)}
    for _ in range(2):
        for count in (1, 2, 3, 4, 7, 9, 0):
            outputs = session.run({"x": ROWS[:count]})
            np.testing.assert_array_equal(outputs["y0"], -ROWS[:count])
            np.testing.assert_allclose(outputs["y1"], np.exp(ROWS[:count]), rtol=1e-5)
    session.close()


def test_a_fixed_batch_takes_rows_in_parts_of_it(tmp_path: Path) -> None:
    session = opened(small(tmp_path, "Neg", dims=(2, 3)))
    assert (session.batches, session.input_shapes) == ((2,), {"x": (2, 3)})
    for count in (1, 2, 5):
        np.testing.assert_array_equal(session.run({"x": ROWS[:count]})["y0"], -ROWS[:count])


def test_no_rows_give_none_and_ask_for_no_run(tmp_path: Path) -> None:
    gpu = FakeGpu(RTX)
    session = opened(small(tmp_path, "Neg"), provider=RTX, runtime=gpu)
    outputs = session.run({"x": np.empty((0, 3), np.float32)})
    assert {name: (array.shape, array.dtype.name) for name, array in outputs.items()} == {"y0": ((0, 3), "float32")}
    assert gpu.runs == []


def test_other_dynamic_axes_run_as_they_come(tmp_path: Path) -> None:
    session = opened(small(tmp_path, "Neg", dims=("N", "H", "W"), batches="1,2"))
    for shape in [(1, 2, 3), (3, 4, 5), (1, 2, 3), *((2, size, 1) for size in range(1, 12))]:
        pixels = np.random.default_rng(0).random(shape, np.float32)
        np.testing.assert_array_equal(session.run({"x": pixels})["y0"], -pixels)
    assert session.run({"x": np.empty((0, 7, 7), np.float32)})["y0"].shape[0] == 0


@pytest.mark.parametrize("gpu", [None, RTX], ids=["CPU", "fake RTX"])
def test_an_output_whose_shape_is_known_after_a_run_is_returned(tmp_path: Path, gpu: str | None) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    model = model_of(nodes, {"x": ["N", 4]}, {"y": ["all", "rest"]}, {"shape": np.array([-1, 2])})
    session = opened(saved(tmp_path, model), **({"provider": gpu, "runtime": FakeGpu(gpu)} if gpu else {}))
    for value in (1, 2):
        rows = np.full((3, 4), value, np.float32)
        np.testing.assert_array_equal(session.run({"x": rows})["y"], rows.reshape(6, 2))


def test_a_model_that_declares_other_shapes_than_its_outputs_have_runs_on_the_cpu(tmp_path: Path) -> None:
    nodes = [helper.make_node("Neg", ["x"], ["y"])]
    values = [helper.make_tensor_value_info(name, 1, dims) for name, dims in (("x", ["N", "M"]), ("y", [1, 5]))]
    model = helper.make_model(
        helper.make_graph(nodes, "m", values[:1], values[1:]),
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17)],
    )
    session = opened(saved(tmp_path, model))
    for _ in range(2):
        np.testing.assert_array_equal(session.run({"x": ROWS})["y"], -ROWS)


@pytest.mark.parametrize("gpu", [False, True], ids=["CPU", "fake RTX with a CUDA graph"])
def test_outputs_outlast_the_next_run_and_inputs_are_left_alone(tmp_path: Path, *, gpu: bool) -> None:
    choices = {"provider": RTX, "runtime": FakeGpu(RTX), "cuda_graph": True} if gpu else {}
    session = opened(small(tmp_path, "Neg", batches="2"), **choices)
    rows = ROWS[:2].copy()
    first = session.run({"x": rows})["y0"]
    np.testing.assert_array_equal(rows, ROWS[:2])
    np.testing.assert_array_equal(session.run({"x": ROWS[2:4]})["y0"], -ROWS[2:4])
    np.testing.assert_array_equal(first, -ROWS[:2])


def test_inputs_need_not_be_contiguous(tmp_path: Path) -> None:
    session = opened(small(tmp_path, "Neg", batches="1,2"))
    mirrored = ROWS[::2, ::-1][:3]
    assert not mirrored.flags.c_contiguous
    np.testing.assert_array_equal(session.run({"x": mirrored})["y0"], -mirrored)


def test_half_precision_goes_in_and_comes_out_as_it_is(tmp_path: Path) -> None:
    session = opened(small(tmp_path, "Neg", kind=TensorProto.FLOAT16))
    output = session.run({"x": ROWS.astype(np.float16)})["y0"]
    assert output.dtype == np.float16
    np.testing.assert_array_equal(output, -ROWS)


def test_an_output_with_nan_or_infinity_is_refused_with_its_name(tmp_path: Path) -> None:
    session = opened(small(tmp_path, "Abs", "Log", batches="1,4"))
    with pytest.raises(SessionError, match=r"^small\.onnx: expected numbers in y1, seen NaN or infinity$"):
        session.run({"x": np.array([[1, 1, 1], [1, 0, 1]], np.float32)})
    assert np.isfinite(session.run({"x": np.ones((2, 3), np.float32)})["y1"]).all()


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param({"x": np.ones((1, 4), np.float32)}, id="another shape"),
        pytest.param({"x": np.ones(3, np.float32)}, id="too few axes"),
        pytest.param({"x": np.ones((1, 3))}, id="another type"),
        pytest.param({"y": np.ones((1, 3), np.float32)}, id="another name"),
        pytest.param({}, id="nothing"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_in_one_line(tmp_path: Path, inputs: Mapping[str, Array]) -> None:
    session = opened(small(tmp_path, "Neg"))
    with pytest.raises(SessionError, match=r"^small\.onnx: expected it to run on x \(-1, 3\) float32, seen .+; give"):
        session.run(inputs)


def test_inputs_of_different_numbers_of_rows_are_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["a", "b"], ["y"])]
    session = opened(saved(tmp_path, model_of(nodes, {"a": ["N", 3], "b": ["N", 3]}, {"y": ["N", 3]})))
    with pytest.raises(SessionError, match=r"seen a \(2, 3\) float32, b \(1, 3\) float32"):
        session.run({"a": ROWS[:2], "b": ROWS[:1]})


def test_a_run_that_fails_is_refused_in_one_line_and_the_next_one_runs(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["a", "b"], ["y"])]
    session = opened(saved(tmp_path, model_of(nodes, {"a": ["N", "M"], "b": ["N", "M"]}, {"y": ["N", "M"]})))
    with pytest.raises(SessionError, match=r"^small\.onnx: expected it to run, seen ") as caught:
        session.run({"a": ROWS[:, :2], "b": ROWS})
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(session.run({"a": ROWS, "b": ROWS})["y"], 2 * ROWS)


def test_an_output_without_rows_is_refused_where_it_would_have_to_be_cut(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)]
    session = opened(saved(tmp_path, model_of(nodes, {"x": ["N", 3]}, {"y": []}), "2"))
    assert session.run({"x": ROWS[:2]})["y"] == 15
    with pytest.raises(SessionError, match=r"^small\.onnx: expected 2 rows in y, seen \(\); prepare the model$"):
        session.run({"x": ROWS[:1]})


@pytest.mark.parametrize("batches", ["one", "1,", "0", "-1", "1.5"])
def test_batches_of_another_form_are_refused(tmp_path: Path, batches: str) -> None:
    with pytest.raises(SessionError, match=rf"^small\.onnx: expected batches such as 1,2, seen '{batches}'; "):
        opened(small(tmp_path, "Neg", batches=batches))


def test_inputs_of_different_batches_are_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["a", "b"], ["y"])]
    path = saved(tmp_path, model_of(nodes, {"a": [2, 3], "b": [3, 4]}, {"y": [2, 4]}))
    with pytest.raises(SessionError, match=r"expected inputs of one batch, seen \(2, 3\), \(3, 4\); prepare the model"):
        opened(path)


@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        pytest.param(lambda path: path.write_bytes(b"something else"), "INVALID_PROTOBUF", id="other bytes"),
        pytest.param(lambda path: path.write_bytes(b""), "", id="empty"),
        pytest.param(Path.unlink, "NO_SUCHFILE", id="no file"),
    ],
)
def test_a_broken_model_is_refused_in_one_line(tmp_path: Path, damage: Any, seen: str) -> None:
    damage(path := small(tmp_path, "Neg"))
    expected = rf"^small\.onnx: expected a model for ONNX Runtime, seen .*{seen}.*; boot or build it again$"
    with pytest.raises(SessionError, match=expected) as caught:
        opened(path)
    assert "\n" not in str(caught.value)


def test_a_model_of_strings_is_refused(tmp_path: Path) -> None:
    path = small(tmp_path, "Identity", kind=TensorProto.STRING)
    with pytest.raises(SessionError, match=r"expected tensor\(float\), .*, seen x of tensor\(string\)"):
        opened(path)


@pytest.mark.parametrize("provider", [RTX, TENSORRT])
def test_a_provider_that_is_not_installed_is_refused_in_one_line(tmp_path: Path, provider: str) -> None:
    if provider in onnxruntime.get_available_providers():
        pytest.skip(f"has {provider}")
    with pytest.raises(SessionError, match=f"^expected ONNX Runtime with {provider}, seen .+; install .+") as caught:
        opened(small(tmp_path, "Neg"), provider=provider)
    assert "\n" not in str(caught.value)


def test_rtx_is_asked_to_run_each_batch_once_with_its_profile(tmp_path: Path) -> None:
    gpu = FakeGpu(RTX)
    opened(small(tmp_path, "Log", batches="1,2,4"), provider=RTX, runtime=gpu)
    assert [(size, entries) for size, entries, _ in gpu.runs] == [
        (1, {"nv_profile_index": "0"}),
        (2, {"nv_profile_index": "1"}),
        (4, {"nv_profile_index": "2"}),
    ]
    assert gpu.providers == [(RTX, {"nv_multi_profile_enable": "1"})]
    assert gpu.config == {"session.disable_cpu_ep_fallback": "1"}


def test_a_profile_that_a_fake_rtx_refuses_is_logged_and_its_rows_run_in_smaller_batches(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = small(tmp_path, "Neg", batches="1,2,4")
    with caplog.at_level(logging.WARNING):
        session = opened(path, provider=RTX, runtime=FakeGpu(RTX, refused=(2, 4)))
    assert session.batches == (1,)
    assert [record.getMessage() for record in caplog.records] == [
        f"small.onnx: expected it to run, seen failed to call setInputShape(); rows run in batches smaller than {size}"
        for size in (2, 4)
    ]
    np.testing.assert_array_equal(session.run({"x": ROWS})["y0"], -ROWS)


@pytest.mark.parametrize(
    ("provider", "refused"),
    [(RTX, (1,)), (TENSORRT, (2,))],
    ids=["the smallest of a fake RTX", "any of a fake TensorRT"],
)
def test_an_engine_that_a_fake_gpu_can_not_run_is_refused_when_it_is_opened(
    tmp_path: Path, provider: str, refused: tuple[int, ...]
) -> None:
    with pytest.raises(SessionError, match=r"^small\.onnx: expected it to run, seen failed to call setInputShape\(\)$"):
        opened(small(tmp_path, "Neg", batches="1,2"), provider=provider, runtime=FakeGpu(provider, refused=refused))


def test_a_cuda_graph_is_asked_for_with_a_number_a_batch_and_addresses_that_stay(tmp_path: Path) -> None:
    gpu = FakeGpu(RTX)
    session = opened(small(tmp_path, "Neg", batches="1,2"), provider=RTX, runtime=gpu, cuda_graph=True)
    assert gpu.providers == [(RTX, {"nv_multi_profile_enable": "1", "enable_cuda_graph": "1"})]
    for count in (3, 1, 2):
        np.testing.assert_array_equal(session.run({"x": ROWS[:count]})["y0"], -ROWS[:count])
    graphs = {(size, entries["cuda_graph_annotation_id"], addresses) for size, entries, addresses in gpu.runs}
    assert sorted((size, number, len(addresses)) for size, number, addresses in graphs) == [(1, "1", 2), (2, "2", 2)]


def test_tensorrt_is_asked_for_one_cuda_graph_of_the_smallest_batch(tmp_path: Path) -> None:
    gpu = FakeGpu(TENSORRT)
    session = opened(small(tmp_path, "Neg", batches="1,2"), provider=TENSORRT, runtime=gpu, cuda_graph=True)
    assert gpu.providers == [(TENSORRT, {"trt_cuda_graph_enable": "True"})]
    assert session.batches == (1,)
    np.testing.assert_array_equal(session.run({"x": ROWS})["y0"], -ROWS)
    assert {(size, *entries) for size, entries, _ in gpu.runs} == {(1,)}


@pytest.mark.parametrize(("dims", "batches"), [(("N", 3), ""), (("N", "M"), "1")], ids=["any batch", "any width"])
def test_a_cuda_graph_of_unknown_shapes_is_refused(tmp_path: Path, dims: Dims, batches: str) -> None:
    with pytest.raises(SessionError, match=r"^small\.onnx: expected known shapes for a CUDA graph, seen \(-1, "):
        opened(small(tmp_path, "Neg", dims=dims, batches=batches), provider=RTX, runtime=FakeGpu(RTX), cuda_graph=True)


def test_a_cuda_graph_on_the_cpu_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cuda_graph: expected a provider of GPUs, seen CPUExecutionProvider"):
        opened(small(tmp_path, "Neg"), cuda_graph=True)


def test_a_cuda_graph_of_an_output_of_unknown_shape_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Compress", ["x", "kept"], ["y"], axis=1)]
    model = model_of(nodes, {"x": ["N", 4]}, {"y": ["N", "rest"]}, {"kept": np.array([True, False])})
    with pytest.raises(SessionError, match=r"expected known shapes for a CUDA graph, seen \(-1, 4\), \(-1, -1\); open"):
        opened(saved(tmp_path, model, "1"), provider=RTX, runtime=FakeGpu(RTX), cuda_graph=True)

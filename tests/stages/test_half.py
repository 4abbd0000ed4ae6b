"""A model in half precision has float16 weights, but takes and gives what it took and gave, norms in single."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stages.prepare import edit
from stages.surgery.half import to_half
from tests.stages import PARAMS, Array, Dims, loaded, model_of, run_model, types_of

HALVED = [name for name, model in PARAMS.models.items() if model.precision == "fp16"]


def prepared(name: str) -> onnx.ModelProto:
    return edit(loaded(name), PARAMS.model(name))


def two_norms() -> onnx.ModelProto:
    """Return a model in which one value is read by two norms, both of which stay in single precision."""
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["h"]),
        helper.make_node("ReduceMean", ["h"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("ReduceL2", ["h"], ["length"], axes=[1], keepdims=1),
        helper.make_node("Softmax", ["h"], ["shares"]),
        helper.make_node("Sub", ["shares", "mean"], ["d"]),
        helper.make_node("Div", ["d", "length"], ["y"]),
    ]
    weight = np.random.default_rng(7).standard_normal((8, 8)).astype(np.float32)
    return model_of(nodes, {"x": ["N", 8]}, {"y": ["N", 8]}, {"weight": weight})


@pytest.mark.parametrize("name", HALVED)
def test_inputs_and_outputs_keep_their_types(name: str) -> None:
    single = prepared(name)
    half = to_half(single)
    onnx.checker.check_model(half, full_check=True)
    assert types_of(half.graph.input) == types_of(single.graph.input)
    assert types_of(half.graph.output) == types_of(single.graph.output)


@pytest.mark.parametrize("name", ["det_10g", "w600k_r50"])
def test_weights_are_half_as_large(name: str) -> None:
    single = prepared(name)
    assert to_half(single).ByteSize() < 0.6 * single.ByteSize()


def test_a_value_that_two_norms_read_is_cast_once() -> None:
    model = two_norms()
    half = to_half(model)
    onnx.checker.check_model(half, full_check=True)
    outputs = [output for node in half.graph.node for output in node.output]
    assert len(outputs) == len(set(outputs))
    x = np.random.default_rng(8).standard_normal((3, 8)).astype(np.float32)
    np.testing.assert_allclose(run_model(half, x=x)["y"], run_model(model, x=x)["y"], atol=2e-3)


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_a_resize_by_sizes_beside_empty_scales_is_converted(opset: int) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["h"]),
        helper.make_node("Resize", ["h", "empty", "empty", "sizes"], ["y"], mode="nearest"),
    ]
    weights: dict[str, Array] = {"empty": np.zeros(0, np.float32), "sizes": np.array([1, 1, 4, 4])}
    model = model_of(nodes, {"x": [1, 1, 2, 2]}, {"y": [1, 1, 4, 4]}, weights)
    model.opset_import[0].version = opset
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    np.testing.assert_array_equal(run_model(to_half(model), x=x)["y"], run_model(model, x=x)["y"])


def test_norms_stay_in_single_precision() -> None:
    half = onnx.shape_inference.infer_shapes(to_half(two_norms()))
    kinds = {value.name: value.type.tensor_type.elem_type for value in half.graph.value_info}
    for node in half.graph.node:
        if node.op_type in {"ReduceMean", "ReduceL2", "Softmax"}:
            assert kinds[node.input[0]] == TensorProto.FLOAT, node.op_type
    product = next(node for node in half.graph.node if node.op_type == "MatMul")
    assert kinds[product.output[0]] == TensorProto.FLOAT16


def test_a_norm_of_large_values_does_not_overflow() -> None:
    nodes = [
        helper.make_node("Mul", ["x", "hundred"], ["h"]),
        helper.make_node("ReduceL2", ["h"], ["length"], axes=[1], keepdims=1),
        helper.make_node("Div", ["h", "length"], ["y"]),
    ]
    hundred = {"hundred": np.full(1, 100, np.float32)}
    model = model_of(nodes, {"x": [1, 1024]}, {"y": [1, 1024]}, hundred)
    seen = run_model(to_half(model), x=np.full((1, 1024), 50, np.float32))["y"]  # 5000 squared is past 65504
    np.testing.assert_allclose(seen, 1 / 32, rtol=1e-3)


def node(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output], **attributes)


MEAN = [node("ReduceMean", "h", "mean", axes=[1], keepdims=1), node("Sub", "h mean", "d")]
SPREAD = [node("ReduceMean", "s", "v", axes=[1], keepdims=1), node("Add", "v eps", "e")]
DECOMPOSED = {
    "a layer norm": [*MEAN, node("Pow", "d two", "s"), *SPREAD, node("Sqrt", "e", "r"), node("Div", "d r", "n")],
    "inswapper's": [
        *(*MEAN, node("Mul", "d d", "s"), *SPREAD, node("Sqrt", "e", "r")),
        *(node("Div", "one r", "q"), node("Mul", "d q", "n")),
    ],
    "by a reciprocal": [
        *(*MEAN, node("Mul", "d d", "s"), *SPREAD, node("Sqrt", "e", "r")),
        *(node("Reciprocal", "r", "q"), node("Mul", "q d", "n")),
    ],
    "by a power": [*MEAN, node("Mul", "d d", "s"), *SPREAD, node("Pow", "e minus_half", "q"), node("Mul", "d q", "n")],
    "a mean of squares less a squared mean": [
        *(*MEAN, node("Mul", "h h", "p"), node("ReduceMean", "p", "t", axes=[1], keepdims=1)),
        *(node("Mul", "mean mean", "m"), node("Sub", "t m", "v"), node("Add", "v eps", "e"), node("Sqrt", "e", "r")),
        node("Div", "d r", "n"),
    ],
    "without a mean": [node("Mul", "h h", "s"), *SPREAD, node("Sqrt", "e", "r"), node("Div", "h r", "n")],
    "by pools": [
        *(node("Unsqueeze", "h last", "u"), node("GlobalAveragePool", "u", "mean"), node("Sub", "u mean", "d")),
        *(
            node("Mul", "d d", "s"),
            node("GlobalAveragePool", "s", "v"),
            node("Add", "v eps", "e"),
            node("Sqrt", "e", "r"),
        ),
        *(node("Div", "d r", "w"), node("Squeeze", "w last", "n")),
    ],
    "a length": [
        *(node("Mul", "h h", "s"), node("ReduceSum", "s axis", "v", keepdims=1), node("Sqrt", "v", "r")),
        *(node("Max", "r eps", "e"), node("Div", "h e", "n")),
    ],
    "an operator's length": [node("LpNormalization", "h", "n", axis=1, p=2)],
    "a layer norm in one": [node("LayerNormalization", "h scale bias", "n", axis=1)],
}
CONSTANTS: dict[str, Array] = {
    "hundred": np.full(1, 100, np.float32),
    "eps": np.full(1, 1e-10, np.float32),
    "one": np.ones(1, np.float32),
    "two": np.full((), 2, np.float32),
    "minus_half": np.full(1, -0.5, np.float32),
    "axis": np.array([1]),
    "last": np.array([2]),
    "scale": np.ones(64, np.float32),
    "bias": np.zeros(64, np.float32),
}


@pytest.mark.parametrize("form", DECOMPOSED)
@pytest.mark.parametrize("scale", [1e-4, 40], ids=["of small values", "of values whose squares overflow"])
def test_a_norm_is_calculated_in_single_precision_however_it_is_written(form: str, scale: float) -> None:
    nodes = [node("Mul", "x hundred", "h"), *DECOMPOSED[form], node("Mul", "n hundred", "y")]
    shape: dict[str, Dims] = {"x": ["N", 64]}
    model = model_of(nodes, shape, {"y": ["N", 64]}, CONSTANTS)
    x = (scale * np.random.default_rng(6).uniform(-1, 3, (2, 64))).astype(np.float32)
    half = to_half(model)
    np.testing.assert_allclose(run_model(half, x=x)["y"], run_model(model, x=x)["y"], rtol=5e-3, atol=0.3)


def test_a_batch_s_statistics_stay_in_single_precision() -> None:
    statistics = {name: np.full(4, value, np.float32) for name, value in {"s": 1e3, "b": 1, "m": 10, "v": 1e6}.items()}
    nodes = [node("BatchNormalization", "x s b m v", "y")]
    model = model_of(nodes, {"x": ["N", 4]}, {"y": ["N", 4]}, statistics)  # a million is past half precision's range
    x = np.array([[1, 20, 300, 4000]], np.float32)
    np.testing.assert_allclose(run_model(to_half(model), x=x)["y"], run_model(model, x=x)["y"], rtol=2e-3)


def test_a_small_constant_that_a_norm_shares_keeps_its_digits() -> None:
    nodes = [
        helper.make_node("Constant", [], ["eps"], value=numpy_helper.from_array(np.array(1e-12, np.float32), "")),
        *(node("Mul", "x x", "s"), node("ReduceMean", "s", "v", axes=[1], keepdims=1), node("Add", "v eps", "e")),
        *(node("Sqrt", "e", "r"), node("Div", "x r", "n"), node("Add", "n eps", "y")),
    ]
    model = model_of(nodes, {"x": ["N", 4]}, {"y": ["N", 4]})
    half = to_half(model)
    kept = {numpy_helper.to_array(tensor).item() for tensor in half.graph.initializer if tensor.data_type == 1}
    assert np.float32(1e-12) in kept


def test_pixels_are_normalised_in_single_precision() -> None:
    half = onnx.shape_inference.infer_shapes(to_half(prepared("w600k_r50")))
    kinds = {value.name: value.type.tensor_type.elem_type for value in half.graph.value_info}
    front = [node for node in half.graph.node if node.name.split("_")[0] in {"Cast", "Gather", "Sub", "Div"}][:4]
    assert {kinds[node.output[0]] for node in front if node.op_type != "Cast"} == {TensorProto.FLOAT}
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    crop = np.broadcast_to(np.kron(levels, np.ones((7, 7), np.uint8))[..., None], (1, 112, 112, 3)).copy()
    wanted = run_model(prepared("w600k_r50"), crop=crop)["embedding"]
    seen = run_model(to_half(prepared("w600k_r50")), crop=crop)["embedding"]
    assert np.vdot(seen, wanted) / np.linalg.norm(seen) / np.linalg.norm(wanted) > 0.99999


def test_nodes_without_a_name_are_kept_apart() -> None:
    model = two_norms()
    for other in model.graph.node:
        other.name = ""
    half = to_half(model)
    assert len({other.name for other in half.graph.node}) == len(half.graph.node)


def test_the_same_model_gives_the_same_bytes() -> None:
    first, second = (to_half(prepared("w600k_r50")).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_the_model_it_is_given_stays_as_it_was() -> None:
    model = two_norms()
    before = model.SerializeToString(deterministic=True)
    to_half(model)
    assert model.SerializeToString(deterministic=True) == before

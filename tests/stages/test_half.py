"""A model in half precision has float16 weights, but takes and gives what it took and gave, norms in single."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from stages.prepare import edit
from stages.surgery.half import to_half
from tests.stages import PARAMS, loaded, model_of, run_model, types_of

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


def test_the_same_model_gives_the_same_bytes() -> None:
    first, second = (to_half(prepared("w600k_r50")).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_the_model_it_is_given_stays_as_it_was() -> None:
    model = two_norms()
    before = model.SerializeToString(deterministic=True)
    to_half(model)
    assert model.SerializeToString(deterministic=True) == before

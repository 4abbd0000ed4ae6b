"""Equal constants are kept once, wherever a file keeps them; those that differ in a bit, type or shape are not."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from stages.prepare import edit
from stages.surgery.initializers import lift_constants, merge_equal
from stages.surgery.read import read_model
from tests.stages import PARAMS, Array, loaded, model_of, run_model

RANDOM = np.random.default_rng(41)
W = RANDOM.standard_normal((32, 32)).astype(np.float32)
X = RANDOM.standard_normal((2, 32)).astype(np.float32)


def chain(weights: dict[str, Array]) -> onnx.ModelProto:
    """Return a model that multiplies by one weight after another."""
    values = ["x", *(f"v{i}" for i in range(len(weights) - 1)), "y"]
    nodes = [
        helper.make_node("MatMul", [value, name], [after])
        for value, name, after in zip(values, weights, values[1:], strict=False)
    ]
    return model_of(nodes, {"x": ["N", 32]}, {"y": ["N", 32]}, weights)


def names(model: onnx.ModelProto) -> list[str]:
    return [tensor.name for tensor in model.graph.initializer]


def test_equal_ones_become_the_first_of_them() -> None:
    model = chain({"a": W, "b": W.copy(), "c": W.T.copy(), "d": W.copy()})
    merged = merge_equal(model)
    assert names(merged) == ["a", "c"]
    np.testing.assert_array_equal(run_model(merged, x=X)["y"], run_model(model, x=X)["y"])


def test_the_same_numbers_written_otherwise_are_equal() -> None:
    model = chain({"a": W, "b": W})
    model.graph.initializer[1].CopyFrom(helper.make_tensor("b", TensorProto.FLOAT, W.shape, W.ravel()))
    assert names(merge_equal(model)) == ["a"]


def test_a_bit_a_type_or_a_shape_makes_a_difference() -> None:
    other = W.copy()
    other[0, 0] = np.nextafter(other[0, 0], np.float32(np.inf))
    model = chain({"a": W, "b": other})
    for array in (W.astype(np.float64), W.reshape(1, 32, 32), W.view(np.int32)):
        model.graph.initializer.append(numpy_helper.from_array(array, f"unused{array.dtype}{array.ndim}"))
    assert merge_equal(model) is model


def test_minus_zero_is_not_zero() -> None:
    assert merge_equal(chain({"a": np.zeros_like(W), "b": -np.zeros_like(W)})).graph.initializer[1].name == "b"


def test_weights_in_a_file_are_compared_too(tmp_path: Path) -> None:
    large = np.tile(W, (2, 1))
    model = chain({"a": W, "b": W.copy()})
    model.graph.initializer.extend(numpy_helper.from_array(large + i // 2, f"large{i}") for i in range(4))
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    assert names(merge_equal(read_model(tmp_path / "model.onnx"))) == ["a", "large0", "large2"]


def test_what_a_graph_inside_reads_is_merged_as_well() -> None:
    output = [helper.make_tensor_value_info("r", TensorProto.FLOAT, ["N", 32])]
    branch = helper.make_graph([helper.make_node("MatMul", ["x", "b"], ["r"])], "branch", [], output)
    nodes = [
        helper.make_node("If", ["which"], ["i"], then_branch=branch, else_branch=branch),
        helper.make_node("MatMul", ["i", "a"], ["y"]),
    ]
    weights = {"which": np.array(True), "a": W, "b": W}
    model = model_of(nodes, {"x": ["N", 32]}, {"y": ["N", 32]}, weights)
    merged = merge_equal(model)
    assert names(merged) == ["which", "a"]
    np.testing.assert_array_equal(run_model(merged, x=X)["y"], run_model(model, x=X)["y"])


def test_constants_in_nodes_become_initializers() -> None:
    nodes = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(W, "")),
        helper.make_node("Constant", [], ["shape"], value_ints=[0, 4, 8]),
        helper.make_node("Constant", [], ["two"], value_float=2.0),
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Reshape", ["m", "shape"], ["r"]),
        helper.make_node("Mul", ["r", "two"], ["y"]),
    ]
    model = model_of(nodes, {"x": ["N", 32]}, {"y": ["N", 4, 8]})
    lifted = lift_constants(model)
    assert names(lifted) == ["w", "shape", "two"]
    assert [node.op_type for node in lifted.graph.node] == ["MatMul", "Reshape", "Mul"]
    np.testing.assert_array_equal(run_model(lifted, x=X)["y"], run_model(model, x=X)["y"])


def test_the_kit_s_prepared_swapper_has_no_two_equal_ones_and_no_emap() -> None:
    prepared = edit(loaded("inswapper_128"), PARAMS.model("inswapper_128"))
    kinds = [(t.data_type, tuple(t.dims), numpy_helper.to_array(t).tobytes()) for t in prepared.graph.initializer]
    assert len(kinds) == len(set(kinds))
    assert "buff2fs" not in names(prepared)


def test_the_model_it_is_given_stays_as_it_was() -> None:
    model = chain({"a": W, "b": W.copy()})
    before = model.SerializeToString(deterministic=True)
    merge_equal(model)
    lift_constants(model)
    assert model.SerializeToString(deterministic=True) == before

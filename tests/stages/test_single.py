"""A file in half precision becomes the same graph in single precision, with no cast that has nothing to do."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stages.prepare import edit
from stages.surgery.single import to_single
from stages.surgery.tensors import tensors_of
from tests.stages import PARAMS, Dims, loaded, model_of, run_model, types_of

RANDOM = np.random.default_rng(31)
HALF, FLOAT = TensorProto.FLOAT16, TensorProto.FLOAT
SHAPE: dict[str, Dims] = {"x": ["N", 4]}


def half_inside(kind: int) -> onnx.ModelProto:
    """Return a model with weights in half precision, whose inputs and outputs are of some type."""
    two = numpy_helper.from_array(np.array(2, np.float16), "two")
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=HALF),
        helper.make_node("MatMul", ["h", "w"], ["m"]),
        helper.make_node("Constant", [], ["two"], value=two),
        helper.make_node("Mul", ["m", "two"], ["d"]),
        helper.make_node("Cast", ["d"], ["y"], to=kind),
    ]
    weights = {"w": RANDOM.standard_normal((4, 4)).astype(np.float16)}
    return model_of(nodes, SHAPE, {"y": ["N", 4]}, weights, kind=kind)


@pytest.mark.parametrize("kind", [FLOAT, HALF], ids=["single outside", "half outside"])
def test_nothing_is_half_precision_afterwards(kind: int) -> None:
    model = half_inside(kind)
    single = to_single(model)
    assert types_of((*single.graph.input, *single.graph.output)) == {"x": "FLOAT", "y": "FLOAT"}
    assert {tensor.data_type for tensor in tensors_of(single.graph)} == {FLOAT}
    assert [node.op_type for node in single.graph.node] == ["MatMul", "Constant", "Mul", "Identity"]


@pytest.mark.parametrize("kind", [FLOAT, HALF], ids=["single outside", "half outside"])
def test_it_gives_what_the_half_precision_file_gave(kind: int) -> None:
    model = half_inside(kind)
    values = RANDOM.standard_normal((3, 4)).astype(np.float16)
    wanted = run_model(model, x=values.astype(helper.tensor_dtype_to_np_dtype(kind)))["y"]
    seen = run_model(to_single(model), x=values.astype(np.float32))["y"]
    np.testing.assert_allclose(seen, wanted.astype(np.float32), rtol=1e-2, atol=1e-2)


def test_values_that_overflowed_no_longer_do() -> None:
    values = np.full((1, 4), 300, np.float16)
    nodes = [helper.make_node("Mul", ["x", "x"], ["y"])]
    model = model_of(nodes, SHAPE, {"y": ["N", 4]}, kind=HALF)
    assert np.isinf(run_model(model, x=values)["y"]).all()
    np.testing.assert_array_equal(run_model(to_single(model), x=values.astype(np.float32))["y"], 90_000)


def test_casts_of_other_types_stay() -> None:
    nodes = [
        helper.make_node("ArgMax", ["x"], ["i"], axis=1),
        helper.make_node("Cast", ["i"], ["h"], to=HALF),
        helper.make_node("Cast", ["h"], ["y"], to=FLOAT),
    ]
    single = to_single(model_of(nodes, SHAPE, {"y": ["N", 1]}))
    assert [node.op_type for node in single.graph.node] == ["ArgMax", "Cast", "Identity"]
    values = np.array([[0, 3, 1, 2]], np.float32)
    np.testing.assert_array_equal(run_model(single, x=values)["y"], [[1]])


def test_types_that_the_file_states_of_values_are_gone() -> None:
    model = half_inside(FLOAT)
    model.graph.value_info.append(helper.make_tensor_value_info("m", HALF, ["N", 4]))
    assert not to_single(model).graph.value_info


def test_a_value_of_a_graph_inside_is_single_too() -> None:
    def branch(name: str, node: onnx.NodeProto) -> onnx.GraphProto:
        return helper.make_graph([node], name, [], [helper.make_tensor_value_info(node.output[0], HALF, ["N", 4])])

    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=HALF),
        helper.make_node(
            "If",
            ["which"],
            ["r"],
            then_branch=branch("yes", helper.make_node("Relu", ["h"], ["a"])),
            else_branch=branch("no", helper.make_node("Neg", ["h"], ["b"])),
        ),
        helper.make_node("Cast", ["r"], ["y"], to=FLOAT),
    ]
    model = model_of(nodes, SHAPE, {"y": ["N", 4]}, {"which": np.array(True)})
    values = np.array([[-1, 2, -3, 4]], np.float32)
    np.testing.assert_array_equal(run_model(to_single(model), x=values)["y"], run_model(model, x=values)["y"])


def test_a_model_in_single_precision_is_returned_as_it_is() -> None:
    model = loaded("inswapper_128")
    assert to_single(model) is model


@pytest.mark.parametrize("name", PARAMS.models)
def test_a_prepared_model_has_no_half_precision(name: str) -> None:
    prepared = edit(loaded(name), PARAMS.model(name))
    assert HALF not in {tensor.data_type for tensor in tensors_of(prepared.graph)}
    assert HALF not in {
        attribute.i for node in prepared.graph.node if node.op_type == "Cast" for attribute in node.attribute
    }


def test_the_model_it_is_given_stays_as_it_was() -> None:
    model = half_inside(HALF)
    before = model.SerializeToString(deterministic=True)
    to_single(model)
    assert model.SerializeToString(deterministic=True) == before

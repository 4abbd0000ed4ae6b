"""A choice that shapes or constants decide is made while preparing; any other is refused with what to do."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from morphstream.artifact.errors import ModelError
from stages.surgery.batch import with_batch
from stages.surgery.branches import sized, take_branches
from tests.stages import Array, run_model
from tests.stages.onnx_files import node, small

X = np.random.default_rng(5).standard_normal((1, 40)).astype(np.float32)


def branch(nodes: Sequence[onnx.NodeProto], output: str = "z", **weights: Array) -> onnx.GraphProto:
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    value = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    return helper.make_graph(nodes, "branch", [], [value], tensors)


def choice(condition: str, yes: onnx.GraphProto, no: onnx.GraphProto, output: str = "y") -> onnx.NodeProto:
    return node("If", condition, output, f"choice of {output}", then_branch=yes, else_branch=no)


DOUBLED = branch([node("Mul", "x two", "z")], two=np.full(1, 2, np.float32))
NEGATED = branch([node("Neg", "x", "z")])
CONDITIONS = {"yes": np.array(True), "no": np.array(False), "one": np.array(1), "zero": np.array([0])}


def operators(model: onnx.ModelProto) -> list[str]:
    return [one.op_type for one in model.graph.node]


@pytest.mark.parametrize(("condition", "factor"), [("yes", 2), ("no", -1)])
def test_a_constant_decides(condition: str, factor: int) -> None:
    model = take_branches(small(choice(condition, DOUBLED, NEGATED), weights=CONDITIONS))
    assert "If" not in operators(model)
    np.testing.assert_array_equal(run_model(model, x=X)["y"], factor * X)


def test_the_shape_of_one_row_decides_and_rows_are_apart_afterwards() -> None:
    decided = [node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Equal", "n one", "c")]
    model = with_batch(take_branches(small(*decided, choice("c", DOUBLED, NEGATED), weights=CONDITIONS)))
    rows = np.concatenate([X, -X, X + 1])
    np.testing.assert_array_equal(run_model(model, x=rows)["y"], 2 * rows)


def test_choices_within_choices_and_equal_names_in_branches_are_kept_apart() -> None:
    inner = branch([choice("no", NEGATED, branch([node("Add", "x one", "z")], one=np.ones(1, np.float32)), "w")], "w")
    nodes = [choice("yes", inner, NEGATED, "a"), choice("yes", DOUBLED, NEGATED, "b"), node("Add", "a b", "y")]
    model = take_branches(small(*nodes, weights=CONDITIONS))
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(run_model(model, x=X)["y"], X + 1 + 2 * X, rtol=1e-6)


@pytest.mark.parametrize("form", ["a value from outside", "a constant of its own", "an unlifted constant"])
def test_a_branch_may_make_nothing(form: str) -> None:
    ones = np.ones((1, 40), np.float32)
    taken = {
        "a value from outside": branch([], "x"),
        "a constant of its own": branch([], "k", k=ones),
        "an unlifted constant": branch(
            [helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(ones))], "k"
        ),
    }[form]
    nodes = [choice("yes", taken, NEGATED, "c"), node("Add", "c x", "y")]
    model = take_branches(small(*nodes, weights=CONDITIONS))
    np.testing.assert_array_equal(run_model(model, x=X)["y"], X + (X if form == "a value from outside" else 1))


def test_a_condition_in_a_node_s_constant_is_a_constant() -> None:
    made = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True)))
    model = sized(small(made, choice("c", DOUBLED, NEGATED)), {"x": (1, 40)})
    np.testing.assert_array_equal(run_model(model, x=X)["y"], 2 * X)


def loop(kind: str) -> onnx.ModelProto:
    state = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 40]) for name in ("a", "b")]
    if kind == "Scan":
        body = helper.make_graph([node("Neg", "a", "b")], "body", state[:1], state[1:])
        return small(node("Scan", "x", "y", "again", body=body, num_scan_inputs=1))
    counted = [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("c", 9, [])]
    go_on = helper.make_tensor_value_info("d", TensorProto.BOOL, [])
    body = helper.make_graph(
        [node("Neg", "a", "b"), node("Identity", "c", "d")], "body", [*counted, state[0]], [go_on, state[1]]
    )
    return small(node("Loop", "one yes x", "y", "again", body=body), weights=CONDITIONS)


@pytest.mark.parametrize("kind", ["If", "Loop", "Scan"])
def test_what_only_running_decides_is_refused_with_what_to_do(kind: str) -> None:
    undecided = [node("ReduceMax", "x", "m"), node("Greater", "m half", "c"), choice("c", DOUBLED, NEGATED)]
    model = small(*undecided, weights={"half": np.array(0.5, np.float32)}) if kind == "If" else loop(kind)
    with pytest.raises(ModelError, match=f"seen {kind}; export the model with inputs of fixed size and without what"):
        with_batch(take_branches(model))

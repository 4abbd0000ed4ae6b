"""A prepared model has the outputs that are used, under their canonical names, and nothing that only others needed."""

import numpy as np
import onnx
import pytest
from onnx import helper

from stages.surgery.outputs import keep_outputs, without_unused
from tests.stages import loaded, model_of, run_model

ONE = np.ones(2, np.float32)


def forked() -> onnx.ModelProto:
    """Return a model of two branches on a common trunk, with a weight each: x*2 -> (a: +3, b: +5)."""
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["trunk"]),
        helper.make_node("Add", ["trunk", "three"], ["a"]),
        helper.make_node("Add", ["trunk", "five"], ["b"]),
    ]
    weights = {"two": 2 * ONE, "three": 3 * ONE, "five": 5 * ONE}
    return model_of(nodes, {"x": [2]}, {"a": [2], "b": [2]}, weights)


def test_what_only_a_dropped_output_needed_is_gone() -> None:
    edited = keep_outputs(forked(), {"kept": "b"})
    assert [node.op_type for node in edited.graph.node] == ["Mul", "Add"]
    assert {tensor.name for tensor in edited.graph.initializer} == {"two", "five"}
    assert {name: value.tolist() for name, value in run_model(edited, x=ONE).items()} == {"kept": [7, 7]}


def test_outputs_are_renamed_and_put_in_order() -> None:
    outputs = run_model(keep_outputs(forked(), {"second": "b", "first": "a"}), x=ONE)
    assert {name: value[0] for name, value in outputs.items()} == {"second": 7, "first": 5}
    assert list(outputs) == ["second", "first"]


def test_an_output_that_another_node_reads_is_renamed_there_too() -> None:
    nodes = [helper.make_node("Neg", ["x"], ["a"]), helper.make_node("Abs", ["a"], ["b"])]
    model = model_of(nodes, {"x": [2]}, {"a": [2], "b": [2]})
    outputs = run_model(keep_outputs(model, {"negative": "a", "size": "b"}), x=ONE)
    assert {name: value[0] for name, value in outputs.items()} == {"negative": -1, "size": 1}


def test_what_a_branch_of_an_if_reads_is_kept() -> None:
    branches = [
        helper.make_graph(
            [helper.make_node("Add", ["trunk", weight], ["inner"])],
            weight,
            [],
            [helper.make_tensor_value_info("inner", onnx.TensorProto.FLOAT, [2])],
        )
        for weight in ("three", "five")
    ]
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["trunk"]),
        helper.make_node("If", ["is_on"], ["y"], then_branch=branches[0], else_branch=branches[1]),
        helper.make_node("Neg", ["x"], ["unused"]),
    ]
    weights = {"two": 2 * ONE, "three": 3 * ONE, "five": 5 * ONE, "six": ONE, "is_on": np.array(True)}
    model = model_of(nodes, {"x": [2]}, {"y": [2]}, weights)
    edited = without_unused(model)
    assert {tensor.name for tensor in edited.graph.initializer} == {"two", "three", "five", "is_on"}
    assert len(edited.graph.node) == 2
    assert run_model(edited, x=ONE)["y"].tolist() == [5, 5]


@pytest.mark.parametrize("name", ["bisenet_resnet_18", "det_10g"])
def test_kept_outputs_are_bit_for_bit_those_of_the_original(name: str) -> None:
    model = loaded(name)
    image = model.graph.input[0]
    shape = [dim.dim_value or 1 for dim in image.type.tensor_type.shape.dim]
    values = np.random.default_rng(6).standard_normal(shape).astype(np.float32)
    first, last = model.graph.output[0].name, model.graph.output[-1].name
    edited = keep_outputs(model, {"z": last, "a": first})
    seen, wanted = (run_model(proto, **{image.name: values}) for proto in (edited, model))
    np.testing.assert_array_equal(seen["a"], wanted[first])
    np.testing.assert_array_equal(seen["z"], wanted[last])


def test_the_emap_that_no_node_reads_is_no_part_of_a_prepared_model() -> None:
    edited = keep_outputs(loaded("inswapper_128"), {"output": "output"})
    assert "buff2fs" not in {tensor.name for tensor in edited.graph.initializer}


def test_the_model_it_is_given_stays_as_it_was() -> None:
    model = loaded("bisenet_resnet_18")
    before = model.SerializeToString(deterministic=True)
    keep_outputs(model, {"logits": "output"})
    assert model.SerializeToString(deterministic=True) == before

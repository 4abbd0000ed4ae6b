"""What can't calculate rows apart is named, and models that were exported in several ways can."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from morphstream.artifact.errors import ModelError
from stages.prepare import edit
from stages.surgery.batch import with_batch
from stages.surgery.contract import check_contract
from tests.stages import PARAMS, loaded, run_model, shapes_of
from tests.stages.rows import IMAGE, RANDOM, Case, floats, ints, node, shape_after

REFUSED: dict[str, tuple[Case, str]] = {
    "a division by how many rows there are": (
        (
            [
                node("Shape", "x", "whole"),
                node("Gather", "whole first", "n"),
                node("Cast", "n", "f", to=TensorProto.FLOAT),
                node("Div", "x f", "y"),
            ],
            IMAGE,
            IMAGE,
            {"first": np.array(0, np.int64)},
        ),
        "node y_node: expected rows that stay apart, seen Div along the batch",
    ),
    "rows turned around": (
        (
            [node("Slice", "x start end axes steps", "y")],
            IMAGE,
            IMAGE,
            {"start": ints(-1), "end": ints(-(10**9)), "axes": ints(0), "steps": ints(-1)},
        ),
        "node y_node: expected rows that stay apart, seen Slice along the batch",
    ),
    "a mean over the batch": (
        ([node("ReduceMean", "x", "y", axes=[0, 1], keepdims=1)], IMAGE, [1, 1, 6, 8], {}),
        "node y_node: expected rows that stay apart, seen ReduceMean of ",
    ),
    "a share of the batch": (
        ([node("Softmax", "x", "y", axis=0)], IMAGE, IMAGE, {}),
        "node y_node: expected rows that stay apart, seen Softmax along the batch",
    ),
    "the first row alone": (
        ([node("Gather", "x first", "y", axis=0)], IMAGE, [1, 4, 6, 8], {"first": ints(0)}),
        "node y_node: expected rows that stay apart, seen Gather of ",
    ),
    "a batch that is squeezed out": (
        ([node("Squeeze", "x first", "s"), node("Relu", "s", "y")], IMAGE, [4, 6, 8], {"first": ints(0)}),
        "node s_node: expected shapes and types that fit, seen ",
    ),
    "weights of another type": (
        ([node("MatMul", "x w", "y")], [1, 4], [1, 3], {"w": np.ones((4, 3), np.int64)}),
        "node y_node: expected shapes and types that fit, seen ",
    ),
    "rows one after another": (
        ([node("Concat", "x x", "y", axis=0)], IMAGE, [2, 4, 6, 8], {}),
        "node y_node: expected rows that stay apart, seen Concat of ",
    ),
    "a product of rows": (
        (
            [node("Flatten", "x", "f"), node("Transpose", "f", "t", perm=[1, 0]), node("MatMul", "f t", "y")],
            IMAGE,
            [1, 1],
            {},
        ),
        "node y_node: expected the batch on one axis, seen ",
    ),
    "weights made of the input": (
        (
            [node("Reshape", "x shape", "w"), node("Conv", "x w", "y")],
            IMAGE,
            [1, 12, 6, 8],
            {"shape": ints(12, 4, 2, 2)},
        ),
        "node y_node: expected ",
    ),
    "an output of constants": (
        ([node("Identity", "w", "y")], IMAGE, [1, 3], {"w": floats(1, 3)}),
        "output y: expected rows on axis 0, seen ",
    ),
    "sizes that are open": (
        ([node("Relu", "x", "y")], [1, 4, "height", 8], [1, 4, "height", 8], {}),
        "input x: expected a batch of 1 or N, then sizes, seen ",
    ),
    "a batch of another size": (
        ([node("Relu", "x", "y")], [2, 4], [2, 4], {}),
        "input x: expected a batch of 1 or N, then sizes, seen ",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_can_t_calculate_rows_apart_is_named(fault: str) -> None:
    (nodes, x, y, weights), message = REFUSED[fault]
    inputs = {"x": x}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises(ModelError) as caught:
        with_batch(model)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_the_kit_s_detector_gives_each_photo_s_rows() -> None:
    model = loaded("det_10g")
    edited = with_batch(model)
    assert {shape[0] for shape in shapes_of(edited.graph.output).values()} == {"N"}


@pytest.mark.parametrize("name", ["fan_68_5", "2dfan4", "inswapper_128", "hyperswap_1a_256", "yolov8n", "xseg_1"])
def test_models_of_the_kit_calculate_rows_apart(name: str) -> None:
    model = loaded(name)
    edited = with_batch(model)
    rows = {value.name: np.abs(floats(2, *shape_after(value))) for value in edited.graph.input}
    seen = run_model(edited, **rows)
    for i in range(2):
        for key, wanted in run_model(model, **{key: row[i : i + 1] for key, row in rows.items()}).items():
            np.testing.assert_allclose(seen[key][i : i + 1], wanted, rtol=1e-4, atol=1e-4)


def as_insightface(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the kit's detector as det_10g is exported: of any size, a row an anchor, no axis for the batch."""
    for dim, name in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], "hw", strict=True):
        dim.dim_param = name
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for other in model.graph.node:
        if other.op_type == "Transpose":
            other.attribute[0].ints[:] = [2, 3, 0, 1]
    for tensor in model.graph.initializer:
        if tensor.name in shapes:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[1:], tensor.name))
    for value in model.graph.output:
        width = value.type.tensor_type.shape.dim[2].dim_value
        value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, ["rows", width]))
    del model.graph.value_info[:]
    return model


def test_a_detector_without_a_batch_gives_what_one_with_a_batch_gives() -> None:
    model = PARAMS.model("det_10g")
    exported = as_insightface(loaded("det_10g"))
    check_contract(exported, model)
    prepared = edit(exported, model)
    frames = RANDOM.integers(0, 256, (2, 640, 640, 3), np.uint8)
    seen = run_model(prepared, frame=frames)
    for name, wanted in run_model(edit(loaded("det_10g"), model), frame=frames).items():
        np.testing.assert_allclose(seen[name], wanted, rtol=1e-5, atol=1e-5)

"""A model exported for one row calculates N rows as if each were alone, or the node that can't is named."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from morphstream.artifact.errors import ModelError
from stages.prepare import edit
from stages.surgery.batch import give_batch
from stages.surgery.contract import check_contract
from tests.stages import PARAMS, Array, Dims, loaded, model_of, run_model, shapes_of

RANDOM = np.random.default_rng(21)
IMAGE: Dims = [1, 4, 6, 8]


def node(operator: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    """Return a node named by its output; inputs are words, and ``-`` is one left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(operator, names, [output], f"{output}_node", **attributes)  # type: ignore[arg-type]


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def floats(*shape: int) -> Array:
    return RANDOM.standard_normal(shape).astype(np.float32)


def constant(name: str, *numbers: int) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(ints(*numbers), "value"))


def check_rows(model: onnx.ModelProto, edited: onnx.ModelProto) -> None:
    """Check that three rows at once give what each gives alone in the model as it was, with an axis in front."""
    for value in (*edited.graph.input, *edited.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "N"
    rows = {value.name: floats(3, *shape_after(value)) for value in edited.graph.input}
    seen = run_model(edited, **rows)
    for i in range(3):
        for name, wanted in run_model(model, **{key: value[i : i + 1] for key, value in rows.items()}).items():
            given = seen[name][i : i + 1]
            assert given.shape in (wanted.shape, (1, *wanted.shape))
            np.testing.assert_allclose(given.reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-5)


def shape_after(value: onnx.ValueInfoProto) -> list[int]:
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim[1:]]


Case = tuple[Sequence[onnx.NodeProto], Dims, Dims, Mapping[str, Array]]

FORMS: dict[str, Case] = {
    "batch 1 in a Reshape": (
        [node("Reshape", "x shape", "y")],
        IMAGE,
        [1, 24, 8],
        {"shape": ints(1, 24, 8)},
    ),
    "batch 1 and an open axis in a Reshape": (
        [node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("Reshape", "t shape", "y")],
        IMAGE,
        [1, 96, 2],
        {"shape": ints(1, -1, 2)},
    ),
    "the shape in a Constant node": (
        [constant("shape", 1, 24, 8), node("Reshape", "x shape", "y")],
        IMAGE,
        [1, 24, 8],
        {},
    ),
    "a Reshape that keeps zeros": (
        [node("Reshape", "x shape", "y", allowzero=1)],
        IMAGE,
        [1, 192],
        {"shape": ints(1, 192)},
    ),
    "one shape for a batch and for a weight": (
        [
            node("Reshape", "x shape", "a"),
            node("Reshape", "w shape", "b"),
            node("Mul", "a b", "y"),
        ],
        IMAGE,
        [1, 24, 8],
        {"shape": ints(1, 24, 8), "w": floats(192)},
    ),
    "a detector's rows, channels last of all": (
        [
            node("Transpose", "x", "t", perm=[2, 3, 0, 1]),
            node("Reshape", "t shape", "r"),
            node("Sigmoid", "r", "y"),
        ],
        IMAGE,
        [96, 2],
        {"shape": ints(-1, 2)},
    ),
    "a detector's rows, channels after the batch": (
        [node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("Reshape", "t shape", "y")],
        IMAGE,
        [192, 1],
        {"shape": ints(-1, 1)},
    ),
    "a row a pixel and back": (
        [
            node("Transpose", "x", "t", perm=[0, 2, 3, 1]),
            node("Reshape", "t flat", "f"),
            node("MatMul", "f w", "m"),
            node("Softmax", "m", "s", axis=1),
            node("Reshape", "s shape", "y"),
        ],
        IMAGE,
        [1, 48, 5],
        {"flat": ints(48, 4), "w": floats(4, 5), "shape": ints(1, 48, 5)},
    ),
    "heads of attention, the batch second": (
        [
            node("Reshape", "x tokens", "t"),
            node("Transpose", "t", "s", perm=[1, 0, 2]),
            node("Reshape", "s heads", "h"),
            node("Transpose", "h", "q", perm=[1, 0, 2]),
            node("Transpose", "q", "k", perm=[0, 2, 1]),
            node("MatMul", "q k", "a"),
            node("Softmax", "a", "p", axis=-1),
            node("MatMul", "p q", "o"),
            node("Transpose", "o", "b", perm=[1, 0, 2]),
            node("Reshape", "b back", "c"),
            node("Transpose", "c", "y", perm=[1, 0, 2]),
        ],
        IMAGE,
        [1, 24, 8],
        {"tokens": ints(1, 24, 8), "heads": ints(24, 2, 4), "back": ints(24, 1, 8)},
    ),
    "a size with batch 1 in a Resize": (
        [node("Resize", "x - - sizes", "y", mode="nearest")],
        IMAGE,
        [1, 4, 9, 16],
        {"sizes": ints(1, 4, 9, 16)},
    ),
    "a Resize by scales": (
        [node("Resize", "x - scales", "y", mode="linear")],
        IMAGE,
        [1, 4, 12, 16],
        {"scales": np.array([1, 1, 2, 2], np.float32)},
    ),
    "a size as exporters calculate it": (
        [
            node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]),
            node("Shape", "x", "whole"),
            node("Slice", "whole two four axis", "sides"),
            node("Shape", "p", "pooled"),
            node("Slice", "pooled zero two axis", "front"),
            node("Concat", "front sides", "sizes", axis=0),
            node("Resize", "p - - sizes", "y", mode="nearest"),
        ],
        IMAGE,
        IMAGE,
        {"zero": ints(0), "two": ints(2), "four": ints(4), "axis": ints(0)},
    ),
    "a shape as exporters calculate it, batch and all": (
        [
            node("Shape", "x", "whole"),
            node("Gather", "whole first", "n", axis=0),
            node("Unsqueeze", "n front", "n1"),
            node("Concat", "n1 rest", "shape", axis=0),
            node("Reshape", "x shape", "y"),
        ],
        IMAGE,
        [1, 4, 48],
        {"first": np.array(0, np.int64), "front": ints(0), "rest": ints(4, -1)},
    ),
    "a shape calculated in floats": (
        [
            node("Shape", "x", "whole"),
            node("Cast", "whole", "f", to=TensorProto.FLOAT),
            node("Mul", "f scales", "g"),
            node("Floor", "g", "h"),
            node("Cast", "h", "sizes", to=TensorProto.INT64),
            node("Resize", "x - - sizes", "y", mode="nearest"),
        ],
        IMAGE,
        [1, 4, 9, 12],
        {"scales": np.array([1, 1, 1.5, 1.5], np.float32)},
    ),
    "an Expand to batch 1": (
        [node("ReduceMean", "x", "m", axes=[2, 3], keepdims=1), node("Expand", "m shape", "y")],
        IMAGE,
        IMAGE,
        {"shape": ints(1, 4, 6, 8)},
    ),
    "a Flatten behind the batch": (
        [node("Transpose", "x", "t", perm=[2, 3, 0, 1]), node("Flatten", "t", "y", axis=3)],
        IMAGE,
        [48, 4],
        {},
    ),
    "a part that is written by places of one row": (
        [node("ScatterElements", "x places values", "y", axis=1)],
        [1, 5],
        [1, 5],
        {"places": ints(1, 3).reshape(1, 2), "values": floats(1, 2)},
    ),
    "a Tile": (
        [node("Tile", "x times", "y")],
        IMAGE,
        [1, 4, 12, 8],
        {"times": ints(1, 1, 2, 1)},
    ),
    "zeros of batch 1": (
        [node("ConstantOfShape", "shape", "zeros"), node("Concat", "x zeros", "y", axis=1)],
        IMAGE,
        [1, 5, 6, 8],
        {"shape": ints(1, 1, 6, 8)},
    ),
    "a constant joined to rows": (
        [node("Concat", "w x", "y", axis=1)],
        IMAGE,
        [1, 7, 6, 8],
        {"w": floats(1, 3, 6, 8)},
    ),
    "a table that rows look up": (
        [
            node("ArgMax", "x", "i", axis=1, keepdims=0),
            node("Gather", "w i", "y", axis=0),
        ],
        IMAGE,
        [1, 6, 8, 5],
        {"w": floats(4, 5)},
    ),
    "a group of channels normalised": (
        [
            node("Reshape", "x groups", "g"),
            node("InstanceNormalization", "g scale bias", "n"),
            node("Shape", "x", "whole"),
            node("Reshape", "n whole", "y"),
        ],
        IMAGE,
        IMAGE,
        {"groups": ints(0, 2, -1), "scale": floats(2), "bias": floats(2)},
    ),
}


def model_of_form(form: str) -> onnx.ModelProto:
    nodes, x, y, weights = FORMS[form]
    return model_of(nodes, {"x": x}, {"y": y}, weights)


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_calculated_apart(form: str) -> None:
    model = model_of_form(form)
    check_rows(model, give_batch(model))


def test_a_detector_s_rows_get_an_axis_for_the_batch() -> None:
    edited = give_batch(model_of_form("a detector's rows, channels last of all"))
    assert shapes_of(edited.graph.output) == {"y": ["N", 96, 2]}


def test_an_output_that_other_nodes_read_is_split_for_them_too() -> None:
    nodes = [
        node("Transpose", "x", "t", perm=[2, 3, 0, 1]),
        node("Reshape", "t shape", "y"),
        node("Sigmoid", "y", "z"),
    ]
    model = model_of(nodes, {"x": IMAGE}, {"y": [96, 2], "z": [96, 2]}, {"shape": ints(-1, 2)})
    check_rows(model, give_batch(model))


def test_a_batch_that_is_dynamic_stays_as_it_was() -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("Reshape", "c shape", "r"),
        node("Flatten", "r", "f"),
        node("MatMul", "f v", "y"),
    ]
    weights = {"w": floats(2, 4, 1, 1), "shape": ints(0, 2, -1), "v": floats(96, 7)}
    model = model_of(nodes, {"x": ["batch", 4, 6, 8]}, {"y": ["batch", 7]}, weights)
    edited = give_batch(model)
    assert list(edited.graph.node) == list(model.graph.node)
    assert list(edited.graph.initializer) == list(model.graph.initializer)
    check_rows(model, edited)


def test_shapes_that_the_file_states_of_values_are_gone() -> None:
    model = model_of_form("batch 1 in a Reshape")
    model.graph.node.append(node("Relu", "y", "z"))
    model.graph.output[0].name = "z"
    model.graph.value_info.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 24, 8]))
    edited = give_batch(model)
    assert not edited.graph.value_info
    check_rows(model, edited)


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
        give_batch(model)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_the_kit_s_detector_gives_each_photo_s_rows() -> None:
    model = loaded("det_10g")
    edited = give_batch(model)
    assert {shape[0] for shape in shapes_of(edited.graph.output).values()} == {"N"}


@pytest.mark.parametrize("name", ["fan_68_5", "2dfan4", "inswapper_128", "hyperswap_1a_256", "yolov8n", "xseg_1"])
def test_models_of_the_kit_calculate_rows_apart(name: str) -> None:
    model = loaded(name)
    edited = give_batch(model)
    rows = {value.name: np.abs(floats(2, *shape_after(value))) for value in edited.graph.input}
    seen = run_model(edited, **rows)
    for i in range(2):
        for key, wanted in run_model(model, **{key: row[i : i + 1] for key, row in rows.items()}).items():
            np.testing.assert_allclose(seen[key][i : i + 1], wanted, rtol=1e-4, atol=1e-4)


def test_the_model_it_is_given_stays_as_it_was() -> None:
    model = model_of_form("a detector's rows, channels last of all")
    before = model.SerializeToString(deterministic=True)
    give_batch(model)
    assert model.SerializeToString(deterministic=True) == before


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

"""A model exported for one row calculates N rows as if each were alone, or the node that can't is named."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from stages.surgery.batch import with_batch
from tests.stages import model_of, shapes_of
from tests.stages.rows import IMAGE, Case, check_rows, constant, floats, ints, model_of_case, node

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


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_calculated_apart(form: str) -> None:
    model = model_of_case(FORMS[form])
    check_rows(model, with_batch(model))


def test_a_detector_s_rows_get_an_axis_for_the_batch() -> None:
    edited = with_batch(model_of_case(FORMS["a detector's rows, channels last of all"]))
    assert shapes_of(edited.graph.output) == {"y": ["N", 96, 2]}


def test_an_output_that_other_nodes_read_is_split_for_them_too() -> None:
    nodes = [
        node("Transpose", "x", "t", perm=[2, 3, 0, 1]),
        node("Reshape", "t shape", "y"),
        node("Sigmoid", "y", "z"),
    ]
    model = model_of(nodes, {"x": IMAGE}, {"y": [96, 2], "z": [96, 2]}, {"shape": ints(-1, 2)})
    check_rows(model, with_batch(model))


def test_a_batch_that_is_dynamic_stays_as_it_was() -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("Reshape", "c shape", "r"),
        node("Flatten", "r", "f"),
        node("MatMul", "f v", "y"),
    ]
    weights = {"w": floats(2, 4, 1, 1), "shape": ints(0, 2, -1), "v": floats(96, 7)}
    model = model_of(nodes, {"x": ["batch", 4, 6, 8]}, {"y": ["batch", 7]}, weights)
    edited = with_batch(model)
    assert list(edited.graph.node) == list(model.graph.node)
    assert list(edited.graph.initializer) == list(model.graph.initializer)
    check_rows(model, edited)


def test_shapes_that_the_file_states_of_values_are_gone() -> None:
    model = model_of_case(FORMS["batch 1 in a Reshape"])
    model.graph.node.append(node("Relu", "y", "z"))
    model.graph.output[0].name = "z"
    model.graph.value_info.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 24, 8]))
    edited = with_batch(model)
    assert not edited.graph.value_info
    check_rows(model, edited)


def test_the_model_it_is_given_stays_as_it_was() -> None:
    model = model_of_case(FORMS["a detector's rows, channels last of all"])
    before = model.SerializeToString(deterministic=True)
    with_batch(model)
    assert model.SerializeToString(deterministic=True) == before

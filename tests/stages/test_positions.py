"""In half precision, places and quantised numbers are calculated with in single precision."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from morphstream.artifact.errors import ModelError
from stages.surgery.half import to_half
from stages.surgery.quantised import with_float_biases
from tests.stages import Array, model_of, run_model
from tests.stages.onnx_files import node

SIDE = 64


def maps() -> Array:
    """Return heat maps that are greatest at places for which half precision has no number, and at others."""
    places = np.array([0, 63, 64, 2047, 2049, 2051, 4033, 4093, 4095])
    heat = np.zeros((1, len(places), SIDE * SIDE), np.float32)
    heat[0, np.arange(len(places)), places] = 1
    return heat


DECODED = {  # from an index to coordinates, as exporters write it
    "divided": [
        node("Cast", "i", "f", to=1),
        node("Mod", "f side", "h", fmod=1),
        node("Div", "f side", "q"),
        node("Floor", "q", "v"),
    ],
    "subtracted": [
        *(node("Cast", "i", "f", to=1), node("Div", "f side", "q"), node("Floor", "q", "v")),
        *(node("Mul", "v side", "w"), node("Sub", "f w", "h")),
    ],
    "as integers": [
        *(node("Mod", "i iside", "ih"), node("Div", "i iside", "iv"), node("Cast", "ih", "h", to=1)),
        node("Cast", "iv", "v", to=1),
    ],
    "through shapes": [
        *(node("Unsqueeze", "i last", "u"), node("Cast", "u", "c", to=1), node("Squeeze", "c last", "f")),
        *(node("Mod", "f side", "h", fmod=1), node("Div", "f side", "q"), node("Floor", "q", "v")),
    ],
}


def decoder(form: str, find: list[onnx.NodeProto]) -> onnx.ModelProto:
    end = [node("Unsqueeze", "h last", "hu"), node("Unsqueeze", "v last", "vu"), node("Concat", "hu vu", "y", axis=2)]
    constants: dict[str, Array] = {
        "side": np.full(1, SIDE, np.float32),
        "iside": np.array([SIDE]),
        "last": np.array([2]),
        "k": np.array([1]),
    }
    read = {name for one in (*find, *DECODED[form], *end) for name in one.input}
    used = {name: array for name, array in constants.items() if name in read}
    count = maps().shape[1]
    return model_of([*find, *DECODED[form], *end], {"x": [1, count, SIDE * SIDE]}, {"y": [1, count, 2]}, used)


@pytest.mark.parametrize("form", DECODED)
@pytest.mark.parametrize("operator", ["ArgMax", "TopK"])
def test_points_of_heat_maps_are_the_same_in_half_precision(form: str, operator: str) -> None:
    find = [node("ArgMax", "x", "i", axis=2, keepdims=0)]
    if operator == "TopK":
        find = [helper.make_node("TopK", ["x", "k"], ["top", "it"], axis=2), node("Squeeze", "it last", "i")]
    model = decoder(form, find)
    np.testing.assert_array_equal(run_model(to_half(model), x=maps())["y"], run_model(model, x=maps())["y"])


def quantised() -> onnx.ModelProto:
    nodes = [
        *(
            node("Mul", "x two", "h"),
            node("QuantizeLinear", "h scale zero", "q"),
            node("DequantizeLinear", "q scale zero", "d"),
        ),
        *(
            node("DequantizeLinear", "w8 scale zero", "w"),
            node("Conv", "d w", "c"),
            node("Relu", "c", "r"),
            node("Mul", "r two", "y"),
        ),
    ]
    weights: dict[str, Array] = {
        "two": np.full(1, 2, np.float32),
        "scale": np.array(0.01, np.float32),
        "zero": np.array(0, np.int8),
        "w8": np.random.default_rng(3).integers(-90, 90, (4, 3, 3, 3), np.int8),
    }
    return model_of(nodes, {"x": [1, 3, 8, 8]}, {"y": [1, 4, 6, 6]}, weights)


def test_biases_of_32_bits_become_floats_and_zero_points_are_refused() -> None:
    model = quantised()
    bias: dict[str, Array] = {
        "b32": np.array([100, -50, 7, 0], np.int32),
        "fine": np.array([1, 2, 3, 4], np.float32) / 1000,
    }
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in bias.items())
    convolution = next(one for one in model.graph.node if one.op_type == "Conv")
    model.graph.node.insert(0, node("DequantizeLinear", "b32 fine", "b", axis=0))
    convolution.input.append("b")
    prepared = with_float_biases(model)
    assert [one.op_type for one in prepared.graph.node].count("DequantizeLinear") == 2
    x = np.random.default_rng(4).uniform(-0.5, 0.5, (1, 3, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(run_model(prepared, x=x)["y"], run_model(model, x=x)["y"])
    next(one for one in model.graph.initializer if one.name == "zero").raw_data = b"\x05"
    with pytest.raises(
        ModelError, match="expected zero points of 0, which every builder reads, seen others; quantise "
    ):
        with_float_biases(model)


def test_quantised_numbers_keep_their_scales_and_what_is_between_is_not_cast() -> None:
    half = to_half(quantised())
    kinds = {
        value.name: value.type.tensor_type.elem_type
        for value in onnx.shape_inference.infer_shapes(half).graph.value_info
    }
    makers = {name: one for one in half.graph.node for name in one.output}
    convolution = next(one for one in half.graph.node if one.op_type == "Conv")
    assert [makers[name].op_type for name in convolution.input] == ["DequantizeLinear"] * 2
    assert kinds[next(one for one in half.graph.node if one.op_type == "Relu").output[0]] == TensorProto.FLOAT16
    x = np.random.default_rng(4).uniform(-0.5, 0.5, (1, 3, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(run_model(half, x=x)["y"], run_model(quantised(), x=x)["y"], atol=2e-2)

"""A convolution whose weights a model makes from its input calculates many rows: its features are scaled instead."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest

from stages.surgery.batch import with_batch
from stages.surgery.modulation import scale_features
from tests.stages import Array, loaded, model_of, run_model
from tests.stages.rows import check_rows, floats, ints, node

WEIGHTS: dict[str, Array] = {
    "to_style": floats(8, 4),
    "style_shape": ints(1, 1, 4, 1, 1),
    "kernel": floats(1, 5, 4, 3, 3),
    "flat_kernel": floats(5, 4, 3, 3),
    "two": np.array(2, np.float32),
    "axes": ints(2, 3, 4),
    "eps": np.array(1e-8, np.float32),
    "one": np.array(1, np.float32),
    "demodulation_shape": ints(1, 5, 1, 1, 1),
    "weight_shape": ints(5, 4, 3, 3),
    "kernel_shape": ints(5, 4, 3, 3),
    "features_shape": ints(1, 4, 6, 6),
    "bias": floats(5),
}
STYLE = [node("MatMul", "latent to_style", "s"), node("Reshape", "s style_shape", "style")]
DEMODULATION = [
    *(node("Pow", "m two", "square"), node("ReduceSum", "square axes", "sum", keepdims=0), node("Add", "sum eps", "e")),
    *(node("Sqrt", "e", "root"), node("Div", "one root", "d"), node("Reshape", "d demodulation_shape", "demodulation")),
]
FORMS = {
    "modulated and demodulated": [
        *(*STYLE, node("Mul", "kernel style", "m"), *DEMODULATION, node("Mul", "m demodulation", "n")),
        *(node("Reshape", "n weight_shape", "w"), node("Reshape", "x features_shape", "f")),
        node("Conv", "f w", "y", pads=[1, 1, 1, 1]),
    ],
    "modulated alone": [
        *(*STYLE, node("Mul", "kernel style", "m"), node("Reshape", "m weight_shape", "w")),
        node("Conv", "x w", "y", pads=[1, 1, 1, 1]),
    ],
    "with a bias": [
        *(*STYLE, node("Mul", "style kernel", "m"), *DEMODULATION, node("Mul", "demodulation m", "n")),
        *(node("Reshape", "n weight_shape", "w"), node("Conv", "x w bias", "y", pads=[1, 1, 1, 1], group=1)),
    ],
}


def modulated(nodes: Sequence[onnx.NodeProto]) -> onnx.ModelProto:
    used = {name for other in nodes for name in other.input}
    weights = {name: array for name, array in WEIGHTS.items() if name in used}
    return model_of(nodes, {"x": [1, 4, 6, 6], "latent": [1, 8]}, {"y": [1, 5, 6, 6]}, weights)


@pytest.mark.parametrize("form", FORMS)
def test_features_are_scaled_instead_of_weights(form: str) -> None:
    model = modulated(FORMS[form])
    edited = scale_features(model)
    inputs = {"x": floats(1, 4, 6, 6), "latent": floats(1, 8)}
    np.testing.assert_allclose(run_model(edited, **inputs)["y"], run_model(model, **inputs)["y"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_rows_of_another_style_are_calculated_apart(form: str) -> None:
    model = modulated(FORMS[form])
    check_rows(model, with_batch(scale_features(model)))


def test_other_weights_that_nodes_make_stay() -> None:
    nodes = [node("Mul", "flat_kernel two", "w"), node("Conv", "x w", "c", pads=[1, 1, 1, 1])]
    rest = [*STYLE, node("ReduceSum", "style", "t", keepdims=0), node("Add", "c t", "y")]
    edited = scale_features(modulated([*nodes, *rest]))
    assert [other.op_type for other in edited.graph.node][:2] == ["Mul", "Conv"]


def test_a_model_without_such_weights_is_returned_as_it_is() -> None:
    model = loaded("gfpgan")
    assert scale_features(model) is model


def test_the_model_it_is_given_stays_as_it_was() -> None:
    model = modulated(FORMS["with a bias"])
    before = model.SerializeToString(deterministic=True)
    scale_features(model)
    assert model.SerializeToString(deterministic=True) == before

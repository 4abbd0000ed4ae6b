"""A model without its weights is edited, checked and followed like the whole one, and gets them back unchanged."""

import numpy as np
import onnx
import pytest

from stages.surgery.weights import as_inputs, pieces_of, put_back, set_aside
from tests.stages import PARAMS, loaded


@pytest.mark.parametrize("name", PARAMS.models)
def test_what_is_set_aside_and_put_back_is_the_same_model(name: str) -> None:
    model = loaded(name)
    light, weights = set_aside(model)
    assert put_back(light, weights) == model
    assert all(not tensor.raw_data for tensor in light.graph.initializer if tensor.name in weights)


@pytest.mark.parametrize("name", PARAMS.models)
def test_a_model_in_pieces_is_the_same_model(name: str) -> None:
    model = loaded(name)
    data = b"".join(pieces_of(model))
    assert onnx.load_model_from_string(data) == model
    assert len(data) == model.ByteSize()


def test_shapes_and_scalars_are_no_weights() -> None:
    light, weights = set_aside(loaded("yolov8n"))
    small = [tensor for tensor in light.graph.initializer if tensor.name not in weights]
    assert small
    assert all(np.prod(tensor.dims) <= 512 and tensor.raw_data for tensor in small)


def test_weights_as_inputs_make_a_valid_model_of_a_few_kilobytes() -> None:
    light = as_inputs(loaded("w600k_r50"))
    onnx.checker.check_model(light, full_check=True)
    assert light.ByteSize() < loaded("w600k_r50").ByteSize() / 10


def test_the_model_it_is_given_stays_as_it_was() -> None:
    model = loaded("inswapper_128")
    before = model.SerializeToString(deterministic=True)
    light, weights = set_aside(model)
    put_back(light, weights)
    as_inputs(model)
    assert model.SerializeToString(deterministic=True) == before

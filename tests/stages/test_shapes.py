"""Sizes that a file leaves open are the ones that params.yaml states; only a batch may stay dynamic."""

from dataclasses import replace

import onnx
from onnx import helper

from stages.prepare import edit
from stages.surgery.shapes import fix_shapes
from tests.stages import PARAMS, loaded, model_of, shapes_of


def flexible() -> onnx.ModelProto:
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    return model_of(nodes, {"x": ["N", 3, "height", "width"]}, {"y": ["N", 3, "height", "width"]})


def test_open_sizes_become_those_of_params() -> None:
    edited = fix_shapes(flexible(), {"x": (1, 3, 640, 480)})
    assert shapes_of(edited.graph.input) == {"x": [1, 3, 640, 480]}


def test_a_batch_that_params_leave_open_stays_open() -> None:
    edited = fix_shapes(flexible(), {"x": (-1, 3, 640, 480)})
    assert shapes_of(edited.graph.input) == {"x": ["N", 3, 640, 480]}


def test_a_detector_of_any_size_is_prepared_for_the_size_of_params() -> None:
    detector = loaded("det_10g")
    for dim, name in zip(detector.graph.input[0].type.tensor_type.shape.dim[2:], "hw", strict=True):
        dim.dim_param = name
    prepared = edit(detector, replace(PARAMS.model("det_10g"), sides=()))
    assert shapes_of(prepared.graph.input) == {"frame": ["N", 640, 640, 3]}


def test_the_model_it_is_given_stays_as_it_was() -> None:
    model = flexible()
    before = model.SerializeToString(deterministic=True)
    fix_shapes(model, {"x": (1, 3, 8, 8)})
    assert model.SerializeToString(deterministic=True) == before

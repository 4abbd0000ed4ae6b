"""A uint8 crop, or uint8 labels, out of the graph are what the host made of its floats."""

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper

from stages.surgery.crop_output import with_crop_output, with_label_output
from tests.stages import Dims, loaded, model_of, run_model, shapes_of, types_of

SHAPE: Dims = ["N", 3, 6, 4]


def echo(shape: Dims, kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    return model_of([helper.make_node("Identity", ["x"], ["y"])], {"x": shape}, {"y": shape}, kind=kind)


def host(values: npt.NDArray[np.floating], scale: float, shift: float) -> npt.NDArray[np.uint8]:
    levels = np.clip(values.astype(np.float64) * scale + shift, 0, 255)
    return np.rint(levels).astype(np.uint8)[:, ::-1].transpose(0, 2, 3, 1)


@pytest.mark.parametrize(("scale", "shift"), [(255.0, 0.0), (127.5, 127.5)], ids=["0..1", "-1..1"])
@pytest.mark.parametrize("kind", [np.float32, np.float16], ids=["single", "half"])
def test_a_crop_is_the_host_s_within_a_level(scale: float, shift: float, kind: type[np.floating]) -> None:
    values = np.random.default_rng(4).uniform(-1.3, 1.3, (2, 3, 6, 4)).astype(kind)  # clipped at both ends
    onnx_kind = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    edited = with_crop_output(echo(SHAPE, onnx_kind), "y", "swapped", scale=scale, shift=shift)
    assert types_of(edited.graph.output) == {"swapped": "UINT8"}
    assert shapes_of(edited.graph.output) == {"swapped": ["N", 6, 4, 3]}
    seen, wanted = run_model(edited, x=values)["swapped"], host(values, scale, shift)
    assert np.abs(seen.astype(int) - wanted.astype(int)).max() <= 1
    assert (seen == wanted).mean() > 0.97


def test_every_level_comes_back_as_it_went_in() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16).repeat(3, 1)
    edited = with_crop_output(echo([1, 3, 16, 16]), "y", "swapped", scale=255.0, shift=0.0)
    seen = run_model(edited, x=levels.astype(np.float32) / np.float32(255))["swapped"]
    np.testing.assert_array_equal(seen, levels.transpose(0, 2, 3, 1))


def test_a_mask_is_the_fourth_channel() -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("ReduceMax", ["x"], ["m"], axes=[1])]
    model = model_of(nodes, {"x": SHAPE}, {"y": SHAPE, "m": ["N", 1, 6, 4]})
    edited = with_crop_output(model, "y", "swapped", scale=255.0, shift=0.0, mask="m")
    assert shapes_of(edited.graph.output) == {"swapped": ["N", 6, 4, 4]}
    values = np.random.default_rng(6).uniform(-0.2, 1.2, (2, 3, 6, 4)).astype(np.float32)
    seen = run_model(edited, x=values)["swapped"]
    np.testing.assert_array_equal(seen[..., :3], host(values, 255.0, 0.0))
    np.testing.assert_array_equal(seen[..., 3:], host(values.max(1, keepdims=True), 255.0, 0.0))


def test_labels_are_the_channel_of_the_greatest_and_the_first_of_equals() -> None:
    values = np.random.default_rng(5).integers(-2, 3, (2, 19, 6, 4)).astype(np.float32)
    edited = with_label_output(echo(["N", 19, 6, 4]), "y", "labels")
    assert types_of(edited.graph.output) == {"labels": "UINT8"}
    assert shapes_of(edited.graph.output) == {"labels": ["N", 6, 4]}
    np.testing.assert_array_equal(run_model(edited, x=values)["labels"], values.argmax(1))


def test_the_model_it_is_given_stays_as_it_was() -> None:
    model = loaded("bisenet_resnet_18")
    before = model.SerializeToString(deterministic=True)
    with_label_output(model, "output", "labels")
    with_crop_output(model, "output", "swapped", scale=1.0, shift=0.0)
    assert model.SerializeToString(deterministic=True) == before

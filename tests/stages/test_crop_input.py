"""A model that takes uint8 NHWC BGR crops gives what it gave for pixels that the host normalised."""

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto, helper

from stages.surgery.crop_input import Normalisation, with_crop_input
from tests.stages import Dims, loaded, model_of, run_model, shapes_of, types_of

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet, R, G, B

PIXELS = np.random.default_rng(3).integers(0, 256, (2, 5, 7, 3), np.uint8)


def host(crop: npt.NDArray[np.uint8], how: Normalisation) -> npt.NDArray[np.float32]:
    """Do what a model's owner does, in float64."""
    channels = (crop[..., ::-1] if how.is_rgb else crop).astype(np.float64)
    normalised: npt.NDArray[np.float32] = ((channels - np.array(how.mean)) / np.array(how.std)).astype(np.float32)
    return normalised.transpose(0, 3, 1, 2) if how.is_nchw else normalised


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(Normalisation(mean=[127.5], std=[127.5]), id="RGB, channels first, -1..1"),
        pytest.param(Normalisation(mean=[0.0], std=[255.0]), id="RGB, channels first, 0..1"),
        pytest.param(Normalisation(mean=MEAN, std=STD), id="RGB, channels first, ImageNet's"),
        pytest.param(Normalisation(mean=[0.0], std=[255.0], is_rgb=False, is_nchw=False), id="BGR, channels last"),
        pytest.param(Normalisation(mean=[127.5], std=[128.0], is_rgb=False), id="BGR, channels first"),
        pytest.param(Normalisation(mean=MEAN, std=STD, is_nchw=False), id="RGB, channels last, ImageNet's"),
    ],
)
def test_the_graph_normalises_as_the_host_does(how: Normalisation) -> None:
    shape: Dims = ["N", 3, 5, 7] if how.is_nchw else ["N", 5, 7, 3]
    echo = model_of([helper.make_node("Identity", ["x"], ["y"])], {"x": shape}, {"y": shape})
    edited = with_crop_input(echo, "x", "crop", how)
    assert types_of(edited.graph.input) == {"crop": "UINT8"}
    assert shapes_of(edited.graph.input) == {"crop": ["N", 5, 7, 3]}
    np.testing.assert_allclose(run_model(edited, crop=PIXELS)["y"], host(PIXELS, how), rtol=1e-6, atol=1e-6)


def test_a_model_in_half_precision_is_given_half_precision() -> None:
    how = Normalisation(mean=[127.5], std=[127.5])
    shape: Dims = ["N", 3, 5, 7]
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    echo = model_of(nodes, {"x": shape}, {"y": shape}, kind=TensorProto.FLOAT16)
    outputs = run_model(with_crop_input(echo, "x", "crop", how), crop=PIXELS)
    assert outputs["y"].dtype == np.float16
    np.testing.assert_array_equal(outputs["y"], host(PIXELS, how).astype(np.float16))


def test_other_inputs_keep_their_place_and_type() -> None:
    how = Normalisation(mean=[0.0], std=[255.0])
    edited = with_crop_input(loaded("inswapper_128"), "target", "crop", how)
    assert types_of(edited.graph.input) == {"crop": "UINT8", "source": "FLOAT"}
    assert shapes_of(edited.graph.input) == {"crop": [1, 128, 128, 3], "source": [1, 512]}


def test_the_model_it_is_given_stays_as_it_was() -> None:
    model = loaded("w600k_r50")
    before = model.SerializeToString(deterministic=True)
    with_crop_input(model, "input.1", "crop", Normalisation(mean=[127.5], std=[127.5]))
    assert model.SerializeToString(deterministic=True) == before

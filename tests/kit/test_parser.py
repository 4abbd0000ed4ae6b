"""The parsers keep their contracts, cover the face with its regions, and take dark surroundings for hair."""

import numpy as np
import numpy.typing as npt
import pytest

from stages.kit.mean_face import ARCFACE_128, points68, soft_mask
from stages.kit.parser import bisenet
from tests.kit import Array, contract, crop, planes, run, serialized

LAYERS = pytest.mark.parametrize("layers", [18, 34])
FACE = [1, 2, 3, 4, 5, 6, 10, 11, 12, 13]
HAIR = 17


def normalised(image_rgb: Array) -> Array:
    return planes((image_rgb - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225]))


def labels(image_rgb: Array) -> npt.NDArray[np.int64]:
    return np.asarray(run(bisenet(34), normalised(image_rgb))[0][0].argmax(0))


@pytest.fixture(scope="module", name="astronaut")
def astronaut_labels() -> npt.NDArray[np.int64]:
    return labels(crop(ARCFACE_128, 512))


@pytest.mark.parametrize(
    ("layers", "names"),
    [pytest.param(34, ["output"], id="34 layers"), pytest.param(18, ["output", "0", "1"], id="18 layers")],
)
def test_the_contract_is_the_real_model_s(layers: int, names: list[str]) -> None:
    inputs, outputs = contract(bisenet(layers))
    assert inputs == {"input": ["N", 3, 512, 512]}
    assert outputs == {name: ["N", 19, 512, 512] for name in names}
    assert list(outputs) == names


@LAYERS
def test_two_builds_have_the_same_bytes(layers: int) -> None:
    assert serialized(bisenet(layers)) == serialized(bisenet(layers))


def test_both_parse_alike_and_the_coarser_outputs_nearly_so() -> None:
    value = normalised(crop(ARCFACE_128, 512))
    fine, coarse, coarsest = run(bisenet(18), value)
    np.testing.assert_array_equal(fine, run(bisenet(34), value)[0])
    for other, share in ((coarse, 0.93), (coarsest, 0.85)):
        assert np.mean(other.argmax(1) == fine.argmax(1)) > share


def test_the_regions_of_the_face_cover_it_and_little_else(astronaut: npt.NDArray[np.int64]) -> None:
    is_face, inside = np.isin(astronaut, FACE), soft_mask(512, softness=1e-3) > 0.5
    assert is_face[inside].mean() > 0.98
    assert is_face[~inside].mean() < 0.05


@pytest.mark.parametrize(
    ("label", "points"),
    [
        pytest.param(2, slice(17, 22), id="left brow"),
        pytest.param(3, slice(22, 27), id="right brow"),
        pytest.param(4, slice(36, 42), id="left eye"),
        pytest.param(5, slice(42, 48), id="right eye"),
        pytest.param(10, slice(27, 36), id="nose"),
        pytest.param(11, slice(60, 68), id="mouth"),
    ],
)
def test_a_feature_is_around_its_points(astronaut: npt.NDArray[np.int64], label: int, points: slice) -> None:
    column, row = np.floor(points68()[points].mean(0) * 512).astype(int)
    assert astronaut[row, column] == label


def test_hair_is_what_is_dark_around_the_face(astronaut: npt.NDArray[np.int64]) -> None:
    assert np.mean(astronaut[:256] == HAIR) > 0.3
    assert not np.any(labels(np.full((512, 512, 3), 0.5, np.float32)) == HAIR)

"""The landmarkers keep their contracts and lay the mean face where five points, or a photo, have it."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest

from stages.kit.landmarker import fan_2d4, fan_68_5
from stages.kit.mean_face import FFHQ_512, points5
from tests.kit import BOX, POINTS5, Array, contract, cosine, cut, half, planes, run, serialized

SCALE = 195 / max(BOX[2] - BOX[0], BOX[3] - BOX[1])
SHIFT = 128 - SCALE * (BOX[:2] + BOX[2:]) / 2


def box_crop(*, right: float = 0, down: float = 0) -> Array:
    return cut(np.array([[SCALE, 0, SHIFT[0] + right], [0, SCALE, SHIFT[1] + down]]), 256)


def test_the_contracts_are_those_of_the_real_models() -> None:
    assert contract(fan_68_5()) == ({"input": [1, 5, 2]}, {"output": [1, 68, 2]})
    outputs = {"landmarks_xyscore": [1, 68, 3], "heatmaps": [1, 68, 64, 64]}
    assert contract(fan_2d4()) == ({"input": [1, 3, 256, 256]}, outputs)


@pytest.mark.parametrize("build", [fan_68_5, fan_2d4])
def test_two_builds_have_the_same_bytes(build: Callable[[], onnx.ModelProto]) -> None:
    assert serialized(build()) == serialized(build())


def test_five_points_come_back_from_the_68() -> None:
    points = run(fan_68_5(), FFHQ_512[None])[0][0]
    np.testing.assert_allclose(points5(points), FFHQ_512, atol=0.02)
    assert points[8, 1] > points[57, 1] > points[51, 1] > points[33, 1] > points[27, 1] > points[19, 1]


def test_the_68_points_follow_every_affine_of_the_five() -> None:
    turn, shift = np.array([[0.9, -0.3], [0.2, 1.1]]), np.array([0.1, -0.2])
    points = run(fan_68_5(), FFHQ_512[None])[0][0]
    moved = run(fan_68_5(), (FFHQ_512 @ turn.T + shift)[None])[0][0]
    np.testing.assert_allclose(moved, points @ turn.T + shift, atol=1e-3)


@pytest.mark.parametrize(
    ("right", "down"),
    [
        pytest.param(0, 0, id="as detected"),
        pytest.param(12, -8, id="right and up"),
        pytest.param(-8, 8, id="left and down"),
    ],
)
def test_the_face_is_found_in_a_box_about_it(right: float, down: float) -> None:
    points, _ = run(fan_2d4(), planes(box_crop(right=right, down=down)))
    seen = POINTS5 * SCALE + SHIFT + [right, down]
    assert np.abs(points5(4.0 * points[0, :, :2].astype(np.float64)) - seen).max() < 14
    assert points[0, :, 2].mean() > 0.5


def test_the_heat_maps_peak_at_the_points_with_their_scores() -> None:
    points, maps = run(fan_2d4(), planes(box_crop()))
    rows, columns = np.unravel_index(maps[0].reshape(68, -1).argmax(1), (64, 64))
    np.testing.assert_allclose(np.stack([columns, rows], -1) + 0.5, points[0, :, :2], atol=0.51)
    np.testing.assert_allclose(points[0, :, 2], maps[0].max((1, 2)), atol=1e-6)


@pytest.mark.parametrize("level", [0, 0.5, 1], ids=["black", "grey", "white"])
def test_an_even_image_has_no_face(level: float) -> None:
    points, _ = run(fan_2d4(), np.full((1, 3, 256, 256), level))
    assert points[0, :, 2].max() < 0.1


@pytest.mark.parametrize(
    ("build", "value"),
    [
        pytest.param(fan_68_5, FFHQ_512[None], id="fan_68_5"),
        pytest.param(fan_2d4, planes(box_crop()), id="2dfan4"),
    ],
)
def test_half_precision_gives_the_same(build: Callable[[], onnx.ModelProto], value: Array) -> None:
    for single, halved in zip(run(build(), value), run(half(build()), value), strict=True):
        assert cosine(single, halved) > 0.999

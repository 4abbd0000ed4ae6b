"""The mean face is symmetric, has the crop's five points, and its mask keeps to the face."""

import numpy as np
import pytest

from stages.kit.mean_face import (
    ARCFACE_128,
    FFHQ_512,
    outline,
    place,
    points5,
    points68,
    similarity,
    soft_mask,
)

MIRRORED = [
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *[45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40],
    *[54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55],
    *[64, 63, 62, 61, 60, 67, 66, 65],
]


def test_its_five_points_are_the_template_s() -> None:
    assert points68().shape == (68, 2)
    np.testing.assert_allclose(points5(points68()), ARCFACE_128, atol=0.005)


def test_its_halves_mirror_each_other() -> None:
    np.testing.assert_allclose(points68()[MIRRORED] * [-1, 1] + [1, 0], points68(), atol=1e-4)


def test_its_outline_is_convex_from_the_forehead_to_the_chin() -> None:
    face = outline()
    sides = np.roll(face, -1, axis=0) - face
    ahead = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * ahead[:, 1] - sides[:, 1] * ahead[:, 0]
    assert np.all(turns < 0)
    np.testing.assert_allclose([face.min(0), face.max(0)], [[0.2, 0.27], [0.8, 0.9]], atol=1e-3)


def test_a_mask_is_1_on_the_features_and_0_beside_the_face() -> None:
    mask = soft_mask(128, softness=0.06)
    columns, rows = np.floor(points68()[27:] * 128).astype(int).T
    assert mask.shape == (128, 128)
    assert np.all(mask[rows, columns] == 1)
    assert not mask[:, [0, 20, 107, 127]].any()
    assert not mask[[0, 28, 120, 127]].any()


@pytest.mark.parametrize("softness", [0.05, 0.5], ids=["sharp", "soft"])
def test_a_mask_is_a_half_on_the_edge(softness: float) -> None:
    square = np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]])
    mask = soft_mask(100, softness=softness, polygon=square)
    assert mask[50, 24] + mask[50, 25] == pytest.approx(1)
    np.testing.assert_array_equal(soft_mask(100, softness=softness, polygon=square[::-1]), mask)


def test_a_similarity_maps_points_as_it_was_fitted() -> None:
    affine = np.array([[0.75, -0.25, 0.125], [0.25, 0.75, 0.5]])
    np.testing.assert_allclose(similarity(FFHQ_512, place(FFHQ_512, affine)), affine, atol=1e-4)
    np.testing.assert_allclose(place(ARCFACE_128, similarity(ARCFACE_128, FFHQ_512)), FFHQ_512, atol=0.02)

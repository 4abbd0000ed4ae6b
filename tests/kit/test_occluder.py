"""The occluders keep their contract, show the face and nothing else, and hide what is dark over it."""

import numpy as np
import pytest

from stages.kit.mean_face import ARCFACE_128, points68
from stages.kit.occluder import xseg
from tests.kit import Array, contract, crop, run, serialized

VARIANTS = pytest.mark.parametrize("variant", [1, 2, 3])


def masks(variant: int, *crops_bgr: Array) -> Array:
    return run(xseg(variant), np.stack(crops_bgr))[0]


def face_bgr() -> Array:
    return crop(ARCFACE_128, 256)[..., ::-1]


@VARIANTS
def test_the_contract_is_the_real_model_s(variant: int) -> None:
    shape = ["N", 256, 256]
    assert contract(xseg(variant)) == ({"input": [*shape, 3]}, {"output": [*shape, 1]})


@VARIANTS
def test_two_builds_have_the_same_bytes(variant: int) -> None:
    assert serialized(xseg(variant)) == serialized(xseg(variant))


@VARIANTS
def test_the_features_are_visible_and_the_surroundings_are_not(variant: int) -> None:
    mask = masks(variant, face_bgr())[0, ..., 0]
    columns, rows = np.floor(points68()[27:] * 256).astype(int).T
    assert mask[rows, columns].min() > 0.95
    assert mask[:50].max() < 0.01  # hair
    assert mask[:, :38].max() < 0.01
    assert mask[:, 218:].max() < 0.01
    assert mask[245:].max() < 0.01  # collar


@VARIANTS
def test_a_dark_thing_over_half_the_face_is_hidden(variant: int) -> None:
    covered = face_bgr().copy()
    covered[140:] = 0.02
    free, half_free = masks(variant, face_bgr(), covered)
    assert half_free[190:, ..., 0].max() < 0.05
    np.testing.assert_allclose(half_free[:110], free[:110], atol=0.05)


def test_the_variants_differ_in_softness() -> None:
    softness = [np.mean((mask > 0.01) & (mask < 0.99)) for mask in (masks(v, face_bgr()) for v in (1, 2, 3))]
    assert softness == sorted(softness)
    assert softness[0] < softness[2]


def test_the_images_of_a_batch_do_not_touch_each_other() -> None:
    both = masks(1, face_bgr(), np.zeros_like(face_bgr()))
    np.testing.assert_array_equal(both[:1], masks(1, face_bgr()))
    assert not both[1].any()

"""A mask covers the visible face, fades out before the crop's border, and leaves out what is in front of it."""

import numpy as np
import numpy.typing as npt
import pytest

from morphstream.face.geometry import ARCFACE_128, align, cut_crop
from morphstream.face.mask import Occluder, box_mask
from morphstream.face.types import Crop, Frame
from morphstream.session.load import open_session
from morphstream.store.store import Store
from stages.kit.mean_face import points68
from tests.face import ASTRONAUT, PlayedSession, noise

SIDE = 32


def player(mask: npt.NDArray[np.float32]) -> PlayedSession:
    return PlayedSession({"crop": (-1, SIDE, SIDE, 3)}, lambda _: {"mask": mask[None, ..., None]})


def full(value: float) -> npt.NDArray[np.float32]:
    return np.full((SIDE, SIDE), value, np.float32)


@pytest.mark.parametrize("side", [128, 256])
def test_a_box_mask_is_1_inside_and_0_at_the_border(side: int) -> None:
    mask = box_mask(side)
    assert mask.shape == (side, side)
    assert mask.dtype == np.float32
    for turned in (mask, mask.T, mask[::-1], mask[:, ::-1]):
        np.testing.assert_array_equal(turned, mask)
        assert not turned[0].any()
        assert np.all(np.diff(turned[side // 2, : side // 2]) >= 0)
    inner = side // 10
    assert np.all(mask[inner:-inner, inner:-inner] == 1)


def test_a_box_mask_is_shared_and_cannot_be_changed() -> None:
    assert box_mask(64) is box_mask(64)
    with pytest.raises(ValueError, match="read-only"):
        box_mask(64)[0, 0] = 1


@pytest.mark.parametrize(("value", "expected"), [(-3.0, 0), (0.0, 0), (0.5, 0), (0.75, 0.5), (1.0, 1), (7.0, 1)])
def test_a_mask_is_0_to_1_with_contrast(value: float, expected: float) -> None:
    mask = Occluder(player(full(value))).mask(noise(SIDE, SIDE))
    assert mask.dtype == np.float32
    np.testing.assert_allclose(mask, np.full((SIDE, SIDE), expected), atol=1e-6)


@pytest.mark.parametrize("side", [16, 32, 128])
def test_a_crop_of_any_side_gets_a_mask_of_that_side(side: int) -> None:
    left = full(0)
    left[:, : SIDE // 2] = 1
    session = player(left)
    mask = Occluder(session).mask(noise(side, side))
    assert session.given[0]["crop"].shape == (1, SIDE, SIDE, 3)
    assert mask.shape == (side, side)
    assert mask[:, 0].min() > mask[:, -1].max()


def test_a_crop_of_the_models_side_is_given_as_it_is() -> None:
    session = player(full(1))
    Occluder(session).mask(crop := noise(SIDE, SIDE))
    np.testing.assert_array_equal(session.given[0]["crop"][0], crop)


def test_the_mask_outlives_the_next_run() -> None:
    mask = Occluder(player(raw := full(1))).mask(noise(SIDE, SIDE))
    raw.fill(0)
    assert np.all(mask == 1)


@pytest.fixture(scope="module")
def occluder(booted: Store) -> Occluder:
    return Occluder(open_session(booted.current(), "xseg_1", threads=1))


def face_crop(frame: Frame, side: int) -> Crop:
    return cut_crop(frame, align(ASTRONAUT.points5, ARCFACE_128, side), side)


@pytest.mark.parametrize("side", [128, 256])
def test_a_real_face_is_covered_and_hair_and_collar_are_not(occluder: Occluder, astronaut: Frame, side: int) -> None:
    mask = occluder.mask(face_crop(astronaut, side))
    columns, rows = np.floor(points68()[27:] * side).astype(int).T  # nose, eyes, mouth
    assert mask[rows, columns].min() > 0.5
    assert not mask[: side // 8].any()
    assert not mask[:, : side // 10].any()
    assert not mask[:, -side // 10 :].any()


def test_a_hand_before_the_mouth_is_left_out(occluder: Occluder, astronaut: Frame) -> None:
    crop = face_crop(astronaut, 256).copy()
    crop[140:] = 5
    mask = occluder.mask(crop)
    assert mask[190:].max() < 0.05
    assert mask[90:120, 100:156].min() > 0.5

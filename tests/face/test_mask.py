"""A mask covers the visible face, fades out before the crop's border, and leaves out what is in front of it."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from morphstream.face.geometry import ARCFACE_128, align, cut_crop
from morphstream.face.look import FACE_REGIONS, REGIONS
from morphstream.face.mask import Occluder, Parser, SteadyMasks, box_mask, select_regions, soften
from morphstream.face.types import Crop, Mask
from morphstream.frame import Frame
from morphstream.session.load import open_session
from morphstream.session.session import Session
from morphstream.store.store import Store
from stages.kit.mean_face import points68
from tests.face import ASTRONAUT, PlayedSession, noise

SIDE = 32


def player(mask: npt.NDArray[np.float32]) -> PlayedSession:
    return PlayedSession({"crop": (-1, SIDE, SIDE, 3)}, lambda _: {"mask": mask[None, ..., None]})


def mask_of(occluder: Occluder, crop: Crop) -> Mask:
    return soften(occluder.find_visible(crop[None])[0], len(crop))


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
    mask = mask_of(Occluder(player(full(value))), noise(SIDE, SIDE))
    assert mask.dtype == np.float32
    np.testing.assert_allclose(mask, np.full((SIDE, SIDE), expected), atol=1e-6)


@pytest.mark.parametrize("side", [16, 32, 128])
def test_a_crop_of_any_side_gets_a_mask_of_that_side(side: int) -> None:
    left = full(0)
    left[:, : SIDE // 2] = 1
    session = player(left)
    mask = mask_of(Occluder(session), noise(side, side))
    assert session.given[0]["crop"].shape == (1, SIDE, SIDE, 3)
    assert mask.shape == (side, side)
    assert mask[:, 0].min() > mask[:, -1].max()


def test_a_crop_of_the_models_side_is_given_as_it_is() -> None:
    session = player(full(1))
    mask_of(Occluder(session), crop := noise(SIDE, SIDE))
    np.testing.assert_array_equal(session.given[0]["crop"][0], crop)


def test_the_mask_outlives_the_next_run() -> None:
    mask = mask_of(Occluder(player(raw := full(1))), noise(SIDE, SIDE))
    raw.fill(0)
    assert np.all(mask == 1)


@pytest.fixture(scope="module")
def occluder(booted: Store) -> Occluder:
    return Occluder(open_session(booted.current(), "xseg_1", threads=1))


def face_crop(frame: Frame, side: int) -> Crop:
    return cut_crop(frame, align(ASTRONAUT.points5, ARCFACE_128, side), side)


@pytest.mark.parametrize("side", [128, 256])
def test_a_real_face_is_covered_and_hair_and_collar_are_not(occluder: Occluder, astronaut: Frame, side: int) -> None:
    mask = mask_of(occluder, face_crop(astronaut, side))
    columns, rows = np.floor(points68()[27:] * side).astype(int).T  # nose, eyes, mouth
    assert mask[rows, columns].min() > 0.5
    assert not mask[: side // 8].any()
    assert not mask[:, : side // 10].any()
    assert not mask[:, -side // 10 :].any()


def test_a_hand_before_the_mouth_is_left_out(occluder: Occluder, astronaut: Frame) -> None:
    crop = face_crop(astronaut, 256).copy()
    crop[140:] = 5
    mask = mask_of(occluder, crop)
    assert mask[190:].max() < 0.05
    assert mask[90:120, 100:156].min() > 0.5


def test_several_occluders_see_what_all_of_them_see() -> None:
    left, top = full(0.2), full(0.3)
    left[:, : SIDE // 2], top[: SIDE // 2] = 0.9, 0.8
    seen = Occluder(player(left), player(top), player(full(0.85))).find_visible(noise(SIDE, SIDE)[None])
    np.testing.assert_array_equal(seen[0], np.minimum(np.minimum(left, top), 0.85))


def test_several_crops_are_one_call() -> None:
    session = PlayedSession({"crop": (-1, SIDE, SIDE, 3)}, lambda _: {"mask": np.ones((3, SIDE, SIDE, 1), np.float32)})
    assert Occluder(session).find_visible(np.stack([noise(64, 64)] * 3)).shape == (3, SIDE, SIDE)
    assert [given["crop"].shape for given in session.given] == [(3, SIDE, SIDE, 3)]


def test_regions_are_chosen_by_label() -> None:
    labels = np.arange(19, dtype=np.uint8).reshape(1, 19)
    others = {"left_ear", "right_ear", "earring", "neck", "necklace", "cloth", "hair", "hat"}
    assert REGIONS.keys() - others == FACE_REGIONS
    chosen = select_regions(labels, FACE_REGIONS)[0]
    np.testing.assert_array_equal(np.flatnonzero(chosen), [*range(1, 7), *range(10, 14)])
    assert set(chosen) == {0, 255}


@pytest.mark.parametrize("side", [64, 128, 256])
def test_a_mask_of_labels_is_softened_as_one_of_numbers(side: int) -> None:
    labels = np.zeros((128, 128), np.uint8)
    labels[30:90, 40:100] = 255
    np.testing.assert_allclose(soften(labels, side), soften((labels / 255).astype(np.float32), side), atol=2e-2)


@pytest.mark.parametrize("side", [48, 128])
def test_a_mask_is_softened_as_facefusion_does(side: int) -> None:
    mask = np.random.default_rng(0).random((64, 64), np.float32)
    fitted = cv2.resize(mask, (side, side))
    expected = (cv2.GaussianBlur(fitted.clip(0, 1), (0, 0), 5).clip(0.5, 1) - 0.5) * 2
    np.testing.assert_allclose(soften(mask, side), expected, atol=1e-5)


def test_the_parser_knows_the_astronauts_face_from_her_hair(
    open_kit: Callable[[str], Session], astronaut: Frame
) -> None:
    (labels,) = Parser(open_kit("bisenet_resnet_18")).parse(face_crop(astronaut, 256)[None])
    mask = soften(select_regions(labels, FACE_REGIONS), 256)
    columns, rows = np.floor(points68()[27:] * 256).astype(int).T
    assert mask[rows, columns].min() > 0.5
    assert not mask[:16].any()
    lips = soften(select_regions(labels, frozenset({"upper_lip", "lower_lip", "mouth"})), 256)
    assert 0 < lips.mean() < mask.mean() / 3


def test_a_box_mask_may_fade_nowhere() -> None:
    assert np.all(box_mask(64, 0) == 1)
    assert box_mask(64, 0.5)[0].max() < 0.05


def steadied(masks: Sequence[Mask]) -> list[Mask]:
    """Return the masks of one track, smoothed."""
    steady = SteadyMasks()
    return [steady.smoothed(lambda _, mask=mask: mask, [7])(0) for mask in masks]  # type: ignore[misc]


def disc(x: float, y: float, radius: float, side: int = 128) -> Mask:
    """Return a mask that is 0 in a disc, for what is before a face."""
    mask = np.ones((side, side), np.float32)
    cv2.circle(mask, (round(x), round(y)), round(radius), 0, -1)
    return soften(mask, side)


def test_an_edge_that_trembles_is_held_to_a_third() -> None:
    random = np.random.default_rng(0)
    masks = [disc(random.normal(64), random.normal(64), 30) for _ in range(30)]
    before, after = (np.abs(np.diff(each, axis=0)).mean() for each in (masks, steadied(masks)))
    assert after < before / 3


def test_what_moves_before_a_face_is_followed_within_a_frame() -> None:
    masks = [disc(x, 64, 30) for x in range(-40, 170, 10)]
    lags = [np.abs(smoothed - masks[frame]).mean() for frame, smoothed in enumerate(steadied(masks))]
    moves = np.abs(np.diff(masks, axis=0)).mean((1, 2))
    assert max(lags) < 0.5 * moves.max()
    assert np.mean(lags) < 0.2 * moves.mean()


def test_masks_that_do_not_change_stay_as_they_are() -> None:
    masks = [disc(60, 60, 20)] * 5
    for mask in steadied(masks):
        np.testing.assert_array_equal(mask, masks[0])


def test_each_track_has_its_own_mask_and_is_forgotten_when_it_is_gone() -> None:
    steady, first, second = SteadyMasks(), full(0.0), full(1.0)
    steady.smoothed([first, second].__getitem__, [3, 5])
    of_both = steady.smoothed([first, second].__getitem__, [3, 5])
    np.testing.assert_array_equal(of_both(0), first)
    np.testing.assert_array_equal(of_both(1), second)
    swapped_places = steady.smoothed([second, first].__getitem__, [5, 3])
    np.testing.assert_array_equal(swapped_places(0), second)
    np.testing.assert_array_equal(swapped_places(1), first)
    steady.smoothed([first].__getitem__, [3])(0)
    np.testing.assert_array_equal(steady.smoothed([first].__getitem__, [5])(0), first)


def test_after_a_clear_nothing_depends_on_the_frames_before() -> None:
    steady, small = SteadyMasks(), disc(60, 60, 8)
    steady.smoothed([disc(80, 80, 8)].__getitem__, [1])(0)
    steady.clear()
    np.testing.assert_array_equal(steady.smoothed([small].__getitem__, [1])(0), small)


def test_a_crop_of_another_size_begins_anew() -> None:
    steady, large = SteadyMasks(), disc(100, 100, 20, side=256)
    steady.smoothed([disc(50, 50, 10)].__getitem__, [1])(0)
    np.testing.assert_array_equal(steady.smoothed([large].__getitem__, [1])(0), large)

"""A crop is cut where the template says, and pasting it back touches its own rectangle and nothing else."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from morphstream.face.geometry import ARCFACE_112_V2, ARCFACE_128, align, cut_crop
from morphstream.face.paste import paste_back
from morphstream.face.types import Affine, Points
from morphstream.frame import Frame
from tests.face import noise, waves

SIDE = 64


def similarity(scale: float, degrees: float, x: float, y: float) -> Affine:
    turn = np.radians(degrees)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    return np.array([[cos, -sin, x], [sin, cos, y]])


def shift(x: float, y: float) -> Affine:
    return similarity(1, 0, x, y)


def back(points: Points, affine: Affine) -> Points:
    """Map points of a crop into the frame."""
    inverse = cv2.invertAffineTransform(affine)
    return points @ inverse[:, :2].T + inverse[:, 2]


def full(side: int = SIDE) -> npt.NDArray[np.float32]:
    return np.ones((side, side), np.float32)


def pasted(
    frame: Frame, affine: Affine, crop: Frame | None = None, mask: npt.NDArray[np.float32] | None = None
) -> Frame:
    result = frame.copy()
    crop = cut_crop(frame, affine, SIDE) if crop is None else crop
    paste_back(result, crop[None], lambda _: full() if mask is None else mask, [affine])
    return result


similarities = st.builds(
    similarity,
    scale=st.floats(0.02, 50),
    degrees=st.floats(-180, 180),
    x=st.floats(-5000, 5000),
    y=st.floats(-5000, 5000),
)


@given(similarities)
def test_five_points_on_the_template_give_back_the_similarity_that_moved_them(affine: Affine) -> None:
    found = align(back(ARCFACE_128 * SIDE, affine), ARCFACE_128, SIDE)
    np.testing.assert_allclose(found, affine, rtol=1e-6, atol=1e-6)


@given(
    st.builds(
        similarity,
        scale=st.floats(0.2, 5),
        degrees=st.floats(-180, 180),
        x=st.floats(-1000, 1000),
        y=st.floats(-1000, 1000),
    )
)
def test_five_points_on_the_template_give_what_opencv_finds(affine: Affine) -> None:
    points = back(ARCFACE_112_V2 * SIDE, affine)
    found, _ = cv2.estimateAffinePartial2D(points, ARCFACE_112_V2 * SIDE, method=cv2.LMEDS)  # in single precision
    mine = align(points, ARCFACE_112_V2, SIDE)
    for x, y in points:
        np.testing.assert_allclose(mine @ (x, y, 1), found @ (x, y, 1), atol=0.05)


@given(st.lists(st.floats(-20, 20), min_size=10, max_size=10))
def test_five_points_beside_the_template_give_the_similarity_of_least_squares(jitter: list[float]) -> None:
    points = ARCFACE_128 * 200 + np.reshape(jitter, (5, 2))
    x, y = points.T
    ones, zeros = np.ones(5), np.zeros(5)
    rows = np.concatenate([np.stack([x, -y, ones, zeros], axis=-1), np.stack([y, x, zeros, ones], axis=-1)])
    cos, sin, right, down = np.linalg.lstsq(rows, (ARCFACE_128 * SIDE).T.ravel())[0]
    expected = [[cos, -sin, right], [sin, cos, down]]
    np.testing.assert_allclose(align(points, ARCFACE_128, SIDE), expected, atol=1e-6)


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
@example(0, 0)
@example(0.7, 33.3)
def test_one_point_five_times_is_refused(x: float, y: float) -> None:
    with pytest.raises(ValueError, match="expected five points that differ, seen one point five times"):
        align(np.array([[x, y]] * 5), ARCFACE_128, SIDE)


def test_points_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="expected five points"):
        align(np.full((5, 2), np.nan), ARCFACE_128, SIDE)


def test_fitting_leaves_the_points_as_they_were() -> None:
    points, template = ARCFACE_128 * 300, ARCFACE_128.copy()
    align(points, template, SIDE)
    np.testing.assert_array_equal(points, ARCFACE_128 * 300)
    np.testing.assert_array_equal(template, ARCFACE_128)


def test_a_crop_that_is_only_shifted_is_the_frames_own_pixels() -> None:
    frame = noise(100, 120)
    np.testing.assert_array_equal(cut_crop(frame, shift(-30, -20), SIDE), frame[20:84, 30:94])


@pytest.mark.parametrize("corner", [(-10, -5), (90, 70), (-10, 70), (-500, 30), (40, 500), (900, -900)])
def test_beyond_the_frame_its_edge_goes_on(corner: tuple[int, int]) -> None:
    frame, (left, top) = noise(100, 120), corner
    rows = np.clip(np.arange(top, top + SIDE), 0, 99)
    columns = np.clip(np.arange(left, left + SIDE), 0, 119)
    np.testing.assert_array_equal(cut_crop(frame, shift(-left, -top), SIDE), frame[rows[:, None], columns])


@given(
    scale=st.floats(0.3, 3),
    degrees=st.floats(-180, 180),
    x=st.floats(-100, 300),
    y=st.floats(-100, 300),
)
def test_pasting_a_crop_back_changes_hardly_anything_and_nothing_outside(
    scale: float, degrees: float, x: float, y: float
) -> None:
    frame = waves(200, 240)
    affine = similarity(scale, degrees, 0, 0)
    affine[:, 2] = SIDE / 2 - affine[:, :2] @ (x, y)  # the crop's middle lies there
    result = pasted(frame, affine)
    assert np.abs(result.astype(int) - frame).max() <= 2
    corners = back(np.array([[-1, -1], [SIDE, -1], [-1, SIDE], [SIDE, SIDE]]), affine)
    (left, top), (right, bottom) = np.floor(corners.min(0)), np.ceil(corners.max(0))
    rows, columns = np.mgrid[:200, :240]
    is_outside = (rows < top) | (rows > bottom) | (columns < left) | (columns > right)
    np.testing.assert_array_equal(result[is_outside], frame[is_outside])


def test_alpha_1_takes_the_crop_and_alpha_0_keeps_every_bit() -> None:
    frame, crop = noise(100, 120), noise(SIDE, SIDE, seed=1)
    mask = np.random.default_rng(2).integers(0, 2, (SIDE, SIDE)).astype(np.float32)
    expected = frame.copy()
    expected[20:84, 30:94][mask == 1] = crop[mask == 1]
    np.testing.assert_array_equal(pasted(frame, shift(-30, -20), crop, mask), expected)


def test_alpha_0_keeps_every_value_under_a_crop_that_is_turned() -> None:
    values = np.arange(256, dtype=np.uint8)
    frame = np.repeat(np.tile(values, (200, 1))[..., None], 3, axis=2)
    mask = np.zeros((SIDE, SIDE), np.float32)
    result = pasted(frame, similarity(0.5, 30, 0, 0), noise(SIDE, SIDE), mask)
    np.testing.assert_array_equal(result, frame)


def test_alpha_between_blends() -> None:
    frame, crop = noise(SIDE, SIDE), noise(SIDE, SIDE, seed=1)
    mask = np.random.default_rng(2).random((SIDE, SIDE), np.float32)
    expected = frame + mask[..., None] * (crop.astype(float) - frame)
    np.testing.assert_allclose(pasted(frame, shift(0, 0), crop, mask), expected, atol=1.6)


@pytest.mark.parametrize(
    "corner", [(-40, -30), (100, 80), (-40, 80), (0, -63)], ids=["top left", "bottom right", "bottom left", "a row"]
)
def test_a_crop_partly_outside_is_pasted_where_the_frame_is(corner: tuple[int, int]) -> None:
    frame, crop, (left, top) = noise(100, 120), noise(SIDE, SIDE, seed=1), corner
    expected = frame.copy()
    inside = crop[max(-top, 0) : 100 - top, max(-left, 0) : 120 - left]
    expected[max(top, 0) : top + SIDE, max(left, 0) : left + SIDE] = inside
    np.testing.assert_array_equal(pasted(frame, shift(-left, -top), crop), expected)


@pytest.mark.parametrize(
    "corner", [(-200, 0), (0, -200), (500, 10), (10, 500), (-66, -66)], ids=["left", "above", "right", "below", "near"]
)
def test_a_crop_wholly_outside_changes_nothing(corner: tuple[int, int]) -> None:
    frame, (left, top) = noise(100, 120), corner
    np.testing.assert_array_equal(pasted(frame, shift(-left, -top), noise(SIDE, SIDE, seed=1)), frame)


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1)], ids=["a pixel", "a row", "a column"])
def test_a_frame_of_one_pixel_a_side_can_be_cut_and_pasted(shape: tuple[int, int]) -> None:
    frame = noise(*shape)
    crop = cut_crop(frame, shift(10, 10), SIDE)
    np.testing.assert_array_equal(crop[10, 10], frame[0, 0])
    np.testing.assert_array_equal(pasted(frame, shift(10, 10), crop), frame)
    assert (pasted(frame, shift(10, 10), np.full_like(crop, 7)) == 7).any()


@pytest.mark.parametrize("width", [40_000, 70_000])
def test_a_frame_may_be_wider_than_16_bits(width: int) -> None:
    frame, crop = noise(20, width), noise(SIDE, SIDE, seed=1)
    affine = shift(1000 - width, 0)
    np.testing.assert_array_equal(cut_crop(frame, affine, SIDE)[:20], frame[:, width - 1000 : width - 936])
    result = pasted(frame, affine, crop)
    np.testing.assert_array_equal(result[:, width - 1000 : width - 936], crop[:20])


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(np.s_[:, ::-1], id="mirrored"),
        pytest.param(np.s_[::2, ::3], id="thinned out"),
        pytest.param(np.s_[10:90, 5:100], id="a part"),
        pytest.param(np.s_[..., ::-1], id="RGB seen as BGR"),
    ],
)
def test_a_frame_need_not_be_contiguous(view: tuple[slice, ...]) -> None:
    base = noise(200, 240)
    affine, crop = similarity(1.3, 20, -5, 8), noise(SIDE, SIDE, seed=1)
    straight = np.ascontiguousarray(base[view])
    np.testing.assert_array_equal(cut_crop(base[view], affine, SIDE), cut_crop(straight, affine, SIDE))
    frame = base.copy()
    paste_back(frame[view], crop[None], lambda _: full(), [affine])
    np.testing.assert_array_equal(frame[view], pasted(straight, affine, crop))
    frame[view] = base[view]
    np.testing.assert_array_equal(frame, base)


def test_crop_mask_and_affine_are_left_as_they_were() -> None:
    crop, mask, affine = noise(SIDE, SIDE), full(), similarity(1.3, 20, -5, 8)
    pasted(noise(100, 120), affine, crop, mask)
    np.testing.assert_array_equal(crop, noise(SIDE, SIDE))
    np.testing.assert_array_equal(mask, full())
    np.testing.assert_array_equal(affine, similarity(1.3, 20, -5, 8))

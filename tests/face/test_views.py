"""Views show every part of a frame once at least, where the affines say, and in the order of what they cost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphstream.face.geometry import transform
from morphstream.face.views import View, again, closer, tiles, upright, whole

CANVAS = (640, 640)
SIDES = st.integers(1, 9000)


def corners(size: tuple[int, int], view: View) -> np.ndarray:
    """Return where the corners of a frame are on the canvas, by a view's only cell."""
    (cell,) = view
    assert cell.rectangle == (0, 0, *CANVAS)
    points = np.array([(x, y) for x in (0, size[0]) for y in (0, size[1])]) - 0.5
    return transform(points, cell.affine) + 0.5


@given(SIDES, SIDES, st.floats(-360, 360), st.floats(0.1, 1))
def test_a_whole_frame_is_in_the_middle_and_as_large_as_it_may_be(
    width: int, height: int, turn: float, fill: float
) -> None:
    at = corners((width, height), whole((width, height), CANVAS, turn, fill))
    np.testing.assert_allclose(at.mean(0), [320, 320], atol=1e-6)
    assert (at.max(0) - at.min(0)).max() == pytest.approx(640 * fill)


def test_a_view_is_turned_clockwise() -> None:
    (cell,) = whole((100, 100), (100, 100), 90)
    np.testing.assert_allclose(transform(np.array([[0.0, 0]]), cell.affine), [[99, 0]], atol=1e-9)


@given(st.integers(700, 9000), st.integers(1, 9000), st.sampled_from([0, 90, 180, 270]), st.floats(0.1, 1))
def test_tiles_show_every_face_of_their_overlap_whole(width: int, height: int, turn: int, part: float) -> None:
    size, longest = (width, height), max(640, part * max(width, height))
    views = tiles(size, CANVAS, longest, turn)
    scale = longest / max(size)
    half = 79 / scale
    for place in np.random.default_rng(0).uniform(0, 1, (20, 2)) * size:
        box = np.array([place - half, place + half]).clip(0, size) - 0.5
        seen = [transform(box, view[0].affine) + 0.5 for view in views]
        assert any((at > -1e-6).all() and (at < 640 + 1e-6).all() for at in seen)


def test_there_are_as_many_tiles_as_needed() -> None:
    assert [len(tiles((length, 640), CANVAS, length)) for length in (640, 641, 1120, 1121, 1600)] == [1, 2, 2, 3, 3]


@pytest.mark.parametrize(("longest", "most"), [(900, 3), (160, 4)])
def test_places_are_turned_and_of_one_size_in_cells_of_their_own(longest: int, most: float) -> None:
    places = [(np.array([100.0 * number, 50]), 40.0 * (number + 1), 30.0 * number) for number in range(6)]
    first, second = upright(places, (longest, 90), CANVAS)
    assert (len(first), len(second)) == (4, 2)
    assert [cell.rectangle for cell in first] == [
        (0, 0, 320, 320), (320, 0, 640, 320), (0, 320, 320, 640), (320, 320, 640, 640)
    ]  # fmt: skip
    for cell, (middle, side, turn) in zip([*first, *second], places, strict=True):
        left, top, right, bottom = cell.rectangle
        np.testing.assert_allclose(transform(middle, cell.affine), [(left + right) / 2, (top + bottom) / 2])
        scale = np.hypot(*cell.affine[:, 0])
        assert scale == pytest.approx(min(most, 150 / side))
        assert np.degrees(np.arctan2(cell.affine[1, 0], cell.affine[0, 0])) == pytest.approx(turn)


def counts(size: tuple[int, int], angles: tuple[float, ...]) -> list[int]:
    return [len(views) for views in again(size, CANVAS, angles)]


@pytest.mark.parametrize(
    ("size", "angles", "expected"),
    [
        pytest.param((512, 512), (0, 90, 180, 270), [1, 3, 3], id="small"),
        pytest.param((512, 512), (0,), [1, 0, 0], id="small and not turned"),
        pytest.param((1000, 640), (0, 45, 90), [1, 2, 2, 2, 2], id="a little larger"),
        pytest.param((6000, 512), (0, 360), [1, 0, 0, 3 + 5 + 11, 0], id="wide"),
    ],
)
def test_few_views_come_first_and_tiles_last(
    size: tuple[int, int], angles: tuple[float, ...], expected: list[int]
) -> None:
    assert counts(size, angles) == expected


def test_no_frame_is_looked_at_more_often_than_some_hundred_times() -> None:
    assert sum(counts((20000, 20000), tuple(range(0, 360, 30)))) < 350


def test_closer_looks_begin_with_the_largest_faces() -> None:
    scales = [np.hypot(*view[0].affine[:, 0]) for view in closer((4000, 3000), CANVAS, 4000)]
    assert scales == sorted(scales)
    assert sorted({round(scale, 9) for scale in scales}) == [0.25, 0.5, 1]

"""Whatever the affine, the frame and the mask: a paste is near its form in floats, and stays in the crop's place."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphstream.face.geometry import cut_crop, paste_back
from morphstream.face.swap import Swapper
from morphstream.face.swapper import FaceSwapper
from morphstream.face.types import Affine, Crop, Face, Mask
from morphstream.frame import Frame
from tests.face import PlayedSession, changed, found, identity_of, noise

LEVELS = 3
FEW = settings(max_examples=40, derandomize=True)

SIDES = st.integers(1, 90)
SHAPES = st.tuples(SIDES, SIDES)
VIEWS = st.sampled_from(["whole", "mirrored", "every other", "a part", "columns first"])


@st.composite
def affines(draw: st.DrawFn) -> Affine:
    """Draw a turn, a scale and a shift, and a shear now and then."""
    angle, scale = draw(st.floats(-3.2, 3.2)), 2 ** draw(st.floats(-3, 3))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn[0] += draw(st.sampled_from([0.0, 0.0, 0.4])) * turn[1]
    return np.column_stack([turn, [draw(st.floats(-120, 120)), draw(st.floats(-120, 120))]])


def seen_as(view: str, height: int, width: int) -> Frame:
    """Return a frame of random pixels that lies in memory in some way."""
    match view:
        case "mirrored":
            return noise(height, width)[::-1, ::-1]
        case "every other":
            return noise(2 * height, 2 * width)[::2, ::2]
        case "a part":
            return noise(height + 5, width + 7)[2 : height + 2, 3 : width + 3]
        case "columns first":
            return np.asfortranarray(noise(height, width))
        case _:
            return noise(height, width)


def pasted_in_floats(
    frame: Frame, crop: Crop, mask: Mask, affine: Affine
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the same blend over the whole frame in float32."""
    layer = np.dstack([crop * mask[..., None], mask]).astype(np.float32)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    over = np.asarray(cv2.warpAffine(layer, affine, frame.shape[1::-1], flags=how), np.float32).reshape(
        *frame.shape[:2], 4
    )
    return over[..., :3] + frame * (1 - over[..., 3:])


@FEW
@given(affines(), SHAPES, VIEWS, st.integers(2, 64), st.booleans())
def test_a_paste_is_near_its_form_in_floats_and_touches_nothing_else(
    affine: Affine, shape: tuple[int, int], view: str, side: int, is_hard: bool
) -> None:
    frame, crop = seen_as(view, *shape), noise(side, side, seed=1)
    mask = np.ones((side, side), np.float32) if is_hard else np.random.default_rng(2).random((side, side), np.float32)
    mask[:1], mask[-1:], mask[:, :1], mask[:, -1:] = 0, 0, 0, 0
    before = frame.copy()
    paste_back(frame, crop, mask, affine)
    expected = pasted_in_floats(before, crop, mask, affine)
    assert np.abs(frame - expected).max() <= LEVELS
    y, x = np.mgrid[: shape[0], : shape[1]]
    at = np.stack([x, y], axis=-1) @ affine[:, :2].T + affine[:, 2]
    is_outside = ((at <= -0.5) | (at >= side - 0.5)).any(axis=-1)
    np.testing.assert_array_equal(frame[is_outside], before[is_outside])


@FEW
@given(affines(), SHAPES, VIEWS, st.integers(1, 64))
def test_a_crop_is_the_one_of_the_whole_frame_with_its_edge_going_on(
    affine: Affine, shape: tuple[int, int], view: str, side: int
) -> None:
    frame = seen_as(view, *shape)
    crop = cut_crop(frame, affine, side)
    whole = cv2.warpAffine(
        np.ascontiguousarray(frame), affine, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    assert crop.shape == (side, side, 3)
    assert np.abs(crop.astype(int) - whole).max() <= 1


@pytest.fixture(scope="module")
def swapper() -> Iterator[FaceSwapper]:
    """Return a swapper whose model inverts colours and whose masks cover everything."""
    shapes = {"crop": (-1, 32, 32, 3), "source": (-1, 512)}
    swap = Swapper(PlayedSession(shapes, lambda inputs: {"swapped": 255 - inputs["crop"]}), None)
    occluder = PlayedSession(
        {"crop": (-1, 16, 16, 3)}, lambda inputs: {"mask": np.ones((len(inputs["crop"]), 16, 16, 1), np.float32)}
    )
    with ThreadPoolExecutor(2) as pool:
        yield FaceSwapper({"xseg_1": occluder}.__getitem__, swap, pool=pool)


def face_at(points: list[tuple[float, float]]) -> Face:
    return Face(box_xyxy=np.array([0.0, 0, 9, 9]), points5=np.array(points), score=1)


POINTS = st.lists(st.tuples(st.floats(-50, 150), st.floats(-50, 150)), min_size=5, max_size=5, unique=True)


@FEW
@given(SHAPES, VIEWS, st.lists(POINTS, max_size=4))
def test_any_faces_of_any_frame_are_swapped_into_a_new_one(
    swapper: FaceSwapper, shape: tuple[int, int], view: str, points: list[list[tuple[float, float]]]
) -> None:
    frame = seen_as(view, *shape)
    before = frame.copy()
    faces = [face_at(five) for five in points if np.ptp(np.array(five), axis=0).max() > 1]
    swapped = swapper.swap(found(frame, identity_of([1]), *faces))
    assert swapped.shape == frame.shape
    assert swapped.dtype == np.uint8
    assert not np.shares_memory(swapped, frame)
    np.testing.assert_array_equal(frame, before)
    if not faces:
        np.testing.assert_array_equal(swapped, before)


def test_a_face_in_a_frame_of_8k_is_swapped_there_and_nowhere_else(swapper: FaceSwapper) -> None:
    frame = np.full((4320, 7680, 3), 90, np.uint8)
    corner = np.array([7500.0, 4200.0])
    points = [tuple(corner + offset) for offset in ([0, 0], [30, 0], [15, 20], [3, 35], [27, 35])]
    is_new = changed(swapper.swap(found(frame, identity_of([1]), face_at(points))), frame)
    rows, columns = np.flatnonzero(is_new.any(axis=1)), np.flatnonzero(is_new.any(axis=0))
    assert 4100 < rows.min() < rows.max() < 4320
    assert 7400 < columns.min() < columns.max() < 7680


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16, np.int8, bool])
def test_a_frame_of_other_numbers_is_refused(dtype: type) -> None:
    with pytest.raises(TypeError, match=f"expected a frame of uint8, seen {np.dtype(dtype)}; scale it"):
        found(np.zeros((9, 9, 3), dtype), identity_of([1]))


@pytest.mark.parametrize("shape", [(9, 9), (9, 9, 1), (9, 9, 4), (0, 9, 3), (9, 0, 3), (1, 9, 9, 3), ()])
def test_a_frame_of_another_form_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected a BGR frame .* convert it first"):
        found(np.zeros(shape, np.uint8), identity_of([1]))


@pytest.mark.parametrize(
    "affine",
    [
        np.zeros((2, 3)),
        np.full((2, 3), np.nan),
        np.array([[1.0, 2, 0], [2, 4, 0]]),
        np.array([[np.inf, 0, 0], [0, 1, 0]]),
    ],
    ids=["zeros", "no numbers", "a line", "infinite"],
)
def test_an_affine_without_an_inverse_is_refused_and_the_frame_stays(affine: Affine) -> None:
    frame = noise(20, 20)
    before = frame.copy()
    with pytest.raises(ValueError, match="expected an affine that has an inverse, seen"):
        cut_crop(frame, affine, 8)
    with pytest.raises(ValueError, match="expected an affine that has an inverse, seen"):
        paste_back(frame, noise(8, 8), np.ones((8, 8), np.float32), affine)
    np.testing.assert_array_equal(frame, before)

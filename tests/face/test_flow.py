"""Flow finds a face of one frame in another wherever it moved, and says how much of it is the same."""

import cv2
import numpy as np
import pytest

from morphstream.face.flow import SIDE, affine_of, cut_patch, follow_patch
from morphstream.face.geometry import transform, turned
from morphstream.face.types import Affine, Points
from morphstream.frame import Frame
from tests.face import ASTRONAUT, noise

EYES = float(np.hypot(*(ASTRONAUT.points5[1] - ASTRONAUT.points5[0])))
PATCH_AFFINE = affine_of(ASTRONAUT.points5)


def moved(frame: Frame, affine: Affine) -> Frame:
    return np.asarray(cv2.warpAffine(frame, affine, frame.shape[1::-1], flags=cv2.INTER_CUBIC), np.uint8)


def found(frame: Frame, expected: Affine = PATCH_AFFINE, *, of: Frame) -> tuple[Points, float]:
    """Return the astronaut's points in another frame, and the share."""
    motion = follow_patch(cut_patch(of, PATCH_AFFINE), frame, expected)
    assert motion is not None
    back = np.asarray(cv2.invertAffineTransform(motion.affine), np.float64)
    return transform(transform(ASTRONAUT.points5, PATCH_AFFINE), back), motion.share


@pytest.mark.parametrize(
    ("turn", "scale", "shift"),
    [(0, 1, (0, 0)), (0, 1, (9.3, -5.6)), (6, 1, (3, 2)), (0, 1.12, (0, 0)), (-4, 0.94, (-6, 4))],
    ids=["still", "moved", "turned", "nearer", "all at once"],
)
def test_a_face_that_moved_is_followed(astronaut: Frame, turn: float, scale: float, shift: tuple[float, float]) -> None:
    middle = ASTRONAUT.points5.mean(0)
    affine = turned(turn, scale, middle, (middle + shift).tolist())
    points, share = found(moved(astronaut, affine), of=astronaut)
    assert np.linalg.norm(points - transform(ASTRONAUT.points5, affine), axis=1).max() < 0.01 * EYES
    assert share > 0.9


def test_a_face_that_turned_far_is_followed_from_where_it_is_expected(astronaut: Frame) -> None:
    middle = ASTRONAUT.points5.mean(0)
    affine = turned(80, 0.7, middle, (300.0, 200.0))
    expected = affine_of(transform(ASTRONAUT.points5, affine) + np.array([2, -1]))
    points, share = found(moved(astronaut, affine), expected, of=astronaut)
    assert np.linalg.norm(points - transform(ASTRONAUT.points5, affine), axis=1).max() < 0.02 * 0.7 * EYES
    assert share > 0.8


def test_a_covered_part_counts_less_and_moves_nothing(astronaut: Frame) -> None:
    covered = astronaut.copy()
    left, top, right, _ = ASTRONAUT.box_xyxy.astype(int)
    covered[top:, left : left + (right - left) // 3] = noise(512 - top, (right - left) // 3)
    points, share = found(covered, of=astronaut)
    assert np.abs(points - ASTRONAUT.points5).max() < 0.02 * EYES
    assert 0.4 < share < 0.9


@pytest.mark.parametrize("what", ["noise", "grey", "elsewhere"])
def test_where_the_face_is_not_nothing_is_found(astronaut: Frame, what: str) -> None:
    patch = cut_patch(astronaut, PATCH_AFFINE)
    frame = {"noise": noise(512, 512), "grey": np.full((512, 512, 3), 90, np.uint8), "elsewhere": astronaut}[what]
    expected = PATCH_AFFINE - [[0, 0, 900], [0, 0, 0]] if what == "elsewhere" else PATCH_AFFINE
    assert follow_patch(patch, frame, expected) is None


def test_a_patch_outside_of_the_frame_is_black(astronaut: Frame) -> None:
    assert not cut_patch(astronaut, PATCH_AFFINE - [[0, 0, 5000], [0, 0, 0]]).any()
    assert cut_patch(astronaut, PATCH_AFFINE).shape == (SIDE, SIDE)
